"""Start one Locust for each shard, give all of them one origin, and bring back what they did."""

import contextlib
import fcntl
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from replay.errors import InputError
from replay.load.child import Child
from replay.load.collect import collect
from replay.load.following import Following
from replay.load.native import library
from replay.load.report import LoadReport
from replay.load.shard import read_index

__all__ = ["LoadReport", "launch", "salvage"]

log = logging.getLogger(__name__)

_HTTP = "http"  # the scenario whose worker speaks to a service
_ORIGIN = "origin"  # the file that has it, CLOCK_MONOTONIC ns
_LEAD_NS = 200_000_000  # from the announcement of the origin to the origin
_READY_S = 120.0  # for Locust to start and all sessions to be open
_LOGIN_S = 1800.0  # … and before that, for all sessions to log in, where they do
_SLACK_S = 30.0  # beyond the planned end, before a worker counts as hung


def launch(
    shards: Path,
    *,
    dsn: str,
    run: Path,
    scenario: str,
    pool: int,
    pool_timeout_ms: int,
    statement_timeout_ms: int,
    duration_s: float,
    drain_s: float,
    service: str = "",
    client: Mapping[str, str | bool] | None = None,
    aside_pool: int = 0,
    ready: Callable[[int], None] | None = None,
) -> LoadReport:
    """Drive the shards and leave the attempts in the run directory, most of them meanwhile.

    Records and the workers' reports stand beside the shards. Where this process is killed, `salvage`
    makes of them what the attempts lack.
    Of a recording, whose sessions have connections of their own, `pool` is 0.
    `client` has more options of requests to a service (see options.py); with an `aside_pool` the last
    worker sends statements to the database over so many sessions.
    `ready` is called with the origin (CLOCK_MONOTONIC ns) some 200 ms before it. A run that is
    stopped by SIGINT or SIGTERM, or that lost a worker, still returns its report, which says so.
    Raises RefusedError, InputError or EnvironmentFaultError where the load could not begin, and
    EnvironmentFaultError where the attempts cannot be written.
    """
    workers = len(read_index(shards).planned)
    sharing = workers - (aside_pool > 0)
    if 0 < pool < sharing:
        raise InputError(f"a pool of {pool} is too small for {sharing} workers")
    common = {
        "shards": shards.absolute(),
        "run-directory": shards.absolute(),
        "pool-timeout-ms": pool_timeout_ms,
        "statement-timeout-ms": statement_timeout_ms,
        "duration": duration_s,
        "drain": drain_s,
        "service": service,
        **(client or {}),
    }
    library.ensure()
    children: list[Child] = []
    origin_ns, interrupted = 0, False
    with (
        _held(shards) as lock,
        _sigterm_as_interrupt(),
        Following(shards, shards, run, range(workers), lock) as following,
    ):
        try:
            for worker in range(workers):
                share = pool // sharing + (worker < pool % sharing)
                is_aside = worker >= sharing
                own = {"pool": aside_pool, "service": ""} if is_aside else {"pool": share}
                children.append(
                    Child(
                        _scenario_file(_HTTP if service and not is_aside else scenario),
                        {**common, "worker-index": worker, **own},
                        dsn=dsn,
                        lock=lock,
                        cwd=shards,
                        log_file=run / f"locust-{worker}.log",
                    )
                )
            logs_in = bool(client and client.get("login"))
            origin_ns = _begin(children, shards, _READY_S + logs_in * _LOGIN_S)
            following.begin(origin_ns)
            if ready is not None:
                ready(origin_ns)
            deadline = time.monotonic() + duration_s + drain_s + _SLACK_S
            for child in children:
                child.await_end(deadline)
        except KeyboardInterrupt:
            interrupted = True
            log.warning("stopping: what is under way is cancelled, what was done is kept")
        finally:
            _stop(children)
    return collect(
        shards,
        shards,
        run,
        t0_ns=origin_ns or time.monotonic_ns(),
        duration_s=duration_s,
        interrupted=interrupted,
    )


def began(shards: Path) -> bool:
    """Whether the load that is baked here was ever driven."""
    return (shards / _ORIGIN).is_file()


def salvage(shards: Path, run: Path, duration_s: float) -> LoadReport | None:
    """Complete the attempts of a load whose launcher was killed; None while its workers still run."""
    try:
        with _held(shards):
            origin = shards / _ORIGIN
            return collect(
                shards,
                shards,
                run,
                t0_ns=int(origin.read_text()) if origin.is_file() else 0,
                duration_s=duration_s,
                interrupted=True,
            )
    except BlockingIOError:
        return None


@contextlib.contextmanager
def _held(shards: Path) -> Iterator[int]:
    """Hold the load, as each of its processes does: a lock that ends with the last of them."""
    with (shards / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock.fileno()


def _begin(children: list[Child], shards: Path, ready_s: float) -> int:
    """Wait until all sessions of all workers are open, then fix the origin."""
    deadline = time.monotonic() + ready_s
    for child in children:
        child.await_ready(deadline)
    origin_ns = time.monotonic_ns() + _LEAD_NS
    (shards / _ORIGIN).write_text(str(origin_ns))
    for child in children:
        child.begin(origin_ns)
    return origin_ns


def _stop(children: list[Child]) -> None:
    for child in children:
        child.ask_to_end()
    for child in children:
        child.stop()


def _scenario_file(scenario: str) -> Path:
    spec = find_spec("scenarios")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    for folder in folders:
        file = Path(folder) / f"{scenario}.py"
        if file.is_file():
            return file.absolute()
    raise InputError(f"no scenario is called {scenario}")


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """For the length of the load SIGTERM does what Ctrl-C does, where we may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
