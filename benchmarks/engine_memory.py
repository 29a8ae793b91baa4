"""Peak memory of planning, driving, bringing in and judging a load, by its size.

`python benchmarks/engine_memory.py --statements 1_000_000 10_000_000`: each size in processes of its
own, on a private server, as fast as it goes. What grows with the load shows here.
"""

import argparse
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
from replay.load import sharding
from replay.load.launch import launch
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.transactions import transactions
from replay.load.verdict import judge

ROWS = 100_000
POOL = 16
SLICE = 100_000


def peak_mb(pid: int | str = "self") -> float:
    """Resident memory of a process at most, until now."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1024


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
    workers_mb: list[float] = []

    def look(over: threading.Event) -> None:
        while not over.wait(0.5):
            for child in psutil.Process().children():
                try:
                    workers_mb.append(peak_mb(child.pid))
                except (OSError, StopIteration):
                    continue

    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        began = time.monotonic()
        sharding.write_shards(here, planned(count, seconds))
        planned_s, planned_mb = time.monotonic() - began, peak_mb()
        over = threading.Event()
        threading.Thread(target=look, args=(over,), daemon=True).start()
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
        over.set()
        brought_in_mb = peak_mb()
        judged = judge(
            transactions(rundir.read_blocks(here, "attempts"), count),
            planned=count,
            report=report,
            objective_ms=250,
            boosted=(),
        )
        megabytes = sum(file.stat().st_size for file in here.iterdir()) / (1 << 20)
    print(
        f"{count:12,} statements, {megabytes:6,.0f} MB on disk: planned in {planned_s:.0f} s and "
        f"{planned_mb:.0f} MB, worker {max(workers_mb):.0f} MB, brought in with "
        f"{brought_in_mb:.0f} MB, judged with {peak_mb():.0f} MB; {report.state}, "
        f"{judged.accounting.ok:,} ok",
        flush=True,
    )


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
