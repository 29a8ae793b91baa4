"""The workload directory, `NAME.workload/`: the only file that knows its names and its version.

manifest.json is written last: a directory without it is not a workload.
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from data_gen.ddl import schema_sql
from data_gen.profile import SchemaProfile
from replay import documents
from replay.documents import MANIFEST, Kind
from replay.errors import EnvironmentFaultError, InputError
from replay.workload import Manifest, Statement, Template, Transaction, Workload

_KIND = Kind(name="workload", version=1, made_by="replay capture")
TEMPLATES = "templates.parquet"
TRANSACTIONS = "transactions.parquet"
STATEMENTS = "statements.parquet"
TABLES = "tables.json"
SCHEMA_SQL = "schema.sql"

_PAIRS = pa.list_(pa.struct([("key", pa.int64()), ("calls", pa.int64())]))
_UTC = pa.timestamp("us", tz="UTC")
_TEMPLATE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("sql", pa.string()),
        ("kind", pa.string()),
        ("tables", pa.list_(pa.string())),
        ("calls", pa.int64()),
        ("errors", pa.int64()),
        ("total_ms", pa.float64()),
        ("histogram", _PAIRS),
        ("calls_per_slice", _PAIRS),
        ("first_seen", _UTC),
        ("last_seen", _UTC),
        ("kept", pa.int64()),
        ("rare", pa.bool_()),
        ("source", pa.string()),
        ("query_ids", _PAIRS),
        ("rows", pa.int64()),
    ]
)
_TRANSACTION_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("session", pa.string()),
        ("start_us", pa.int64()),
        ("weight", pa.float64()),
        ("shape", pa.string()),
    ]
)
_STATEMENT_SCHEMA = pa.schema(
    [
        ("transaction", pa.int64()),
        ("template", pa.string()),
        ("sql", pa.string()),
        ("slots", pa.string()),
        ("values", pa.list_(pa.string())),
        ("prepared", pa.string()),
        ("offset_us", pa.int64()),
        ("duration_us", pa.int64()),
        ("error", pa.string()),
    ]
)
_PAIR_FIELDS = ("histogram", "calls_per_slice", "query_ids")


def write(path: Path, workload: Workload, profile: SchemaProfile | None) -> None:
    """Write a workload directory whole, or leave what stood there.

    Raises InputError where `path` exists and is no workload, EnvironmentFaultError where it cannot
    be written.
    """
    require_writable(path)
    part = path.with_name(f"{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write_files(part, workload, profile)
        if path.exists():
            shutil.rmtree(path)
        part.replace(path)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise EnvironmentFaultError(
            f"{path}: cannot write the workload: {error.strerror or error}; make room, or name "
            "another place with -o, and capture again"
        ) from error


def require_writable(path: Path) -> None:
    """Refuse a path at which something else stands, before any work is done."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; name a directory for the workload")
    if path.is_dir() and any(path.iterdir()) and not _present(path):
        raise InputError(f"{path}: exists and is no workload; name another directory")


def read(path: Path) -> Workload:
    """Read a workload directory; raises InputError where it is none, or not whole."""
    document = _KIND.read_manifest(path)
    for name, checksum in document.get("checksums", {}).items():
        if not (path / name).is_file() or _checksum(path / name) != checksum:
            raise InputError(f"{path / name}: does not match its checksum; capture again")
    statements: dict[int, list[Statement]] = {}
    for row in pq.read_table(path / STATEMENTS).to_pylist():
        number = row.pop("transaction")
        row["values"] = tuple(row["values"])
        statements.setdefault(number, []).append(Statement(**row))
    return Workload(
        manifest=msgspec.convert(document["manifest"], Manifest),
        templates=tuple(map(_template, pq.read_table(path / TEMPLATES).to_pylist())),
        transactions=tuple(
            Transaction(**row, statements=tuple(statements.get(row["id"], ())))
            for row in pq.read_table(path / TRANSACTIONS).to_pylist()
        ),
    )


def read_manifest(path: Path) -> Manifest:
    """Read the manifest alone; raises InputError where the directory is no workload."""
    return msgspec.convert(_KIND.read_manifest(path)["manifest"], Manifest)


def read_profile(path: Path) -> SchemaProfile:
    """Read the schema's profile; raises InputError where the capture had no `--stats`."""
    _KIND.read_manifest(path)
    file = path / TABLES
    if not file.is_file():
        raise InputError(f"{path}: holds no table profile; capture again with --stats DSN")
    return msgspec.json.decode(file.read_bytes(), type=SchemaProfile)


def workload_id(path: Path) -> str:
    """Identity of the workload's content: 16 hex digits over its manifest."""
    _KIND.read_manifest(path)
    return _checksum(path / MANIFEST)[:16]


def _write_files(path: Path, workload: Workload, profile: SchemaProfile | None) -> None:
    _write_table(path / TEMPLATES, _TEMPLATE_SCHEMA, map(_template_row, workload.templates))
    _write_table(
        path / TRANSACTIONS, _TRANSACTION_SCHEMA, map(_transaction_row, workload.transactions)
    )
    _write_table(
        path / STATEMENTS,
        _STATEMENT_SCHEMA,
        (row for t in workload.transactions for row in _statement_rows(t)),
    )
    if profile is not None:
        documents.write(path / TABLES, profile)
        (path / SCHEMA_SQL).write_text(schema_sql(profile), encoding="utf-8")
    checksums = {name: _checksum(path / name) for name in _present(path)}
    _KIND.write_manifest(path, workload.manifest, checksums=checksums)


def _present(path: Path) -> list[str]:
    names = (TEMPLATES, TRANSACTIONS, STATEMENTS, TABLES, SCHEMA_SQL)
    return [name for name in names if (path / name).is_file()]


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_table(file: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(list(rows), schema=schema)
    pq.write_table(table, file, compression="zstd", row_group_size=128 * 1024)


def _template_row(template: Template) -> dict[str, Any]:
    row = {name: getattr(template, name) for name in _TEMPLATE_SCHEMA.names}
    for name in _PAIR_FIELDS:
        row[name] = [{"key": key, "calls": calls} for key, calls in row[name]]
    return row


def _template(row: dict[str, Any]) -> Template:
    for name in _PAIR_FIELDS:
        row[name] = tuple((pair["key"], pair["calls"]) for pair in row[name])
    row["tables"] = tuple(row["tables"])
    return Template(**row)


def _transaction_row(transaction: Transaction) -> dict[str, Any]:
    return {name: getattr(transaction, name) for name in _TRANSACTION_SCHEMA.names}


def _statement_rows(transaction: Transaction) -> Iterable[dict[str, Any]]:
    for statement in transaction.statements:
        row = {name: getattr(statement, name) for name in _STATEMENT_SCHEMA.names[1:]}
        yield {"transaction": transaction.id, **row}
