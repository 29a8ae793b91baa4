"""The workload directory, `NAME.workload/`: the only file that knows its names and its version.

manifest.json is written last: a directory without it is not a workload.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pyarrow as pa

from replay import columnar, documents, schemas
from replay.documents import MANIFEST, Kind
from replay.errors import EnvironmentFaultError, InputError
from replay.made import Made
from replay.requests import RequestLog, Requests
from replay.workload import Manifest, Transaction, Workload

if TYPE_CHECKING:  # a workload of logs alone has no schema
    from data_gen.profile import SchemaProfile

T = TypeVar("T")
_KIND = Kind(name="workload", version=2, made_by="replay capture")
TEMPLATES = "templates.parquet"
TRANSACTIONS = "transactions.parquet"
STATEMENTS = "statements.parquet"
CONFLICTS = "conflicts.parquet"
PLACES = "places.parquet"
ACTIVITY = "activity.parquet"
STANDING = "session_settings.parquet"
TABLES = "tables.json"
SCHEMA_SQL = "schema.sql"
REQUEST_LOG = "request_log.json"
ROUTES = "routes.parquet"
REQUESTS = "requests.parquet"
LINKS = "links.parquet"
RAN = "route_templates.parquet"
REQUEST_PLACES = "request_places.parquet"
PLANS = "plans.json"

_KEPT = {TRANSACTIONS: schemas.TRANSACTION_SCHEMA, STATEMENTS: schemas.STATEMENT_SCHEMA}

# Template -> shapes of its plans in production, and how many plans had each; see sql.plan_shape.
Plans = Mapping[str, Sequence[tuple[str, int]]]


def write(
    path: Path,
    workload: Workload,
    profile: "SchemaProfile | None",
    requests: Requests | None = None,
    plans: Plans | None = None,
) -> None:
    """Write a workload directory whole, or leave what stood there.

    Raises InputError where `path` exists and is no workload, EnvironmentFaultError where it cannot
    be written.
    """
    require_writable(path)
    _write_whole(path, workload, profile, requests, plans)
    shutil.rmtree(unfinished(path), ignore_errors=True)


def write_unfinished(path: Path, workload: Workload, profile: "SchemaProfile | None") -> None:
    """Write what is there of a workload beside its place, where it stays if nobody finishes it."""
    _write_whole(unfinished(path), workload, profile, None, None)


def unfinished(path: Path) -> Path:
    """Where what is there of a workload lies until it is whole."""
    return path.with_name(f"{path.name}.part")


def left_by(path: Path) -> Path:
    """The path, or where nothing stands there what a killed capture of that name has left."""
    part = unfinished(path)
    return part if not path.exists() and _present(part) else path


def _write_whole(
    path: Path,
    workload: Workload,
    profile: "SchemaProfile | None",
    requests: Requests | None,
    plans: Plans | None,
) -> None:
    new = path.with_name(f"{path.name}.new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        _write_files(new, workload, profile, requests, plans)
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
        count = _parquet().read_metadata(path / TRANSACTIONS).num_rows
        return replace(mix, transactions=Made(count, lambda: _streamed(path)))
    kept = _table(path / TRANSACTIONS), _table(path / STATEMENTS)
    return replace(
        mix,
        transactions=tuple(columnar.transactions_of(kept)),
        places=tuple(columnar.places_of(_table(path / PLACES))),
    )


def _verified(path: Path) -> None:
    """Look at the files' checksums."""
    document = _KIND.read_manifest(path)
    for name, checksum in document.get("checksums", {}).items():
        if not (path / name).is_file() or _checksum(path / name) != checksum:
            raise InputError(f"{path / name}: does not match its checksum; capture again")


def _streamed(path: Path) -> Iterator[Transaction]:
    """The transactions, a few thousand in memory: both tables are in order of their ids."""
    with (
        _parquet().ParquetFile(path / TRANSACTIONS) as wholes,
        _parquet().ParquetFile(path / STATEMENTS) as parts,
    ):
        yield from columnar.transactions_in_order(
            wholes.iter_batches(columnar.ROWS), parts.iter_batches(columnar.ROWS)
        )


def read_mix(path: Path) -> Workload:
    """Read a workload but for its transactions: they are the most of it."""
    document = _KIND.read_manifest(path)
    return Workload(
        manifest=msgspec.convert(document["manifest"], Manifest),
        templates=tuple(columnar.templates_of(_table(path / TEMPLATES))),
        transactions=(),
        conflicts=tuple(columnar.conflicts_of(_table(path / CONFLICTS))),
        activity=_optional(path / ACTIVITY, columnar.activity_of),
        standing=_optional(path / STANDING, columnar.standing_of),
    )


def _optional(file: Path, rows: Callable[[pa.Table], Iterator[T]]) -> tuple[T, ...]:
    return tuple(rows(_table(file))) if file.is_file() else ()


def read_manifest(path: Path) -> Manifest:
    """Read the manifest alone; raises InputError where the directory is no workload."""
    return msgspec.convert(_KIND.read_manifest(path)["manifest"], Manifest)


def has_profile(path: Path) -> bool:
    """Whether the capture had `--stats`."""
    return (path / TABLES).is_file()


def read_profile(path: Path) -> "SchemaProfile":
    """Read the schema's profile; raises InputError where the capture had no `--stats`."""
    _KIND.read_manifest(path)
    file = path / TABLES
    if not has_profile(path):
        raise InputError(f"{path}: holds no table profile; capture again with --stats DSN")
    from data_gen.profile import SchemaProfile  # noqa: PLC0415 - as above

    return msgspec.json.decode(file.read_bytes(), type=SchemaProfile)


