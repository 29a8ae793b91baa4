"""Tables filled and indexed, several at a time; within a table one stream of COPY BINARY.

The order of rows within a table is the order of their numbers, on which physical correlation rests,
so a table has one stream; its blocks are made in parallel, ahead of it. A table that is most of the
work has several: they take its blocks in turn, so that rows that are neighbours stay near.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

import psycopg

from data_gen import ddl
from data_gen.bounds import loaded
from data_gen.build import Connect, opened, told
from data_gen.copying import Block, Target, frozen_rows
from data_gen.errors import DataGenError
from data_gen.filling import Filling, LoadedTable, Part
from data_gen.journal import note_filled
from data_gen.mend import mend
from data_gen.plan import Plan
from data_gen.profile import TableProfile

Progress = Callable[[str, int, int], None]  # table, rows in it by now, rows in the end

_CANCEL_TIMEOUT_S = 5.0
_MOST_MAKERS = 4  # more only wait for one another
_ALONE = 0.6  # of all bytes over the number of jobs: a table so large has several streams
_LEAST_SPLIT = 500_000  # rows


def fill(
    plan: Plan, connect: Connect, jobs: int, progress: Progress | None, part: Part
) -> tuple[LoadedTable, ...]:
    """Fill every table of a plan, the largest first, over `jobs` connections.

    Where the whole is filled at once, each table is indexed when its rows are in.
    """
    tables = loaded(plan.profile)
    sizes = {table.qualified: _bytes(plan, table) for table in tables}
    todo = sorted(tables, key=lambda table: (-sizes[table.qualified], table.qualified))
    with (
        ThreadPoolExecutor(1) as planner,  # one: a table's plan asks for those of others
        ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_MAKERS)) as makers,
    ):
        planned = {table.qualified: planner.submit(plan.columns, table) for table in todo}
        filling = _Tables(plan, connect, makers, progress, part, planned)
        # A slice cannot be truncated and begun again, so its rows come in one transaction.
        several = jobs > 1 and part.of == 1
        alone = [table for table in todo if several and _is_alone(plan, table, sizes, jobs)]
        with ThreadPoolExecutor(max(jobs, 1)) as pool:
            for table in alone:
                filling.split(table, jobs, pool)
            filling.todo = iter(table for table in todo if table not in alone)
            with _together(filling, [filling.work] * max(min(jobs, len(todo)), 1), pool):
                pass  # and nothing beside them
    done = {table.name: table for table in filling.done}
    return tuple(done[table.qualified] for table in tables)


class _Tables:
    """Tables still to be filled, shared by the threads that fill them."""

    def __init__(
        self,
        plan: Plan,
        connect: Connect,
        makers: ThreadPoolExecutor,
        progress: Progress | None,
        part: Part,
        planned: Mapping[str, Future[Any]],
    ) -> None:
        self.plan = plan
        self.planned = planned  # a table's plan is only read once its future is done
        self.connect = connect
        self.makers = makers
        self.part = part
        self.done: list[LoadedTable] = []
        self.todo: Iterator[TableProfile] = iter(())
        self.lock = threading.Lock()
        self._progress = progress
        self._stop = threading.Event()
        self._connections: list[psycopg.Connection[Any]] = []

    def work(self) -> None:
        """Fill tables over one connection while there are any."""
        with self._opened() as connection:
            while not self._stop.is_set():
                with self.lock:
                    table = next(self.todo, None)
                if table is None:
                    return
                self.done.append(self._filled(connection, table))

    def split(self, table: TableProfile, streams: int, pool: ThreadPoolExecutor) -> None:
        """Fill one table over several connections, which take its blocks in turn."""
        began = time.monotonic()
        self.planned[table.qualified].result()
        one = self._of(table)
        with self._opened() as connection:
            if not one.is_done:
                self._streamed(connection, one, streams, pool)
            self.done.append(one.indexed(connection, began))

    def _streamed(
        self,
        connection: psycopg.Connection[Any],
        one: Filling,
        streams: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        """All rows of a table, by streams that connect while it is tried out how full its pages are."""
        table, (first, end) = one.table, one.rows
        source = one.blocks(first, end)
        sent = self._counter(table, end - first)
        ready: Future[Target] = Future()

        def stream() -> None:
            with self._opened() as own, told(table.qualified):
                target = ready.result()
                with own.transaction():
                    target.copy(own, self._shared(source), sent, frozen=False)

        try:
            with _together(self, [stream] * streams, pool), told(table.qualified):
                target = one.target(connection)
                with connection.transaction():
                    target.truncate(connection)
                ready.set_result(target)
        finally:
            ready.cancel()
            with self.lock:  # a stream may be taking a block
                source.close()
        with told(table.qualified), connection.transaction():
            target.restore(connection)
            mended = mend(connection, table)
            note_filled(connection, table.qualified, self.part.number, end - first)
        target.rewrite(connection, mended, end - first)
        if frozen_rows(self.plan, table) == self.plan.counts[table.qualified]:
            connection.execute(f"VACUUM {ddl.place_of(table)}".encode())

    def cancel(self) -> None:
        """End what the threads are doing, on the server too."""
        self._stop.set()
        for one in self.planned.values():
            one.cancel()
        for connection in self._connections:
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)

    def _filled(self, connection: psycopg.Connection[Any], table: TableProfile) -> LoadedTable:
        began = time.monotonic()
        self.planned[table.qualified].result()
        one = self._of(table)
        if one.is_done:
            return one.indexed(connection, began)
        first, end = one.rows
        target = one.target(connection)
        frozen = min(max(frozen_rows(self.plan, table), first), end) if self.part.of == 1 else first
        sent = self._counter(table, end - first)
        with told(table.qualified), connection.transaction():
            if self.part.of == 1:
                target.truncate(connection)
            self._copied(connection, one, target, sent, (first, frozen, end))
            fuller = one.fuller(connection, target)
            if fuller is not None:
                target = fuller
                target.truncate(connection)
                self._copied(connection, one, target, lambda _: None, (first, frozen, end))
            mended = 0
            if self.part.of == 1:
                target.restore(connection)
                mended = mend(connection, table)
            note_filled(connection, table.qualified, self.part.number, end - first)
        if self.part.of == 1 and not table.partition_key and target.columns:
            target.rewrite(connection, mended, end - first)
            target.trim(connection, self.plan, one.some)
        return one.indexed(connection, began)

    def _copied(
        self,
        connection: psycopg.Connection[Any],
        one: Filling,
        target: Target,
        sent: Callable[[int], None],
        rows: tuple[int, int, int],
    ) -> None:
        """Rows from the first to the last, up to the second number frozen."""
        first, frozen, end = rows
        for begin, stop, freeze in ((first, frozen, True), (frozen, end, False)):
            if begin < stop and target.columns:
                made = self._watched(one.blocks(begin, stop))
                target.copy(connection, made, sent, frozen=freeze)

    def _of(self, table: TableProfile) -> Filling:
        return Filling(plan=self.plan, makers=self.makers, part=self.part, table=table)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[psycopg.Connection[Any]]:
        with opened(self.connect, self.plan.profile.search_path) as connection:
            self._connections.append(connection)
            yield connection

    def _counter(self, table: TableProfile, total: int) -> Callable[[int], None]:
        done = 0

        def sent(rows: int) -> None:
            nonlocal done
            with self.lock:
                done += rows
                if self._progress is not None:
                    self._progress(table.qualified, done, total)

        return sent

    def _shared(self, source: Iterator[Block]) -> Iterator[Block]:
        while True:
            with self.lock:
                block = None if self._stop.is_set() else next(source, None)
            if block is None:
                return
            yield block

    def _watched(self, source: Iterable[Block]) -> Iterator[Block]:
        for block in source:
            if self._stop.is_set():
                raise DataGenError("stopped, another table failed")
            yield block


@contextlib.contextmanager
def _together(
    filling: _Tables, calls: Sequence[Callable[[], None]], pool: ThreadPoolExecutor
) -> Iterator[None]:
    """All calls at once, beside what is done meanwhile; where one fails, the others end, too."""
    running = [pool.submit(call) for call in calls]
    try:
        yield
        for one in as_completed(running):
            one.result()
    except BaseException:
        filling.cancel()
        raise


def _bytes(plan: Plan, table: TableProfile) -> int:
    """About what a table's rows weigh."""
    width = sum(column.average_width for column in table.columns) + 28
    return plan.counts[table.qualified] * width


def _is_alone(plan: Plan, table: TableProfile, sizes: Mapping[str, int], jobs: int) -> bool:
    """Whether the others would be done long before it."""
    many = plan.counts[table.qualified] >= _LEAST_SPLIT
    return many and sizes[table.qualified] * jobs > (1 + _ALONE) * sum(sizes.values())
