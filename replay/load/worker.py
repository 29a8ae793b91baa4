"""One worker's run of its shard, from the guard to the report, inside the patched process.

Threads, events and sleeps here are greenlets' (Locust has patched the standard library): they wait
without stopping the event loop, in whose callbacks the engine runs. A worker that is killed in the
middle cancels what is under way, closes every session, writes what it has, and says so.
"""

import gc
import logging
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from replay import service
from replay.errors import EnvironmentFaultError
from replay.load.compiled import Compiled
from replay.load.connections import Connections
from replay.load.cpu import CpuShare
from replay.load.engine import Engine
from replay.load.free import ByClient, OfClient
from replay.load.native import library
from replay.load.ordered import Ordered
from replay.load.ramp import Lookout, read_steps
from replay.load.record import DTYPE, records_file
from replay.load.recorded import Recorded
from replay.load.report import FAILED, FINISHED, INTERRUPTED, WorkerReport, write_worker
from replay.load.services import Services
from replay.load.shard import Index, read_arrivals, read_sessions, read_shard, shard_file
from replay.load.webui import Live

log = logging.getLogger(__name__)

_BEAT_S = 0.25  # a crash loses the records of one beat at most
_RECENT = 12  # beats: the last seconds, for who looks while it runs
_TOLD = 1024  # records that are told at a time: meanwhile nothing is sent
_CONNECTING = 8  # sessions of a recording that connect at once
_YOUNG = 50_000  # objects between two looks for cycles, of which the load makes none
_CANCEL_S = 3.0  # how long a cancelled statement may take to end


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTask:
    """What one worker has to do."""

    shards: Path
    run: Path  # where records and report are written
    worker: int  # which shard
    dsn: str
    pool: int
    pool_timeout_ms: int
    statement_timeout_ms: int
    duration_s: float
    drain_s: float
    shares_loop: bool = False  # with another worker of this process: see aside
    service: str = ""  # URL, where requests are sent to a service instead of statements
    ca: str = ""  # file of the certificates that sign its own
    insecure: bool = False  # any certificate is good
    login: str = ""  # function that logs a session in
    csrf: tuple[str, ...] = ()  # see clients.Clients
    fresh: tuple[str, ...] = ()