def read_requests(path: Path, *, kept: bool = True) -> Requests | None:
    """Read what a workload holds of requests; None where the capture had no `--http`.

    Without `kept`, the routes alone, and not the requests of them that were kept.
    """
    _KIND.read_manifest(path)
    file = path / REQUEST_LOG
    if not file.is_file():
        return None
    is_linked = (path / LINKS).is_file()
    return Requests(
        log=msgspec.json.decode(file.read_bytes(), type=RequestLog),
        routes=tuple(columnar.routes_of(_table(path / ROUTES))),
        kept=tuple(columnar.requests_of(_table(path / REQUESTS))) if kept else (),
        links=tuple(columnar.links_of(_table(path / LINKS))) if is_linked else (),
        ran=tuple(columnar.ran_of(_table(path / RAN))) if is_linked else (),
        places=tuple(columnar.places_of(_table(path / REQUEST_PLACES)))
        if kept and is_linked
        else (),
    )


def read_plans(path: Path) -> Plans:
    """Production's plans as shapes; none where the capture had no `--plans`."""
    _KIND.read_manifest(path)
    file = path / PLANS
    return msgspec.json.decode(file.read_bytes(), type=Plans) if file.is_file() else {}


def workload_id(path: Path) -> str:
    """Identity of the workload's content: 16 hex digits over its manifest."""
    _KIND.read_manifest(path)
    return _checksum(path / MANIFEST)[:16]


def _write_files(
    path: Path,
    workload: Workload,
    profile: "SchemaProfile | None",
    requests: Requests | None,
    plans: Plans | None,
) -> None:
    templates = columnar.template_batches(workload.templates)
    transactions = columnar.transaction_batches(workload.transactions)
    conflicts = columnar.conflict_batches(workload.conflicts)
    places = columnar.place_batches(workload.places)
    _write_tables(path, {TEMPLATES: schemas.TEMPLATE_SCHEMA}, templates)
    _write_tables(path, {CONFLICTS: schemas.CONFLICT_SCHEMA}, conflicts)
    _write_tables(path, {PLACES: schemas.PLACE_SCHEMA}, places)
    _write_tables(path, _KEPT, transactions)  # helpers that make them are at work already
    if workload.activity:
        activity = columnar.activity_batches(workload.activity)
        _write_tables(path, {ACTIVITY: schemas.ACTIVITY_SCHEMA}, activity)
    if workload.standing:
        standing = columnar.standing_batches(workload.standing)
        _write_tables(path, {STANDING: schemas.STANDING_SCHEMA}, standing)
    if profile is not None:
        from data_gen.ddl import schema_sql  # noqa: PLC0415 - as above

        documents.write(path / TABLES, profile)
        (path / SCHEMA_SQL).write_text(schema_sql(profile), encoding="utf-8")
    if requests is not None:
        _write_requests(path, requests)
    if plans is not None:
        documents.write(path / PLANS, plans)
    checksums = {name: _checksum(path / name) for name in _present(path)}
    _KIND.write_manifest(path, workload.manifest, checksums=checksums)


def _write_requests(path: Path, requests: Requests) -> None:
    documents.write(path / REQUEST_LOG, requests.log)
    for name, schema, batches in (
        (ROUTES, schemas.ROUTE_SCHEMA, columnar.route_batches(requests.routes)),
        (REQUESTS, schemas.REQUEST_SCHEMA, columnar.request_batches(requests.kept)),
        (LINKS, schemas.LINK_SCHEMA, columnar.link_batches(requests.links)),
        (RAN, schemas.RAN_SCHEMA, columnar.ran_batches(requests.ran)),
        (REQUEST_PLACES, schemas.PLACE_SCHEMA, columnar.place_batches(requests.places)),
    ):
        _write_tables(path, {name: schema}, batches)


def _write_tables(
    path: Path, tables: Mapping[str, pa.Schema], batches: Iterable[columnar.Batch]
) -> None:
    """Write tables whose rows come together, a batch at a time, so that memory is bounded."""
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                _parquet().ParquetWriter(
                    path / name,
                    schema,
                    compression="zstd",
                    use_dictionary=[f.name for f in schema if f.name in schemas.REPEATED],
                )
            )
            for name, schema in tables.items()
        ]
        for batch in batches:
            for writer, rows in zip(writers, batch, strict=True):
                if rows.num_rows:
                    writer.write_batch(rows)


def _parquet() -> Any:
    """What reads and writes files; it takes a while to load, and helpers of a capture read meanwhile."""
    return import_module("pyarrow.parquet")


def _table(file: Path) -> pa.Table:
    """A whole table, by what reads files alone: pyarrow's own reader of directories takes longer to load."""
    with _parquet().ParquetFile(file) as whole:
        return whole.read()


def _present(path: Path) -> list[str]:
    of_statements = (TEMPLATES, TRANSACTIONS, STATEMENTS, CONFLICTS, PLACES, ACTIVITY, STANDING)
    names = (
        *of_statements,
        TABLES,
        SCHEMA_SQL,
        REQUEST_LOG,
        ROUTES,
        REQUESTS,
        LINKS,
        RAN,
        REQUEST_PLACES,
        PLANS,
    )
    return [name for name in names if (path / name).is_file()]


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
