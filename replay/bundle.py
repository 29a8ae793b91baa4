"""The workload directory, `NAME.workload/`: the only file that knows its names and its version.

manifest.json is written last: a directory without it is not a workload.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from itertools import groupby, islice, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from data_gen.ddl import schema_sql
from data_gen.profile import SchemaProfile
from replay import documents
from replay.documents import MANIFEST, Kind
from replay.errors import EnvironmentFaultError, InputError
from replay.made import Made
from replay.workload import (
    Conflict,
    Counters,
    Manifest,
    Place,
    Statement,
    Template,
    Transaction,
    Workload,
)

_KIND = Kind(name="workload", version=2, made_by="replay capture")
TEMPLATES = "templates.parquet"
TRANSACTIONS = "transactions.parquet"
STATEMENTS = "statements.parquet"
CONFLICTS = "conflicts.parquet"
PLACES = "places.parquet"
TABLES = "tables.json"
SCHEMA_SQL = "schema.sql"

_ROW_GROUP = 8 * 1024

_PAIRS = pa.list_(pa.struct([("key", pa.int64()), ("calls", pa.int64())]))
_UTC = pa.timestamp("us", tz="UTC")
_COUNTERS = pa.struct(
    [(f.name, pa.float64() if f.name.endswith("_ms") else pa.int64()) for f in fields(Counters)]
)
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
        ("counted", _COUNTERS),
        ("error_states", pa.list_(pa.struct([("key", pa.string()), ("calls", pa.int64())]))),
    ]
)
_TRANSACTION_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("session", pa.string()),
        ("start_us", pa.int64()),
        ("weight", pa.float64()),
        ("shape", pa.string()),
        ("untold", pa.list_(pa.string())),
        ("priority", pa.uint64()),
        ("logged", pa.float64()),
        ("early_us", pa.int64()),
        ("session_us", pa.int64()),
    ]
)
_PLACE_SCHEMA = pa.schema(
    [
        ("group", pa.string()),
        ("stratum", pa.string()),
        ("rank", pa.uint64()),
        ("transaction", pa.int64()),
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
_CONFLICT_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("template", pa.string()),
        ("peers", pa.list_(pa.string())),
        ("lock", pa.string()),
        ("on", pa.string()),
        ("relation", pa.string()),
        ("count", pa.int64()),
        ("total_ms", pa.float64()),
        ("longest_ms", pa.float64()),
        ("most_queued", pa.int64()),
        ("first_seen", _UTC),
        ("last_seen", _UTC),
        ("told", pa.list_(pa.string())),
        ("told_sql", pa.list_(pa.string())),
    ]
)
_PAIR_FIELDS = ("histogram", "calls_per_slice", "query_ids", "error_states")


def write(path: Path, workload: Workload, profile: SchemaProfile | None) -> None:
    """Write a workload directory whole, or leave what stood there.

    Raises InputError where `path` exists and is no workload, EnvironmentFaultError where it cannot
    be written.
    """
    require_writable(path)
    _write_whole(path, workload, profile)
    shutil.rmtree(unfinished(path), ignore_errors=True)


def write_unfinished(path: Path, workload: Workload, profile: SchemaProfile | None) -> None:
    """Write what is there of a workload beside its place, where it stays if nobody finishes it."""
    _write_whole(unfinished(path), workload, profile)


def unfinished(path: Path) -> Path:
    """Where what is there of a workload lies until it is whole."""
    return path.with_name(f"{path.name}.part")


def _write_whole(path: Path, workload: Workload, profile: SchemaProfile | None) -> None:
    new = path.with_name(f"{path.name}.new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        _write_files(new, workload, profile)
        if path.exists():
            shutil.rmtree(path)
        new.replace(path)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
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
    """Read a workload directory; raises InputError where it is none, or not whole.

    The transactions of one that holds everything are read from disk, in order, each time they are
    asked for: all at once they would fill memory.
    """
    _verified(path)
    mix = read_mix(path)
    if mix.manifest.everything:
        count = pq.read_metadata(path / TRANSACTIONS).num_rows
        return replace(mix, transactions=Made(count, lambda: _streamed(path)))
    statements: dict[int, list[Statement]] = {}
    for row in _rows(path / STATEMENTS):
        statements.setdefault(row.pop("transaction"), []).append(Statement(**row))
    return replace(
        mix,
        transactions=tuple(
            Transaction(**row, statements=tuple(statements.get(row["id"], ())))
            for row in _rows(path / TRANSACTIONS)
        ),
        places=tuple(Place(**row) for row in _rows(path / PLACES)),
    )


def _verified(path: Path) -> None:
    """Look at the files' checksums."""
    document = _KIND.read_manifest(path)
    for name, checksum in document.get("checksums", {}).items():
        if not (path / name).is_file() or _checksum(path / name) != checksum:
            raise InputError(f"{path / name}: does not match its checksum; capture again")


