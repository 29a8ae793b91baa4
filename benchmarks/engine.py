"""Client CPU per statement and lateness of the engine, beside pgbench and a plain locustfile.

`python benchmarks/engine.py`: a private server, the three in turn, several rounds, medians. Point
reads by key, prepared. *Saturated* is eight connections as fast as they go; *paced* is an open loop
of Poisson arrivals over fifty. Absolute figures are the machine's: compare within one run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import psycopg
import pyarrow.compute as pc

from replay import embedded, rundir, target
from replay.load import shard
from replay.load.launch import launch
from replay.load.shard import PlannedStatement, PlannedTransaction

ROWS = 100_000
SATURATED, PACED = 8, 50  # connections
READ = "SELECT * FROM t WHERE id = "
SKIP_S = 0.5  # the first moments are nobody's steady state


@dataclass(frozen=True)
class Figures:
    """Of one run: client CPU and, where paced, how late statements began."""

    cpu_us: float  # per statement
    per_s: float
    late_p50_us: float = 0.0
    late_p99_us: float = 0.0


def ours(server: embedded.Server, seconds: float, rate: float) -> Figures:
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        shard.write_shards(here, arrivals(seconds, rate))
        report = launch(
            here,
            dsn=server.dsn(),
            run=here,
            scenario="mix",
            pool=PACED if rate else SATURATED,
            pool_timeout_ms=int(seconds * 2000),
            statement_timeout_ms=5000,
            duration_s=seconds,
            drain_s=0.1,
        )
        done = rundir.read_table(here, "attempts")
    ended_s = pc.divide(pc.cast(done["ended_us"], "double"), 1e6)
    in_time = pc.and_(pc.greater(ended_s, SKIP_S), pc.less(ended_s, seconds))
    steady = done.filter(pc.and_(in_time, pc.equal(done["outcome"].cast("string"), "ok")))
    per_s = len(steady) / (seconds - SKIP_S)
    return Figures(
        report.workers[0].cpu_share * 1e6 / per_s,
        per_s,
        *(percentiles(steady["lag_us"].to_numpy()) if rate else ()),
    )


def arrivals(seconds: float, rate: float) -> Iterator[PlannedTransaction]:
    """Poisson at the rate; or all at once, more than anyone could do."""
    rng = np.random.default_rng(1)
    due_us = 0.0
    for _ in range(int(rate * seconds) if rate else int(60_000 * seconds)):
        if rate:
            due_us += rng.exponential(1e6 / rate)
        statement = PlannedStatement(
            template="a" * 16,
            sql=READ + "$1",
            prepared="by_id",
            values=(str(rng.integers(1, ROWS)).encode(),),
        )
        if due_us < seconds * 1e6:
            yield PlannedTransaction(due_us=int(due_us), statements=(statement,))


def pgbench(server: embedded.Server, seconds: float, rate: float) -> Figures:
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "read.sql"
        script.write_text(f"\\set id random(1, {ROWS})\n{READ}:id;\n")
        clients = PACED if rate else SATURATED
        command = [
            *(server.installation.program("pgbench"), "-n", "-M", "prepared", "-f", str(script)),
            *("-c", str(clients), "-j", "1", "-T", str(int(seconds)), "-h", str(server.home)),
            *("-U", "postgres", *(("--rate", str(rate), "-l") if rate else ()), "postgres"),
        ]
        before = os.times()
        said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=scratch)
        after = os.times()
        cpu_s = after.children_user + after.children_system
        cpu_s -= before.children_user + before.children_system
        logs = [line.split() for f in Path(scratch).glob("pgbench_log.*") for line in f.open()]
    found = [line for line in said.stdout.splitlines() if "actually processed" in line]
    count = int(found[0].split(":")[1].split("/")[0])
    late = np.array([float(fields[-1]) for fields in logs])
    return Figures(cpu_s * 1e6 / count, count / seconds, *(percentiles(late) if rate else ()))


def locust_cursor(server: embedded.Server, seconds: float, rate: float) -> Figures:
    users = PACED if rate else SATURATED
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "figures.json"
        subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "locust",
                    "-f",
                    str(Path(__file__).parent / "engine_peer.py"),
                ),
                *("--headless", "-u", str(users), "-r", "100", "-t", str(int(seconds) + 2)),
                *("--only-summary", "--loglevel", "ERROR"),
            ],
            check=True,
            capture_output=True,
            cwd=scratch,
            env={
                **os.environ,
                "PEER_DSN": server.dsn(),
                "PEER_USERS": str(users),
                "PEER_RATE": str(rate),
                "PEER_OUT": str(out),
            },
        )
        found = json.loads(out.read_text())
    return Figures(
        found["cpu_s"] * 1e6 / found["statements"],
        found["statements"] / (found["until"] - found["since"]),
        *(percentiles(np.array(found["late_us"])) if rate else ()),
    )


def percentiles(late_us: np.ndarray) -> tuple[float, float]:
    p50, p99 = np.percentile(late_us, (50, 99)).tolist()
    return p50, p99


ENGINES: dict[str, Callable[[embedded.Server, float, float], Figures]] = {
    "pgbench -M prepared": pgbench,
    "staging-replay": ours,
    "locust task, cursor": locust_cursor,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    options = parser.parse_args()
    settings = {"fsync": "off", "max_connections": "100", "shared_buffers": "'256MB'"}
    with embedded.server(settings) as server:
        target.mark_staging(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)")
            connection.execute("INSERT INTO t SELECT g, g FROM generate_series(1, %s) g", (ROWS,))
            connection.execute("VACUUM ANALYZE t")
        found: dict[tuple[str, float], list[Figures]] = {
            (name, rate): [] for rate in (0.0, options.rate) for name in ENGINES
        }
        for _ in range(options.rounds):
            for (name, rate), figures in found.items():
                figures.append(ENGINES[name](server, options.seconds, rate))
    print(f"{'':22}{'saturated':>24}{f'paced, {options.rate:g}/s':>40}")
    print(f"{'':22}{'CPU µs':>8}{'ratio':>8}{'per s':>8}", end="")
    print(f"{'CPU µs':>10}{'late p50 µs':>14}{'late p99 µs':>14}")
    base = middle(found["pgbench -M prepared", 0.0], "cpu_us")
    for name in ENGINES:
        fast, paced = found[name, 0.0], found[name, options.rate]
        cpu_us = middle(fast, "cpu_us")
        print(f"{name:22}{cpu_us:8.1f}{cpu_us / base:8.2f}{middle(fast, 'per_s'):8.0f}", end="")
        print(
            f"{middle(paced, 'cpu_us'):10.1f}{middle(paced, 'late_p50_us'):14.0f}"
            f"{middle(paced, 'late_p99_us'):14.0f}"
        )


def middle(figures: list[Figures], name: str) -> float:
    return median(getattr(entry, name) for entry in figures)


if __name__ == "__main__":
    main()