class Worker:
    """Drives one shard; `stop` ends it early from any greenlet."""

    def __init__(
        self,
        task: WorkerTask,
        index: Index,
        loop: Any,
        tell: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        """`tell` is given the new records (record.DTYPE), a few times a second."""
        self._task = task
        self._index = index
        self._tell = tell
        self._recent_lag_ns: deque[np.ndarray] = deque(maxlen=_RECENT)
        self._connections = _connections(task, index.per_client)
        self._over = threading.Event()
        self._stopped = False
        self._disk_full = False
        self._origin_ns: int | None = None
        self._ended_us: int | None = None  # where it ended by its own judgement
        self._stopped_us: int | None = None
        self._arrivals = read_arrivals(task.shards)
        ramp = read_steps(task.shards)
        self._lookout = Lookout(ramp, self._arrivals["due_us"]) if ramp else None
        self._cpu = CpuShare()
        self._engine = self._new_engine(loop)

    def _new_engine(self, loop: Any) -> Engine:
        task, calls = self._task, self._index.calls
        arrivals = read_shard(task.shards, task.worker)
        done, lost = self._over.set, self._connections.lost
        if self._index.recorded:
            sessions = read_sessions(task.shards, task.worker)
            return (Ordered if self._index.ordered else Recorded)(
                arrivals,
                calls,
                sessions=sessions,
                loop=loop,
                done=done,
                lost=lost,
                settings=self._index.settings,
                retries=self._index.retries,
                new_session=self._connections.new_session,
            )
        options: dict[str, Any] = {
            "pool": task.pool,
            "pool_timeout_ns": task.pool_timeout_ms * 1_000_000,
            "loop": loop,
            "done": done,
            "lost": lost,
            "settings": self._index.settings,
            "retries": self._index.retries,
            "new_session": self._connections.new_session,
        }
        is_plain = self._connections.are_plain() and not task.shares_loop
        run = library.load() if is_plain else None
        if run is None:
            free = ByClient() if task.service else None
            return Engine(arrivals, calls, free=free, **options)
        return Compiled(shard_file(task.shards, task.worker), calls, run=run, **options)

    def live(self) -> Live:
        """How it goes, for who looks while it runs."""
        lag_ns = np.concatenate(self._recent_lag_ns) if self._recent_lag_ns else np.zeros(0)
        p50, p99 = np.percentile(lag_ns, (50, 99)).tolist() if len(lag_ns) else (0.0, 0.0)
        running, following = self._engine.under_way()
        return Live(
            lag_p50_us=p50 / 1e3,
            lag_p99_us=p99 / 1e3,
            per_s=len(lag_ns) / (_RECENT * _BEAT_S),
            running=running,
            waiting=self._engine.queued + self._due_from(following),
        )

    def _due_from(self, number: int) -> int:
        """How many of the worker's arrivals are due, from one of them on; -1: there is none."""
        if number < 0 or self._origin_ns is None:
            return 0
        now_us = (time.monotonic_ns() - self._origin_ns) // 1000
        due = bisect_right(self._arrivals["due_us"], now_us, lo=number)
        return int((self._arrivals["worker"][number:due] == self._task.worker).sum())

    def stop(self) -> None:
        """End the run now; what is under way is cancelled."""
        self._stopped = True
        self._over.set()

    def run(self, barrier: Callable[[], int | None]) -> WorkerReport:
        """Connect, wait at the barrier for the origin (CLOCK_MONOTONIC ns), drive, report.

        A barrier that gives None ends the run before it began. Raises RefusedError where the target
        is not staging and EnvironmentFaultError where it does not let all sessions in.
        """
        state, error = INTERRUPTED, ""
        with records_file(self._task.run, self._task.worker).open("wb", buffering=0) as records:
            try:
                self._connections.open_all(self._engine)
                gc.collect()
                gc.freeze()  # a full collection over all that is loaded would make statements late
                gc.set_threshold(_YOUNG)
                origin_ns = barrier()
                if origin_ns is not None:
                    self._drive(origin_ns, records)
                    state = INTERRUPTED if self._stopped else FINISHED
            except Exception as fault:
                state, error = FAILED, f"{type(fault).__name__}: {fault}"
                raise
            finally:
                try:
                    self._wind_up(records)
                finally:
                    self._connections.close_all(self._engine)
                    report = self._report(state, error)
                    self._tell_all(report)
        return report

    def _drive(self, origin_ns: int, records: BinaryIO) -> None:
        self._origin_ns = origin_ns
        for _ in range(_CONNECTING if self._index.recorded else 1):
            _in_background(self._connections.reopen_forever, self._engine)
        _in_background(self._connections.watch_silent, self._engine)
        self._engine.start(origin_ns)
        arrivals_end_ns = origin_ns + int(self._task.duration_s * 1e9)
        drain_end_ns = arrivals_end_ns + int(self._task.drain_s * 1e9)
        while not self._over.wait(_BEAT_S):
            block = self._flush(records)
            now = time.monotonic_ns()
            if self._lookout is not None:
                self._lookout.saw(block, origin_ns)
                if self._lookout.passed((now - origin_ns) / 1e9):
                    self._ended_us = (now - origin_ns) // 1000
                    break
            if origin_ns <= now < arrivals_end_ns:
                self._cpu.sample()
            if now >= drain_end_ns:
                log.warning("%g s after the last arrival: cancelling the rest", self._task.drain_s)
                break
        if self._engine.error is not None:
            raise self._engine.error

    def _flush(self, records: BinaryIO) -> np.ndarray:
        packed = self._engine.take_records()
        self._write(records, packed)
        block = np.frombuffer(packed, DTYPE)
        if self._tell is not None:
            self._recent_lag_ns.append(block["lag"][block["began"] >= 0])
            for begin in range(0, len(block), _TOLD):
                self._tell(block[begin : begin + _TOLD])
                time.sleep(0)  # what is due goes first
        return block

    def _write(self, records: BinaryIO, block: bytes) -> None:
        """Write a block whole; where the disk is full, end the run, and say so once."""
        if self._disk_full:
            return
        left = memoryview(block)
        try:
            while left:
                left = left[records.write(left) :]
        except OSError as error:
            self._disk_full = True
            raise EnvironmentFaultError(
                f"{self._task.run}: cannot write what was done: {error.strerror}; make room there"
            ) from error

    def _wind_up(self, records: BinaryIO) -> None:
        """End what is under way, by cancel and then by closing, and write the last records."""
        self._connections.stop_reopening()
        self._over.clear()
        under_way = self._engine.end()
        if self._origin_ns is not None:
            self._stopped_us = (time.monotonic_ns() - self._origin_ns) // 1000
        if under_way:
            self._connections.cancel(under_way, _CANCEL_S)
            self._over.wait(_CANCEL_S)
        self._engine.close()
        self._flush(records)

    def _tell_all(self, report: WorkerReport) -> None:
        try:
            write_worker(self._task.run, report)
        except OSError as error:
            log.warning("%s: cannot write the worker's report: %s", self._task.run, error)

    def _report(self, state: str, error: str) -> WorkerReport:
        return WorkerReport(
            worker=self._task.worker,
            state=state,
            error=error,
            ended_us=self._ended_us,
            stopped_us=self._stopped_us,
            cpu_share=self._cpu.share,
            lost_connections=self._engine.lost_connections,
            refused_settings=self._engine.refused_settings,
            out_of_order=self._engine.out_of_order,
            reconnections=self._connections.reopened,
            opened=sum(one.opened for one in self._engine.sessions if isinstance(one, OfClient)),
        )


def _connections(task: WorkerTask, per_client: int) -> Connections | Services:
    if task.service:

        def sessions() -> Iterable[bytes]:
            arrivals = read_shard(task.shards, task.worker)
            return dict.fromkeys(line.values[1] or b"" for one in arrivals for line in one.lines)

        return Services(
            service.find(task.service, ca=task.ca, insecure=task.insecure),
            task.statement_timeout_ms,
            per_client=per_client,
            sessions=sessions,
            login=task.login,
            csrf=task.csrf,
            fresh=task.fresh,
        )
    return Connections(task.dsn, task.statement_timeout_ms)


def _in_background(work: Callable[[Engine], None], engine: Engine) -> None:
    threading.Thread(target=work, args=(engine,), daemon=True).start()
