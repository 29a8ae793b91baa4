"""Locust's own master and workers: one load, one origin, sums that are exact, losses that are told."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from hdrh.histogram import HdrHistogram
from made_load import (
    SCENARIO,
    WRITE,
    arrivals,
    bare_locust,
    make_staging,
    one,
    poll,
    sessions,
    statement,
)
from made_load import update as updates
from made_network import hosts, proxied, why_no_hosts
from made_service import serving

from replay import embedded, rundir
from replay.load import sharding
from replay.load.planned import PlannedTransaction
from replay.load.record import read_records, records_file
from replay.outcome import OK

# Plans for longer than Locust's master waits for a heartbeat.
SLOWLY_BAKED = """
import shutil, time
from replay.load.hooks import Load
from scenarios import mix

def bake(parsed, shards, worker, workers):
    until = time.monotonic() + 4.5
    while time.monotonic() < until:
        sum(range(1000))
    shutil.copytree(parsed.run_directory, shards, dirs_exist_ok=True)
    return Load()

class SlowlyBaked(mix.Mix):
    bake = staticmethod(bake)
"""
BELIEVED_OR_LATE = (0, 3)  # on a busy machine generators are late, and the run says so


@pytest.fixture
def staging(new_database: str) -> str:
    make_staging(new_database)
    return new_database


class Locust:
    """A master or a worker that was started by hand, and what it says."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, cwd=log.parent
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def ended(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)


class Cluster:
    """Starts them, and ends what is left."""

    def __init__(self, tmp_path: Path, target: str, duration_s: float) -> None:
        self._tmp_path = tmp_path
        self._common = [
            *(sys.executable, "-m", "locust", "-f", str(SCENARIO), "--shards", str(tmp_path)),
            *("--run-directory", str(tmp_path), "--target", target, "--pool", "8"),
            *("--duration", str(duration_s)),
        ]
        self.started: list[Locust] = []

    def start(self, *options: str, prefix: tuple[str, ...] = ()) -> Locust:
        log = self._tmp_path / f"said-{len(self.started)}"
        self.started.append(Locust([*prefix, *self._common, *options], log))
        return self.started[-1]


@contextlib.contextmanager
def cluster(tmp_path: Path, target: str, duration_s: float) -> Iterator[Cluster]:
    made = Cluster(tmp_path, target, duration_s)
    try:
        yield made
    finally:
        for locust in made.started:
            locust.process.kill()
            locust.process.wait()


