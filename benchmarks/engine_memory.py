"""Peak memory of planning, driving, bringing in, judging and telling a load, by its size.

`python benchmarks/engine_memory.py --statements 1_000_000 10_000_000`: each size in processes of its
own, on a private server, as fast as it goes. What grows with the load shows here. Counted is memory
that is a process's own (RssAnon, twenty times a second): pages of files are the kernel's to take back,
and stand beside it, as part of all that was resident (VmHWM).
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import psycopg

from replay import embedded, rundir, target
from replay.diagnose import queue
from replay.diagnose.stored import stored
from replay.diagnose.templates import by_second
from replay.diagnose.timeline import Timeline
from replay.diagnose.trends import trends
from replay.load import sharding
from replay.load.launch import launch
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.transactions import transactions
from replay.load.verdict import judge
from replay.report import columns, latency
from replay.report.attempts import Attempts
from replay.report.inflight import InFlight

ROWS = 100_000
POOL = 16
SLICE = 100_000
LOOK_S = 0.05


def memory_mb(what: str, pid: int | str = "self") -> float:
    """A figure of a process's memory, as /proc names it."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith(what))) / 1024


class Peaks:
    """The own memory, at most, of this process by stage, and of each of its children by what it is."""

    def __init__(self) -> None:
        self.stage = "planned"
        self.mb: dict[str, float] = {}
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self._saw(self.stage, "self")
            for child in psutil.Process().children():
                with contextlib.suppress(OSError, StopIteration, psutil.Error):
                    command = " ".join(child.cmdline())
                    self._saw("follower" if "following" in command else "worker", child.pid)
            time.sleep(LOOK_S)

    def _saw(self, what: str, pid: int | str) -> None:
        self.mb[what] = max(self.mb.get(what, 0.0), memory_mb("RssAnon", pid))


def planned(count: int, seconds: float) -> Iterator[PlannedTransaction]:
    """Single reads by key, evenly over the seconds."""
    rng = np.random.default_rng(1)
    for first in range(0, count, SLICE):
        keys = rng.integers(1, ROWS, min(SLICE, count - first)).tolist()
        for n, key in enumerate(keys, first):
            statement = PlannedStatement(
                template="a" * 16,
                sql="SELECT n FROM t WHERE id = $1",
                prepared="by_id",
                values=(str(key).encode(),),
            )
            yield PlannedTransaction(due_us=int(n * seconds * 1e6 / count), statements=(statement,))


def drive(count: int, rate: float) -> None:
    """One size, in this process and its worker."""
    seconds = count / rate
    peaks = Peaks()
    took_s = {}
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)

        def enter(stage: str, began: float) -> float:
            took_s[peaks.stage] = time.monotonic() - began
            peaks.stage = stage
            return time.monotonic()

        at = time.monotonic()
        sharding.write_shards(here, planned(count, seconds))
        at = enter("driven", at)
        report = launch(
            here,
            dsn=os.environ["BENCH_DSN"],
            run=here,
            scenario="mix",
            pool=POOL,
            pool_timeout_ms=600_000,
            statement_timeout_ms=5000,
            duration_s=seconds,
            drain_s=seconds,
        )
        at = enter("judged", at)
        judged = judge(
            transactions(rundir.read_blocks(here, "attempts"), count, here),
            planned=count,
            report=report,
            objective_ms=250,
            boosted=(),
        )
        at = enter("reported", at)
        tell(here, seconds)
        at = enter("diagnosed", at)
        explain(here)
        enter("", at)
        megabytes = sum(file.stat().st_size for file in here.rglob("*")) / (1 << 20)
    told = ", ".join(f"{name} {mb:.0f}" for name, mb in peaks.mb.items() if name)
    long = ", ".join(f"{name} in {s:.0f} s" for name, s in took_s.items())
    print(
        f"{count:12,} statements, {megabytes:6,.0f} MB on disk; own memory, MB: {told}; "
        f"resident {memory_mb('VmHWM'):.0f}; {long}; {report.state}, {judged.accounting.ok:,} ok, "
        f"p95 {judged.objective['p95_ms']:.1f} ms",
        flush=True,
    )


def tell(run: Path, seconds: float) -> None:
    """What a report reads of the attempts."""
    attempts = Attempts(run)
    latency.by_template(attempts, {}, {}, set())
    grid = columns.Grid(width_us=round(seconds / 60 * 1e6) + 1, count=120)
    latency.over_time(
        latency.Whole(attempts, set()), grid, lambda some: (some.from_due_ms, some.due_us)
    )
    InFlight(attempts, attempts.among(lambda _: True)).peak()


def explain(run: Path) -> None:
    """What a diagnosis reads of them."""
    attempts = stored(lambda: rundir.read_blocks(run, "attempts"))
    by_second(attempts)
    trends(attempts, {})
    Timeline(attempts, {}).statement(0, 0)
    moments_us = np.arange(0, int(max(part.due_us.max() for part in attempts.parts())), 100_000)
    queue.charge(attempts, moments_us, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [100_000, 1_000_000, 10_000_000]
    parser.add_argument("--statements", type=int, nargs="+", default=sizes)
    parser.add_argument("--rate", type=float, default=20_000.0)
    options = parser.parse_args()
    if "BENCH_DSN" in os.environ:
        drive(options.statements[0], options.rate)
        return
    with embedded.server({"fsync": "off", "shared_buffers": "'256MB'"}) as server:
        target.mark_staging(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)")
            connection.execute("INSERT INTO t SELECT g, g FROM generate_series(1, %s) g", (ROWS,))
            connection.execute("VACUUM ANALYZE t")
        for count in options.statements:
            command = [sys.executable, __file__, "--statements", str(count)]
            command += ["--rate", str(options.rate)]
            environment = {**os.environ, "BENCH_DSN": server.dsn()}
            subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
