"""Tables filled and indexed, several at a time; within a table one stream of COPY BINARY.

The order of rows within a table is the order of their numbers, on which physical correlation rests,
so a table has one stream; its blocks are made in parallel, ahead of it. Each table is truncated and
filled in one transaction, frozen: nothing is left for the first reader or for autovacuum to do, and
with wal_level=minimal nothing is logged.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.copy import QueuedLibpqWriter

from data_gen import ddl
from data_gen.bounds import leaves, loaded
from data_gen.build import Connect, build, opened, told
from data_gen.cells import HEADER, TRAILER
from data_gen.errors import DataGenError
from data_gen.mend import mend
from data_gen.names import split
from data_gen.plan import Plan
from data_gen.profile import TableProfile
from data_gen.rows import blocks

Progress = Callable[[str, int, int], None]  # table, rows in it by now, rows in the end

_CHUNK = 1 << 17  # bytes handed to libpq at once; psycopg cuts what is larger
_CANCEL_TIMEOUT_S = 5.0
_MOST_MAKERS = 4  # more only wait for one another


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTable:
    """One table as it was filled."""

    name: str
    rows: int
    seconds: float  # COPY and indexes
    left_out: tuple[str, ...] = ()  # indexes that the rows made do not allow, with the reason


def fill(
    plan: Plan, connect: Connect, jobs: int, progress: Progress | None
) -> tuple[LoadedTable, ...]:
    """Fill and index every table of a plan, the largest first, over `jobs` connections."""
    tables = loaded(plan.profile)
    todo = sorted(tables, key=lambda table: -plan.counts[table.qualified])
    for table in todo:
        plan.columns(table)  # planned here once, then only read by the threads
    workers = max(min(jobs, len(todo)), 1)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_MAKERS)) as makers:
        filling = _Filling(plan, connect, todo, makers, progress)
        with ThreadPoolExecutor(workers) as pool:
            running = [pool.submit(filling.work) for _ in range(workers)]
            try:
                for one in as_completed(running):
                    one.result()
            except BaseException:
                filling.cancel()
                raise
    done = {table.name: table for table in filling.done}
    return tuple(done[table.qualified] for table in tables)


class _Filling:
    """Tables still to be filled, shared by the threads that fill them."""

    def __init__(
        self,
        plan: Plan,
        connect: Connect,
        todo: Sequence[TableProfile],
        makers: ThreadPoolExecutor,
        progress: Progress | None,
    ) -> None:
        self.plan = plan
        self.connect = connect
        self.makers = makers
        self.progress = progress
        self.done: list[LoadedTable] = []
        self._todo = iter(todo)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._connections: list[psycopg.Connection[Any]] = []

    def work(self) -> None:
        """Fill tables over one connection while there are any."""
        with opened(self.connect, self.plan.profile.search_path) as connection:
            self._connections.append(connection)
            while not self._stop.is_set():
                with self._lock:
                    table = next(self._todo, None)
                if table is None:
                    return
                self.done.append(self._filled(connection, table))

    def cancel(self) -> None:
        """End what the threads are doing, on the server too."""
        self._stop.set()
        for connection in self._connections:
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)

    def _filled(self, connection: psycopg.Connection[Any], table: TableProfile) -> LoadedTable:
        began = time.monotonic()
        name, columns = table.qualified, self.plan.columns(table)
        rows = self.plan.counts[name]
        with told(name), connection.transaction():
            place = sql.Identifier(table.schema, table.name)
            connection.execute(
                sql.SQL("TRUNCATE {}" if table.partition_key else "TRUNCATE ONLY {}").format(place)
            )
            if rows and columns:
                copy = sql.SQL("COPY {} ({}) FROM STDIN ({})").format(
                    sql.Identifier(*split(_sent_to(table))),
                    sql.SQL(", ").join(map(sql.Identifier, columns)),
                    sql.SQL("FORMAT binary, FREEZE" if _freezes(table) else "FORMAT binary"),
                )
                self._copy(connection, copy, table)
                if not table.partition_key:
                    mend(connection, table)
        parts = tuple(leaves(self.plan.profile, table)) if table.partition_key else (table,)
        left_out = [
            reason
            for part in parts
            for reason in build(connection, part.qualified, ddl.indexes(part))
        ]
        return LoadedTable(
            name=name, rows=rows, seconds=time.monotonic() - began, left_out=tuple(left_out)
        )

    def _copy(
        self, connection: psycopg.Connection[Any], copy: sql.Composed, table: TableProfile
    ) -> None:
        """Send the table's blocks; while some are sent, the next are made."""
        cursor = connection.cursor()
        rows, total = 0, self.plan.counts[table.qualified]
        with cursor.copy(copy, writer=QueuedLibpqWriter(cursor)) as stream:
            stream.write(HEADER)
            for count, block in blocks(self.plan, table, self.makers):
                if self._stop.is_set():
                    raise DataGenError(f"{table.qualified}: stopped, another table failed")
                for start in range(0, len(block), _CHUNK):
                    stream.write(block[start : start + _CHUNK])
                rows += count
                if self.progress is not None:
                    self.progress(table.qualified, rows, total)
            stream.write(TRAILER)


def _sent_to(table: TableProfile) -> str:
    """The table that COPY names: rows of a default partition may be another one's after all."""
    return table.parents[0] if table.bound == "DEFAULT" else table.qualified


def _freezes(table: TableProfile) -> bool:
    """COPY FREEZE wants a table that this transaction truncated, and no partitions."""
    return not table.partition_key and table.bound != "DEFAULT"
