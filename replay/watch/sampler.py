"""The sampler: a thread that looks at the server's sessions some times a second.

It has a connection of its own and keeps pace from one origin: a sample that comes late, or not at
all, is counted as missed and never shifts those after it. A lost connection is opened again.
"""

import logging
import threading
from dataclasses import dataclass
from time import monotonic_ns
from types import TracebackType
from typing import Self

import psycopg
import pyarrow as pa

from replay import runtables, target
from replay.errors import ReplayError
from replay.watch.buffer import Columns
from replay.watch.locks import PREPARED, edges
from replay.watch.looking import Looker, Sample

log = logging.getLogger(__name__)

_TIMEOUT_MS = 2000  # a sample that takes longer is missed
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the sampler saw, times relative to the run's origin."""

    samples: pa.Table  # runtables.SAMPLES
    blocking: pa.Table  # runtables.BLOCKING
    missed: int  # samples that were due and did not come


class Watch:
    """Samples a marked target in the background, from `start` to `stop`, or over a `with` block."""

    def __init__(self, dsn: str, hz: float = 10.0) -> None:
        self._connect = target.connector(dsn)
        self._period_ns = round(_SECOND_NS / hz)
        self._samples = Columns(runtables.SAMPLES)
        self._blocking = Columns(runtables.BLOCKING)
        self._missed = 0
        self._going = threading.Lock()  # until it is released; it costs less than an Event
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._looker: Looker | None = None

    def start(self) -> None:
        """Connect and begin; raises what connecting to a target raises."""
        self._looker = self._open()
        self._going.acquire()
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
        if self._going.locked():
            self._going.release()
        if self._thread.is_alive():
            self._thread.join()

    def _open(self) -> Looker:
        connection = self._connect()
        connection.execute(f"SET statement_timeout = {_TIMEOUT_MS}".encode())
        return Looker(connection)

    def _run(self) -> None:
        origin = monotonic_ns()
        number = 0
        while not self._going.acquire(
            timeout=max(origin + number * self._period_ns - monotonic_ns(), 0) / 1e9
        ):
            if not self._sample():
                self._missed += 1
            due = (monotonic_ns() - origin) // self._period_ns + 1
            self._missed += due - number - 1
            number = due
        if self._looker is not None:
            self._looker.connection.close()

    def _sample(self) -> bool:
        try:
            if self._looker is None:
                self._looker = self._open()
            began = monotonic_ns()
            sample = self._looker.look()
        except (psycopg.Error, ReplayError) as error:
            if self._looker is not None and self._looker.connection.closed:
                log.warning("watch lost its connection: %s", str(error).strip())
                self._looker = None
            return False
        # The server looked somewhere between question and answer.
        self._keep((began + monotonic_ns()) // 2000, sample)
        return True

    def _keep(self, at_us: int, sample: Sample) -> None:
        """Keep what a sample saw; this runs ten times a second for every busy session."""
        self._samples.add(([at_us] * len(sample.words), *sample.numbers), sample.words)
        rows = []
        for waiter, pid in edges(sample.waiting):
            mine, blocker = sample.sessions.get(waiter.pid), sample.sessions.get(pid)
            rows.append(
                (
                    *(at_us, waiter.pid, pid),
                    *(
                        mine.words.template if mine else "",
                        blocker.words.template if blocker else "",
                    ),
                    blocker.words.state if blocker else "" if pid else PREPARED,
                    *(waiter.lock_type, waiter.mode, waiter.relation, waiter.wait_us, waiter.key),
                    *(mine.words.text if mine else "", blocker.words.text if blocker else ""),
                )
            )
        self._blocking.extend(rows)
