"""What a run survives, and what it says of it: server, network, disk and its own processes fail."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pyarrow.parquet as pq
import pytest
from made_load import READ, arrivals, make_staging, one, poll, sessions, statement, update
from made_network import Proxy, proxied
from made_replay import statement as captured
from made_replay import transaction, write

from replay import embedded, rundir
from replay.conduct.salvage import salvage
from replay.errors import EnvironmentFaultError
from replay.load import sharding
from replay.load.launch import launch
from replay.load.planned import PlannedStatement
from replay.load.transactions import transactions
from replay.load.verdict import judge
from replay.outcome import LOST, OK

REPLAY = (sys.executable, "-c", "from replay.cli import main; main()")
CHANGED = "SELECT sum(n) FROM t"
TIMED_OUT = "57014"


@pytest.fixture(scope="module")
def frail() -> Iterator[embedded.Server]:
    """A server of these tests' own, to be stopped in the middle."""
    with embedded.server({"fsync": "off", "max_connections": "40"}) as running:
        make_staging(running.dsn())
        yield running


def restart(server: embedded.Server) -> None:
    embedded.control(server, "stop", "-m", "immediate", "-w")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn())
    embedded.control(server, "start", "-w", "-l", str(server.home / "start.log"))


def terminate(server: embedded.Server) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for pid in sessions(server.dsn())[:3]:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


def cut(proxy: Proxy) -> None:
    """Nothing comes and nobody is told, until the load has tried to connect anew."""
    before = proxy.accepted
    proxy.stall()
    poll(lambda: proxy.accepted >= before + 2, 20)
    proxy.flow()


def test_load_comes_back_after_each_fault(frail: embedded.Server, tmp_path: Path) -> None:
    dsn = frail.dsn()
    faults: list[BaseException] = []
    survived: list[str] = []

    def suffer(proxy: Proxy) -> None:
        try:
            for name, fault in (
                ("terminated", lambda: terminate(frail)),
                ("restarted", lambda: restart(frail)),
                ("reset", proxy.reset),
                ("cut", lambda: cut(proxy)),
            ):
                grows(dsn)
                fault()
                grows(dsn)
                survived.append(name)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            faults.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    def of(number: int) -> tuple[PlannedStatement, ...]:
        return update(number) if number % 15 else (statement(READ, "SELECT pg_sleep(30)"),)

    planned = sharding.write_shards(tmp_path / "shards", arrivals(100, 90, of))
    (tmp_path / "a.run").mkdir()
    with proxied(frail.home) as proxy:
        thread = threading.Thread(target=suffer, args=(proxy,))
        report = launch(
            tmp_path / "shards",
            dsn=proxy.dsn(dsn),
            run=tmp_path / "a.run",
            scenario="mix",
            pool=8,
            pool_timeout_ms=1000,
            statement_timeout_ms=300,
            duration_s=90,
            drain_s=1,
            ready=lambda _: thread.start(),
        )
        thread.join()
    assert not faults, faults
    assert survived == ["terminated", "restarted", "reset", "cut"]
    attempts = rundir.read_table(tmp_path / "a.run", "attempts")
    verdict = judge(
        transactions([attempts]),
        planned=planned.transactions,
        report=report,
        objective_ms=250,
        boosted=(),
    )
    outcomes = Counter(attempts["outcome"].to_pylist())
    assert outcomes[LOST] >= 3
    assert outcomes[TIMED_OUT] >= 1
    assert outcomes[OK] > 100
    assert report.state == "interrupted"
    assert not verdict.valid
    (worker,) = report.workers
    assert worker.lost_connections >= 3 + 8 + 1
    assert worker.reconnections >= 3 + 1
    poll(lambda: not sessions(dsn))
    assert not [child for child in psutil.Process().children() if "locust" in child.name()]


def grows(dsn: str) -> None:
    """The load works: twenty updates more."""
    before: list[int] = []

    def more() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            changed = one(dsn, CHANGED)
            before.append(changed)
            return changed >= before[0] + 20
        return False

    poll(more, 30)