def processes() -> tuple[str, ...]:
    """Two of them, at a port that nobody has: Locust's own default is one for the whole machine."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    return ("--processes", "2", "--master-bind-port", port, "--master-port", port)


def test_locusts_own_processes_share_the_load(staging: str, tmp_path: Path) -> None:
    load = arrivals(200, 3.0, updates)
    options = (*processes(), "--duration", "3", "--pool", "5")
    scenario = tmp_path / "slowly_baked.py"
    scenario.write_text(SLOWLY_BAKED)
    with bare_locust(staging, load, tmp_path, *options, workers=2, baked_by=scenario) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode in BELIEVED_OR_LATE, said
    assert "2 workers together:\nplanned 600 = started 600 + skipped 0" in said
    assert one(staging, "SELECT sum(n) FROM t") == 600
    for worker in (0, 1):
        attempts = rundir.read_table(tmp_path, "attempts", worker=worker)
        assert set(attempts["arrival"].to_pylist()) == set(range(worker, 600, 2))
        assert set(attempts["outcome"].to_pylist()) == {OK}


def test_the_first_process_sends_statements_beside_its_requests(
    staging: str, tmp_path: Path
) -> None:
    """Of a load on a service, in the stead of requests whose bodies nobody knows."""
    head = b"GET /quick HTTP/1.1\r\nHost: here\r\n"

    def load() -> Iterator[PlannedTransaction]:
        for number, due in enumerate(arrivals(100, 2.0, updates)):
            client = f"c{number % 9}"
            asked = statement("f" * 16, "GET /quick", head.decode(), client, prepared=None)
            asked = replace(asked, values=(*asked.values, None))
            is_aside = number % 4 == 3
            statements = due.statements if is_aside else (asked,)
            yield replace(due, statements=statements, aside=is_aside, client=client)

    options = (*processes(), "--duration", "2")
    with (
        serving() as made,
        bare_locust(
            staging, list(load()), tmp_path, *options, workers=2, service=made.url
        ) as process,
    ):
        said, _ = process.communicate(timeout=60)
    assert process.returncode in BELIEVED_OR_LATE, said
    assert "2 workers together:\nplanned 200 = started 200 + skipped 0" in said
    assert (len(made.of("/quick")), one(staging, "SELECT sum(n) FROM t")) == (150, 50)
    clients = {asked.client for asked in made.of("/quick")}
    assert len(clients) >= 9
    of_both = [len(rundir.read_table(tmp_path, "attempts", worker=n)) for n in (0, 1)]
    assert (sum(of_both), min(of_both) > 40) == (150, True)
    assert len(rundir.read_table(tmp_path, "attempts", worker=2)) == 3 * 50


def test_a_stopped_master_tells_what_was_done(staging: str, tmp_path: Path) -> None:
    load = arrivals(100, 60.0, updates)
    options = (*processes(), "--duration", "60", "--pool", "4")
    with bare_locust(staging, load, tmp_path, *options, workers=2) as process:
        poll(lambda: one(staging, "SELECT sum(n) FROM t") > 20)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "2 workers together:\nplanned 6000 = started" in said
    assert said.count("stopped before the planned end") == 2
    poll(lambda: not sessions(staging))


@pytest.mark.skipif(bool(why_no_hosts()), reason=why_no_hosts() or "-")
def test_four_hosts_drive_one_load_from_one_origin(
    server: embedded.Server, staging: str, tmp_path: Path
) -> None:
    sharding.write_shards(tmp_path, arrivals(200, 3.0, updates), workers=4)
    with (
        hosts(4) as network,
        proxied(server.home, network.address) as proxy,
        cluster(tmp_path, proxy.dsn(staging), 3) as made,
    ):
        # The bridge is ours alone, and the proxy has one port of it.
        port = str(5557 if proxy.port != 5557 else 5558)
        at = ("--master-host", network.address, "--master-port", port)
        master = made.start(
            *("--master", "--headless", "--only-summary", "--expect-workers", "4"),
            *("--master-bind-host", network.address, "--master-bind-port", port),
        )
        workers = [made.start("--worker", *at, prefix=network.on(n)) for n in range(4)]
        assert master.ended() in BELIEVED_OR_LATE, master.said
        assert [worker.ended(20) for worker in workers] == [0, 0, 0, 0], workers[0].said
    assert "4 workers together:\nplanned 600 = started 600 + skipped 0" in master.said
    assert one(staging, "SELECT sum(n) FROM t") == 600
    # Each host's records, with no clock between them but what the master's was measured to be: the
    # numbers of arrivals and their due times on this one machine's clock are one straight line.
    origins = []
    written = 0
    for worker in range(4):
        for records in read_records(records_file(tmp_path, worker)):
            first = records[records["ordinal"] == 0]
            origins.append(first["due"] - first["arrival"] * 5_000_000)
            written += int((first["arrival"] % 4 == worker).sum())
    assert written == 600
    spread_ms = (max(o.max() for o in origins) - min(o.min() for o in origins)) / 1e6
    assert spread_ms < 20
    whole = json.loads((tmp_path / "load.json").read_bytes())
    merged = HdrHistogram.decode(whole["templates"]["latency"][WRITE])
    assert merged.get_total_count() == 600
    poll(lambda: not sessions(staging))


def test_a_lost_worker_is_told_with_its_share_and_a_late_one_waits(
    staging: str, tmp_path: Path
) -> None:
    # Long enough for a worker to come meanwhile, which takes a busy machine several seconds.
    sharding.write_shards(tmp_path, arrivals(60, 12.0, updates), workers=3)
    with cluster(tmp_path, staging, 12) as made:
        master = made.start(
            *("--master", "--headless", "--only-summary", "--expect-workers", "3"),
            *("--master-bind-host", "127.0.0.1", "--master-bind-port", "0"),
        )
        poll(lambda: listening(master.process.pid) != 0)
        port = str(listening(master.process.pid))
        join = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
        workers = [made.start(*join) for _ in range(3)]
        poll(lambda: one(staging, "SELECT sum(n) FROM t") > 0)
        late = made.start(*join)
        workers[1].process.kill()
        assert master.ended() == 5, master.said
        assert [workers[n].ended(20) for n in (0, 2)] == [0, 0]
        late.ended(20)
    assert "3 workers together:\nplanned 720 = started 480 + skipped 240" in master.said
    assert "was lost, with 33% of the load (240 transactions)" in master.said
    assert "came late: it takes part from the next start on" in master.said
    with psycopg.connect(staging) as connection:
        changed = connection.execute("SELECT sum(n) FROM t").fetchone()
    assert changed is not None
    assert 480 <= changed[0] < 720
    poll(lambda: not sessions(staging))


def listening(pid: int) -> int:
    """The port at which a process listens on every interface or loopback; 0: none yet."""
    found = [
        connection.laddr.port
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    return found[0] if found else 0
