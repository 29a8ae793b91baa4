"""The sampler: a thread that looks at the server's sessions some times a second.

It has a connection of its own and keeps pace from one origin: a sample that comes late, or not at
all, is counted as missed and never shifts those after it. A lost connection is opened again.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from time import monotonic_ns
from types import TracebackType
from typing import Any, Self

import psycopg
import pyarrow as pa

from replay import rundir, target
from replay.errors import ReplayError
from replay.tag import template_of
from replay.watch.buffer import Columns
from replay.watch.locks import PREPARED, Seen, edges
from replay.watch.waits import normal

log = logging.getLogger(__name__)

_TIMEOUT_MS = 2000  # a sample that takes longer is missed
_SECOND_NS = 1_000_000_000
_LISTED, _BLOCKERS = 7, 8  # positions among the columns of activity.sql
_Row = tuple[Any, ...]
_SQL = files(__package__).joinpath("activity.sql").read_text(encoding="utf-8").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the sampler saw, times relative to the run's origin."""

    samples: pa.Table  # rundir.SAMPLES
    blocking: pa.Table  # rundir.BLOCKING
    missed: int  # samples that were due and did not come


class Watch:
    """Samples a marked target in the background, from `start` to `stop`, or over a `with` block."""

    def __init__(self, dsn: str, hz: float = 10.0) -> None:
        self._connect = target.connector(dsn)
        self._period_ns = round(_SECOND_NS / hz)
        self._samples = Columns(rundir.SAMPLES)
        self._blocking = Columns(rundir.BLOCKING)
        self._missed = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._connection: psycopg.Connection | None = None

    def start(self) -> None:
        """Connect and begin; raises what connecting to a target raises."""
        self._connection = self._open()
        self._thread.start()

    def stop(self, t0_ns: int) -> Watched:
        """End, and give what was seen since `t0_ns` (CLOCK_MONOTONIC)."""
        self._end()
        return Watched(
            samples=self._samples.table(origin=t0_ns // 1000),
            blocking=self._blocking.table(origin=t0_ns // 1000),
            missed=self._missed,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _open(self) -> psycopg.Connection:
        connection = self._connect()
        connection.execute(f"SET statement_timeout = {_TIMEOUT_MS}".encode())
        return connection

    def _run(self) -> None:
        origin = monotonic_ns()
        number = 0
        while not self._over.wait((origin + number * self._period_ns - monotonic_ns()) / 1e9):
            if not self._sample():
                self._missed += 1
            due = (monotonic_ns() - origin) // self._period_ns + 1
            self._missed += due - number - 1
            number = due
        if self._connection is not None:
            self._connection.close()

    def _sample(self) -> bool:
        try:
            if self._connection is None:
                self._connection = self._open()
            began = monotonic_ns()
            rows = _rows(self._connection)
        except (psycopg.Error, ReplayError) as error:
            if self._connection is not None and self._connection.closed:
                log.warning("watch lost its connection: %s", str(error).strip())
                self._connection = None
            return False
        # The server looked somewhere between question and answer.
        self._keep((began + monotonic_ns()) // 2000, rows)
        return True

    def _keep(self, at_us: int, rows: Sequence[_Row]) -> None:
        """Keep what a sample saw; this runs ten times a second for every busy session."""
        self._samples.extend([_listed(at_us, row) for row in rows if row[_LISTED]])
        if not any(row[_BLOCKERS] for row in rows):
            return
        for waiter, pid, blocker in edges(tuple(map(_seen, rows))):
            state = blocker.state if blocker else "" if pid else PREPARED
            edge = (
                *(at_us, waiter.pid, pid, waiter.template, blocker.template if blocker else ""),
                *(state, waiter.lock_type, waiter.mode, waiter.relation, waiter.wait_us),
                *(waiter.key, waiter.text, blocker.text if blocker else ""),
            )
            self._blocking.extend([edge])


def ask(connection: psycopg.Connection) -> tuple[Seen, ...]:
    """The server's sessions at this moment: one sample."""
    return tuple(map(_seen, _rows(connection)))


def _rows(connection: psycopg.Connection) -> list[_Row]:
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(_SQL, prepare=True).fetchall()


@lru_cache(maxsize=4096)
def _template(query: str) -> str:
    return template_of(query)


def _listed(at_us: int, row: _Row) -> tuple[int | str, ...]:
    pid, state, wait_type, wait, query, transaction_us, query_us, *_, ours, xmin_age = row
    return (
        *(at_us, pid, state, wait_type, normal(wait_type, wait), _template(query or "")),
        *(transaction_us, query_us, "" if ours else query or "", xmin_age),
    )


def _seen(row: _Row) -> Seen:
    pid, state, _, _, query, transaction_us, _, _, *lock = row
    blockers, lock_type, mode, relation, wait_us, key, ours, _ = lock
    return Seen(
        pid=pid,
        state=state,
        template=_template(query or ""),
        transaction_age_us=transaction_us,
        blockers=blockers,
        lock_type=lock_type,
        mode=mode,
        relation=relation,
        wait_us=wait_us,
        key=key,
        text="" if ours else query or "",
    )