def test_a_server_that_refuses_is_named_before_the_load_begins(
    frail: embedded.Server, tmp_path: Path
) -> None:
    sharding.write_shards(tmp_path, arrivals(10, 1.0, update))
    with proxied(frail.home) as proxy:
        nowhere = proxy.dsn(frail.dsn())
    with pytest.raises(EnvironmentFaultError, match="refused"):
        launch(
            tmp_path,
            dsn=nowhere,
            run=tmp_path,
            scenario="mix",
            pool=1,
            pool_timeout_ms=1000,
            statement_timeout_ms=1000,
            duration_s=1,
            drain_s=1,
        )


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    return write(
        tmp_path / "a.workload",
        [
            transaction(captured("UPDATE t SET n = n + 1 WHERE id = $1", str(n + 1)), start_us=n)
            for n in range(100)
        ],
        window_s=1.0,
    )


@contextlib.contextmanager
def running(workload: Path, dsn: str, out: Path) -> Iterator[subprocess.Popen[str]]:
    """`replay run`, until it has changed something; killed if it is still there at the end."""
    before = one(dsn, CHANGED)
    command = [
        *(*REPLAY, "run", str(workload), "--target", dsn, "--bind", "identity"),
        *("--duration", "60", "--pool", "4", "-o", str(out)),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            poll(lambda: one(dsn, CHANGED) > before + 50, 30)
            yield process
        finally:
            process.kill()


def told(run: Path) -> dict[str, object]:
    """What `replay report` says of a run."""
    said = subprocess.run([*REPLAY, "report", str(run), "--json"], capture_output=True, check=True)
    document: dict[str, object] = json.loads(said.stdout)
    return document


@pytest.mark.parametrize("workers_too", [False, True])
def test_a_killed_command_leaves_a_run_that_can_be_read(
    frail: embedded.Server, workload: Path, tmp_path: Path, *, workers_too: bool
) -> None:
    out = tmp_path / "a.run"
    with running(workload, frail.dsn(), out) as process:
        poll(lambda: bool(rundir.attempts_files(out)))
        children = psutil.Process(process.pid).children(recursive=True)
        for killed in [*(children if workers_too else ()), process]:
            killed.kill()
    assert children
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    poll(lambda: not sessions(frail.dsn()))
    assert rundir.read_manifest(out).state == "running"
    assert list(tmp_path.glob(".a.run-*"))
    left = pq.read_table(out / "attempts").to_pylist()
    assert len(left) > 30
    told(out)
    assert not list(tmp_path.glob(".a.run-*"))
    manifest = rundir.read_manifest(out)
    assert manifest.state == "failed"
    assert "the command was killed" in manifest.missing[0]
    assert any("was lost" in reason for reason in manifest.missing) == workers_too
    assert manifest.accounting is not None
    assert manifest.accounting.ok > 30
    attempts = rundir.read_table(out, "attempts").to_pylist()
    assert attempts[: len(left)] == left
    assert len(attempts) == manifest.accounting.planned
    assert not salvage(out)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system: {error}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_ends_the_run_readable(
    frail: embedded.Server, workload: Path, small_disk: Path
) -> None:
    out = small_disk / "a.run"
    with running(workload, frail.dsn(), out) as process:
        with contextlib.suppress(OSError), (small_disk / "filler").open("wb", 0) as filler:
            while filler.write(bytes(4096)):
                pass
        _, said = process.communicate(timeout=60)
    assert process.returncode == EnvironmentFaultError.exit_code, said
    assert "No space left on device" in said
    poll(lambda: not sessions(frail.dsn()))
    assert rundir.read_manifest(out).state == "failed"
    assert "No space left on device" in rundir.read_manifest(out).missing[0]
    recorded = len(rundir.read_table(out, "attempts"))
    (small_disk / "filler").unlink()
    told(out)
    manifest = rundir.read_manifest(out)
    assert manifest.accounting is not None
    assert manifest.accounting.ok > 50
    assert not manifest.valid
    assert len(rundir.read_table(out, "attempts")) == manifest.accounting.planned >= recorded
