"""Tables of a profile made in an empty database: created, filled, indexed, analysed.

Rows go in by COPY BINARY before any index or constraint stands, so tables may be filled in any
order, and several at once: within a table the order of rows is the order of their numbers, on which
physical correlation rests. Each table is truncated and filled in one transaction, frozen: nothing
is left for the first reader or for autovacuum to do, and with wal_level=minimal nothing is logged.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.copy import QueuedLibpqWriter

from data_gen import ddl
from data_gen.cells import HEADER, TRAILER
from data_gen.errors import DataGenError
from data_gen.plan import Plan
from data_gen.profile import SchemaProfile, TableProfile
from data_gen.rows import blocks

Connect = Callable[[], psycopg.Connection[Any]]
Progress = Callable[[str, int, int], None]  # table, rows in it by now, rows in the end

_CHUNK = 1 << 17  # bytes handed to libpq at once; psycopg cuts what is larger
_CANCEL_TIMEOUT_S = 5.0
_SETTINGS = (
    "SET statement_timeout = 0",
    "SET maintenance_work_mem = '256MB'",
    "SET work_mem = '64MB'",
    "SET synchronous_commit = off",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTable:
    """One table as it was filled."""

    name: str
    rows: int
    seconds: float  # COPY and indexes


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What `generate` made."""

    tables: tuple[LoadedTable, ...]
    seconds: float  # all of it, constraints and ANALYZE included


def generate(
    profile: SchemaProfile,
    connect: Connect,
    *,
    scale: float = 1.0,
    seed: int = 0,
    base_time: datetime,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Loaded:
    """Make and fill all tables of a profile in a database that has none of them.

    `jobs` tables are filled at a time, each over a connection of its own. Raises DataGenError where
    a table stands already, or where the rows break a constraint of production; what was made is
    dropped again then, and when the work is interrupted.
    """
    began = time.monotonic()
    plan = Plan(profile, scale=scale, seed=seed, base_time=base_time)
    with _opened(connect) as connection:
        _refuse_existing(connection, profile)
        try:
            with _told("the schema"), connection.transaction():
                for statement in ddl.before_load(profile):
                    connection.execute(statement.encode())
            tables = _fill_all(plan, connect, jobs, progress or _silent)
            _finish(connection, profile)
        except BaseException:
            _drop(connect, profile)
            raise
    return Loaded(tables=tables, seconds=time.monotonic() - began)


def _fill_all(
    plan: Plan, connect: Connect, jobs: int, progress: Progress
) -> tuple[LoadedTable, ...]:
    """Fill and index every table, the largest first, in `jobs` threads."""
    todo = sorted(plan.profile.tables, key=lambda table: -plan.counts[table.qualified])
    for table in todo:
        plan.columns(table)
    stop = threading.Event()
    queue = iter(todo)
    lock = threading.Lock()
    done: list[LoadedTable] = []
    connections: list[psycopg.Connection[Any]] = []

    def work() -> None:
        with _opened(connect) as connection:
            connections.append(connection)
            while not stop.is_set():
                with lock:
                    table = next(queue, None)
                if table is None:
                    return
                done.append(_fill(plan, connection, table, stop, progress))

    workers = max(min(jobs, len(todo)), 1)
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(work) for _ in range(workers)]
        try:
            for one in as_completed(running):
                one.result()
        except BaseException:
            stop.set()
            for connection in connections:
                with contextlib.suppress(psycopg.Error):
                    connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
            raise
    by_name = {table.name: table for table in done}
    return tuple(by_name[table.qualified] for table in plan.profile.tables)


def _fill(
    plan: Plan,
    connection: psycopg.Connection[Any],
    table: TableProfile,
    stop: threading.Event,
    progress: Progress,
) -> LoadedTable:
    began = time.monotonic()
    name = table.qualified
    total = plan.counts[name]
    with _told(name), connection.transaction():
        place = sql.Identifier(table.schema, table.name)
        connection.execute(sql.SQL("TRUNCATE {}").format(place))
        columns = plan.columns(table)
        if total and columns:
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(place, names)
            _copy(connection, copy, _reported(plan, table, stop, progress))
    for statement in ddl.indexes(table):
        with _told(name):
            connection.execute(statement.encode())
    return LoadedTable(name=name, rows=total, seconds=time.monotonic() - began)


def _copy(
    connection: psycopg.Connection[Any], statement: sql.Composed, parts: Iterator[bytes]
) -> None:
    """Send a binary stream; while one part is sent, the next is made."""
    cursor = connection.cursor()
    with cursor.copy(statement, writer=QueuedLibpqWriter(cursor)) as copy:
        copy.write(HEADER)
        for part in parts:
            view = memoryview(part)
            for start in range(0, len(view), _CHUNK):
                copy.write(view[start : start + _CHUNK])
        copy.write(TRAILER)


def _reported(
    plan: Plan, table: TableProfile, stop: threading.Event, progress: Progress
) -> Iterator[bytes]:
    total, rows = plan.counts[table.qualified], 0
    for count, part in blocks(plan, table):
        if stop.is_set():
            raise DataGenError(f"{table.qualified}: stopped, another table failed")
        yield part
        rows += count
        progress(table.qualified, rows, total)


def _finish(connection: psycopg.Connection[Any], profile: SchemaProfile) -> None:
    """Checks, foreign keys, sequences, statistics."""
    for steps in (ddl.checks, ddl.foreign_keys, ddl.sequence_positions):
        for table in profile.tables:
            for statement in steps(table):
                with _told(table.qualified):
                    connection.execute(statement.encode())
    for table in profile.tables:
        place = sql.Identifier(table.schema, table.name)
        connection.execute(sql.SQL("ANALYZE {}").format(place))


@contextlib.contextmanager
def _opened(connect: Connect) -> Iterator[psycopg.Connection[Any]]:
    connection = connect()
    with contextlib.closing(connection):
        connection.autocommit = True
        for setting in _SETTINGS:
            connection.execute(setting.encode())
        yield connection


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """What the server says of a made row or a statement, with the table's name and a way out."""
    try:
        yield
    except psycopg.IntegrityError as error:
        constraint = error.diag.constraint_name or "a NOT NULL"
        raise DataGenError(
            f"{name}: the rows made break {constraint}: {error.diag.message_primary}; statistics "
            "do not tell how its columns depend on one another: take the constraint out of the "
            "workload's tables.json and generate again"
        ) from error
    except (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
        where = f" ({error.diag.context})" if error.diag.context else ""
        raise DataGenError(
            f"{name}: the server refuses: {error.diag.message_primary or error}{where}; take the "
            "object out of the workload's tables.json, or make the target able to hold it"
        ) from error


def _refuse_existing(connection: psycopg.Connection[Any], profile: SchemaProfile) -> None:
    names = [ddl.place(table) for table in profile.tables]
    query = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
    existing = [row[0] for row in connection.execute(query, (names,)).fetchall()]
    if existing:
        raise DataGenError(
            f"{existing[0]} stands already in database {connection.info.dbname!r}"
            f"{_further(existing)}: generate only fills an empty one; make a new database, mark it "
            "as staging and name it as the target"
        )


def _further(existing: Sequence[str]) -> str:
    return f", and {len(existing) - 1} tables more" if len(existing) > 1 else ""


def _drop(connect: Connect, profile: SchemaProfile) -> None:
    """Take away what was made; whatever cannot be reached any more is left as it is."""
    with contextlib.suppress(psycopg.Error), _opened(connect) as connection:
        for statement in ddl.undo(profile):
            connection.execute(statement.encode())


def _silent(_table: str, _rows: int, _total: int) -> None:
    pass