def _streamed(path: Path) -> Iterator[Transaction]:
    """The transactions, a few thousand in memory: both tables are in order of their ids."""
    statements = groupby(_batches(path / STATEMENTS), key=lambda row: row["transaction"])
    number, rows = next(statements, (-1, iter(())))
    for row in _batches(path / TRANSACTIONS):
        held: tuple[Statement, ...] = ()
        if number == row["id"]:
            held = tuple(
                Statement(**{name: one[name] for name in _STATEMENT_SCHEMA.names[1:]})
                for one in rows
            )
            number, rows = next(statements, (-1, iter(())))
        yield Transaction(**row, statements=held)


def _batches(file: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(_ROW_GROUP):
            columns = list(map(_values, batch.columns))
            for row in zip(*columns, strict=True):
                yield dict(zip(batch.schema.names, row, strict=True))


def read_mix(path: Path) -> Workload:
    """Read a workload but for its transactions: they are the most of it."""
    document = _KIND.read_manifest(path)
    return Workload(
        manifest=msgspec.convert(document["manifest"], Manifest),
        templates=tuple(map(_template, _rows(path / TEMPLATES))),
        transactions=(),
        conflicts=tuple(Conflict(**row) for row in _rows(path / CONFLICTS)),
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
    _write_transactions(path, workload.transactions)
    _write_table(path / CONFLICTS, _CONFLICT_SCHEMA, map(_conflict_row, workload.conflicts))
    _write_table(path / PLACES, _PLACE_SCHEMA, map(_place_row, workload.places))
    if profile is not None:
        documents.write(path / TABLES, profile)
        (path / SCHEMA_SQL).write_text(schema_sql(profile), encoding="utf-8")
    checksums = {name: _checksum(path / name) for name in _present(path)}
    _KIND.write_manifest(path, workload.manifest, checksums=checksums)


def _write_transactions(path: Path, transactions: Iterable[Transaction]) -> None:
    """Write them and their statements, both tables at once, so that memory is bounded."""
    transactions = iter(transactions)
    with (
        _Table(path / TRANSACTIONS, _TRANSACTION_SCHEMA) as wholes,
        _Table(path / STATEMENTS, _STATEMENT_SCHEMA) as parts,
    ):
        while some := list(islice(transactions, _ROW_GROUP // 2)):
            wholes.write(map(_transaction_row, some))
            parts.write(row for transaction in some for row in _statement_rows(transaction))


def _present(path: Path) -> list[str]:
    names = (TEMPLATES, TRANSACTIONS, STATEMENTS, CONFLICTS, PLACES, TABLES, SCHEMA_SQL)
    return [name for name in names if (path / name).is_file()]


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Table:
    """A table that is written a row group at a time."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(file, schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._writer.close()

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows of the schema's fields as one group."""
        columns = list(zip(*rows, strict=True))
        if columns:
            arrays = [pa.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))


def _write_table(file: Path, schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> None:
    rows = iter(rows)
    with _Table(file, schema) as table:
        while some := list(islice(rows, _ROW_GROUP)):
            table.write(some)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table; made of whole columns, as a workload may have a hundred thousand templates."""
    table = pq.read_table(file)
    columns = (_values(column.combine_chunks()) for column in table.columns)
    return (dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True))


def _values(column: pa.Array) -> list[Any]:
    """A column's values; lists come as tuples, and so do the pairs in them."""
    if not pa.types.is_list(column.type):
        return list(column.to_pylist())
    items = column.values
    if pa.types.is_struct(items.type):
        flat = list(zip(*(field.to_pylist() for field in items.flatten()), strict=True))
    else:
        flat = items.to_pylist()
    return [tuple(flat[begin:end]) for begin, end in pairwise(column.offsets.to_pylist())]


def _template_row(template: Template) -> tuple[Any, ...]:
    row = [getattr(template, name) for name in _TEMPLATE_SCHEMA.names]
    for place, name in enumerate(_TEMPLATE_SCHEMA.names):
        if name in _PAIR_FIELDS:
            row[place] = [{"key": key, "calls": calls} for key, calls in row[place]]
        elif name == "counted" and template.counted is not None:
            row[place] = asdict(template.counted)
    return tuple(row)


def _template(row: dict[str, Any]) -> Template:
    counted = row.pop("counted")
    return Template(**row, counted=Counters(**counted) if counted is not None else None)


_conflict_row = attrgetter(*_CONFLICT_SCHEMA.names)
_place_row = attrgetter(*_PLACE_SCHEMA.names)
_transaction_row = attrgetter(*_TRANSACTION_SCHEMA.names)
_statement_row = attrgetter(*_STATEMENT_SCHEMA.names[1:])


def _statement_rows(transaction: Transaction) -> Iterable[tuple[Any, ...]]:
    for statement in transaction.statements:
        yield (transaction.id, *_statement_row(statement))
