"""What benchmarks/engine.py sets side by side: each drives one target for some seconds.

All of them run the same statement by random key, prepared, on as many connections; client CPU is
that of their own process, from outside where it is a foreign program. Of a paced run, where statements
are few, the start and the connecting are not counted, neither ours nor pgbench's.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from psycopg import conninfo

from replay import embedded, rundir
from replay.load import sharding
from replay.load.launch import launch
from replay.load.planned import PlannedStatement, PlannedTransaction

ROWS = 100_000
STATEMENTS = {
    "SELECT": "SELECT * FROM t WHERE id = ",
    "UPDATE": "UPDATE t SET n = n + 1 WHERE id = ",
}
SKIP_S = 0.5  # the first moments are nobody's steady state
BEYOND = 1.3  # times what could be done: always more to do than anyone does


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be driven, and where."""

    server: embedded.Server
    dsn: str
    kind: str  # of STATEMENTS
    connections: int
    seconds: float
    rate: float = 0.0  # statements a second, Poisson; 0: as fast as it goes
    capacity: float = 0.0  # statements a second that were managed before, by it or by a peer


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one run: client CPU and, where paced, how late statements began."""

    cpu_us: float  # per statement
    per_s: float
    late_us: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def late(self, percent: float) -> float:
        """A percentile of how late statements were, µs; 0 where they had no due time."""
        return float(np.percentile(self.late_us, percent)) if len(self.late_us) else 0.0


def ours(job: Job) -> Figures:
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        sharding.write_shards(here, _arrivals(job))
        report = launch(
            here,
            dsn=job.dsn,
            run=here,
            scenario="mix",
            pool=job.connections,
            pool_timeout_ms=int(job.seconds * 2000),
            statement_timeout_ms=5000,
            duration_s=job.seconds,
            drain_s=0.1,
        )
        done = rundir.read_table(here, "attempts")
    ended_s = pc.divide(pc.cast(done["ended_us"], "double"), 1e6)
    in_time = pc.and_(pc.greater(ended_s, SKIP_S), pc.less(ended_s, job.seconds))
    steady = done.filter(pc.and_(in_time, pc.equal(done["outcome"].cast("string"), "ok")))
    per_s = len(steady) / (job.seconds - SKIP_S)
    late_us = steady["lag_us"].to_numpy() if job.rate else np.zeros(0)
    return Figures(cpu_us=report.workers[0].cpu_share * 1e6 / per_s, per_s=per_s, late_us=late_us)


def _arrivals(job: Job) -> Iterator[PlannedTransaction]:
    """Poisson at the rate; or evenly, beyond what anyone could do."""
    rng = np.random.default_rng(1)
    rate = job.rate or BEYOND * job.capacity
    count = int(rate * job.seconds)
    gaps_us = rng.exponential(1e6 / rate, count) if job.rate else np.full(count, 1e6 / rate)
    keys = rng.integers(1, ROWS, count).tolist()
    for due_us, key in zip(np.cumsum(gaps_us).astype(np.int64).tolist(), keys, strict=True):
        statement = PlannedStatement(
            template="a" * 16,
            sql=f"{STATEMENTS[job.kind]}$1",
            prepared="by_id",
            values=(str(key).encode(),),
        )
        yield PlannedTransaction(due_us=due_us, statements=(statement,))


def pgbench(job: Job) -> Figures:
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "script.sql"
        script.write_text(f"\\set id random(1, {ROWS})\n{STATEMENTS[job.kind]}:id;\n")
        paced = ("--rate", str(job.rate), "-l") if job.rate else ()
        command = [
            *(job.server.installation.program("pgbench"), "-n", "-M", "prepared", "-j", "1"),
            *("-f", str(script), "-c", str(job.connections), "-T", str(int(job.seconds)), *paced),
        ]
        if job.rate:
            return _steady(command, job, Path(scratch))
        said, cpu_s = _measured(command, job.dsn, scratch)
    found = [line for line in said.splitlines() if "actually processed" in line]
    count = int(found[0].split(":")[1].split("/")[0])
    return Figures(cpu_us=cpu_s * 1e6 / count, per_s=count / job.seconds)


def _steady(command: list[str], job: Job, scratch: Path) -> Figures:
    """Its figures from when it has all its connections to shortly before its end."""
    with subprocess.Popen(
        command,
        env=_where(job.dsn),
        cwd=scratch,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        since = _watch(process.pid, 2 * SKIP_S)
        until = _watch(process.pid, job.seconds - 3 * SKIP_S)
    assert process.returncode == 0, command
    lines = [line.split() for f in scratch.glob("pgbench_log.*") for line in f.open()]
    ended = np.array([int(fields[4]) + int(fields[5]) / 1e6 for fields in lines])
    late_us = np.array([float(fields[6]) for fields in lines])
    steady = (ended > since[0]) & (ended <= until[0])
    count = int(steady.sum())
    return Figures(
        cpu_us=(until[1] - since[1]) / 1e3 / count,
        per_s=count / (until[0] - since[0]),
        late_us=late_us[steady],
    )


def _watch(pid: int, after_s: float) -> tuple[float, int]:
    """What time it is a while later, and the CPU, ns, that a process of one thread has had."""
    time.sleep(after_s)
    return time.time(), int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def pgreplay(job: Job) -> Figures:
    """`pgreplay -r -j` of a log of the same statements: without gaps, as fast as it goes."""
    program = shutil.which("pgreplay")
    assert program is not None
    count = int(min(job.capacity or 20_000, 20_000) * job.seconds)
    with tempfile.TemporaryDirectory() as scratch:
        log, items = Path(scratch) / "log.csv", Path(scratch) / "items"
        _write_log(log, job, count)
        parse = [program, "-f", "-c", "-o", str(items), str(log)]
        subprocess.run(parse, check=True, capture_output=True)
        where = conninfo.conninfo_to_dict(job.dsn)
        command = [
            *(program, "-r", "-j", "-h", str(where["host"]), "-p", str(where["port"])),
            str(items),
        ]
        began = time.monotonic()
        _, cpu_s = _measured(command, job.dsn, scratch)
        elapsed_s = time.monotonic() - began
    return Figures(cpu_us=cpu_s * 1e6 / count, per_s=count / elapsed_s)


def _write_log(log: Path, job: Job, count: int) -> None:
    """A csvlog as PostgreSQL writes it with log_statement and log_connections."""
    rng = np.random.default_rng(1)
    keys = rng.integers(1, ROWS, count).tolist()
    at = "2026-03-02 14:00:00"

    def line(n: int, session: int, tag: str, message: str, detail: str = "") -> str:
        return (
            f'{at}.{n % 1000:03} UTC,"postgres","postgres",{5000 + session},"[local]",'
            f'{session:x}.{5000 + session:x},{n},"{tag}",{at} UTC,1/{n},0,LOG,00000,"{message}",'
            f'"{detail}",,,,,,,,"bench","client backend",,0\n'
        )

    sql = f"{STATEMENTS[job.kind]}$1"
    with log.open("w") as stream:
        for session in range(job.connections):
            text = "connection authorized: user=postgres database=postgres"
            stream.write(line(1, session, "authentication", text))
        for n, key in enumerate(keys):
            session = n % job.connections
            told = f"parameters: $1 = '{key}'"
            stream.write(line(n + 2, session, job.kind, f"execute by_id: {sql}", told))
        for session in range(job.connections):
            text = "disconnection: session time: 0:00:01.0 user=postgres database=postgres"
            stream.write(line(count + 2, session, "idle", text))


def locust_cursor(job: Job) -> Figures:
    peer = Path(__file__).parent / "engine_peer.py"
    command = [
        *(sys.executable, "-m", "locust", "-f", str(peer), "--headless"),
        *("-u", str(job.connections), "-r", "200", "-t", str(int(job.seconds) + 8)),
        *("--only-summary", "--loglevel", "ERROR"),
    ]
    settings = {"PEER_RATE": str(job.rate), "PEER_SQL": f"{STATEMENTS[job.kind]}%s"}
    return _told(command, job, settings)


def bare_socket(job: Job) -> Figures:
    """CPython's floor: the protocol's bytes over the socket, and nothing else."""
    return _bare(job, "socket")


def bare_libpq(job: Job) -> Figures:
    """The same through libpq."""
    return _bare(job, "libpq")


def _bare(job: Job, way: str) -> Figures:
    command = [sys.executable, str(Path(__file__).parent / "engine_floor.py")]
    sql = f"{STATEMENTS[job.kind]}$1"
    settings = {"PEER_SECONDS": str(job.seconds), "PEER_SQL": sql, "PEER_WAY": way}
    return _told(command, job, settings)


def _told(command: list[str], job: Job, settings: Mapping[str, str]) -> Figures:
    """What a peer of our own leaves behind."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "figures.json"
        settings = {
            **settings,
            "PEER_DSN": job.dsn,
            "PEER_USERS": str(job.connections),
            "PEER_OUT": str(out),
        }
        subprocess.run(
            command, check=True, capture_output=True, cwd=scratch, env={**os.environ, **settings}
        )
        found = json.loads(out.read_text())
    return Figures(
        cpu_us=found["cpu_s"] * 1e6 / found["statements"],
        per_s=found["statements"] / (found["until"] - found["since"]),
        late_us=np.array(found["late_us"]),
    )


def _measured(command: list[str], dsn: str, cwd: str) -> tuple[str, float]:
    """What a program says, and its CPU seconds."""
    before = os.times()
    said = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=cwd, env=_where(dsn)
    )
    after = os.times()
    cpu_s = after.children_user + after.children_system
    return said.stdout, cpu_s - before.children_user - before.children_system


def _where(dsn: str) -> dict[str, str]:
    """The environment, with the target as libpq takes it from there."""
    where = conninfo.conninfo_to_dict(dsn)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    names["sslmode"] = "PGSSLMODE"
    return dict(os.environ) | {
        names[key]: str(value) for key, value in where.items() if key in names
    }
