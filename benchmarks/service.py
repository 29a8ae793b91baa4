"""Client CPU per request of a replay against a service, beside Locust's own HTTP users in one run.

`python benchmarks/service.py`: nginx (which must be installed) answers with a kilobyte, each peer drives
it as fast as it goes over 16 connections that are kept alive, in turn, several rounds, medians. Then once
more with a connection for each request, as of clients that ask once.
"""

import argparse
import contextlib
import functools
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.compute as pc

from replay import rundir
from replay.load import sharding
from replay.load.launch import launch
from replay.load.planned import PlannedStatement, PlannedTransaction

CONNECTIONS = 16
FOREVER = 1 << 30  # requests of a client
SKIP_S = 0.5  # the first moments are nobody's steady state
PATH = "/tasks/123"
CONFIGURATION = """
daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000;
  {temporary}
  server {{ listen 127.0.0.1:{port}; location / {{ default_type text/plain; return 200 "{body}"; }} }}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
PEER = """
import json, os, time
from locust import FastHttpUser, HttpUser, constant, events, task

class Peer({kind}):
    host = os.environ["PEER_URL"]
    wait_time = constant(0)

    @task
    def ask(self):
        self.client.get("{path}", headers={headers})
        now = time.monotonic()
        if now - began > {skip}:
            if "count" not in seen:
                seen.update(count=0, cpu=time.process_time(), at=now)
            seen["count"] += 1

seen, began = {{}}, time.monotonic()

@events.test_start.add_listener
def start(**_):
    global began
    began = time.monotonic()

@events.test_stop.add_listener
def stop(**_):
    cpu_s = time.process_time() - seen["cpu"]
    done = dict(cpu_s=cpu_s, count=seen["count"], s=time.monotonic() - seen["at"])
    open(os.environ["PEER_OUT"], "w").write(json.dumps(done))
"""

Figures = tuple[float, float]  # CPU µs a request, requests a second
Peer = Callable[[str, float, float], Figures]


@contextlib.contextmanager
def nginx() -> Iterator[str]:
    """The URL of a server that answers at once."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        sys.exit("nginx is not installed: this benchmark needs a service that costs little")
    with socket.socket() as found, tempfile.TemporaryDirectory() as home:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        found.close()
        temporary = " ".join(f"{name}_temp_path {home}/{name};" for name in TEMPORARY)
        file = Path(home) / "nginx.conf"
        file.write_text(
            CONFIGURATION.format(home=home, port=port, body="x" * 1024, temporary=temporary)
        )
        server = subprocess.Popen([program, "-p", home, "-c", str(file)])
        try:
            _await(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _await(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "nginx does not answer"
        time.sleep(0.05)


def ours(url: str, seconds: float, per_s: float, *, anew: bool = False) -> Figures:
    """The replay, given somewhat more than it can do."""
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        clients = itertools.count() if anew else itertools.cycle(range(CONNECTIONS))
        arrivals = _arrivals(url, seconds, per_s, clients)
        sharding.write_shards(here, arrivals, per_client=1 if anew else FOREVER)
        report = launch(
            here,
            dsn="",
            run=here,
            scenario="mix",
            pool=CONNECTIONS,
            pool_timeout_ms=int(seconds * 2000),
            statement_timeout_ms=5000,
            duration_s=seconds,
            drain_s=0.1,
            service=url,
        )
        done = rundir.read_table(here, "attempts")
    ended_s = pc.divide(pc.cast(done["ended_us"], "double"), 1e6)
    steady = done.filter(pc.and_(pc.greater(ended_s, SKIP_S), pc.less(ended_s, seconds)))
    steady = steady.filter(pc.equal(steady["outcome"].cast("string"), "ok"))
    done_per_s = len(steady) / (seconds - SKIP_S)
    return report.workers[0].cpu_share * 1e6 / done_per_s, done_per_s


def _arrivals(
    url: str, seconds: float, per_s: float, clients: Iterator[int]
) -> Iterator[PlannedTransaction]:
    head = f"GET {PATH} HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\nAccept: */*\r\n".encode()
    count = int(per_s * seconds)
    for due_us in np.linspace(0, seconds * 1e6, count, endpoint=False).astype(int).tolist():
        client = b"%d" % next(clients)
        one = PlannedStatement(
            template="a" * 16, sql=f"GET {PATH}", prepared=None, values=(head, client, None)
        )
        yield PlannedTransaction(due_us=due_us, statements=(one,))


def locust(kind: str, **headers: str) -> Peer:
    """A locustfile of that kind of user."""

    def drive(url: str, seconds: float, _per_s: float) -> Figures:
        with tempfile.TemporaryDirectory() as scratch:
            file, out = Path(scratch) / "peer.py", Path(scratch) / "out.json"
            file.write_text(PEER.format(kind=kind, path=PATH, skip=SKIP_S, headers=headers))
            subprocess.run(
                [
                    *(sys.executable, "-m", "locust", "-f", str(file), "--headless"),
                    *("--users", str(CONNECTIONS), "--spawn-rate", "1000"),
                    *("--run-time", f"{seconds:.0f}s", "--loglevel", "ERROR"),
                ],
                env={**os.environ, "PEER_URL": url, "PEER_OUT": str(out)},
                check=True,
                capture_output=True,
            )
            done = json.loads(out.read_text())
        return done["cpu_s"] * 1e6 / done["count"], done["count"] / done["s"]

    return drive


KEPT = {
    "staging-replay": ours,
    "FastHttpUser": locust("FastHttpUser"),
    "HttpUser": locust("HttpUser"),
}
ANEW = {
    "staging-replay": functools.partial(ours, anew=True),
    "FastHttpUser": locust("FastHttpUser", Connection="close"),
}


def main() -> None:
    """Run all peers in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    with nginx() as url:
        for case, peers in (("connections kept", KEPT), ("a connection each", ANEW)):
            _compare(case, peers, url, options)


def _compare(case: str, peers: Mapping[str, Peer], url: str, options: argparse.Namespace) -> None:
    found: dict[str, list[Figures]] = {name: [] for name in peers}
    per_s = 32_000.0  # more than a core can do
    for _ in range(options.rounds):
        for name, peer in peers.items():
            figures = peer(url, options.seconds, per_s)
            found[name].append(figures)
            if name == "staging-replay":
                per_s = 1.3 * figures[1]
    print(f"{case:20}{'CPU µs':>8}{'ratio':>8}{'per s':>9}")
    for name, runs in found.items():
        ratio = median(
            mine[0] / other[0] for mine, other in zip(runs, found["FastHttpUser"], strict=True)
        )
        cpu, rate = median(run[0] for run in runs), median(run[1] for run in runs)
        print(f"{name:20}{cpu:8.1f}{ratio:8.2f}{rate:9.0f}")


if __name__ == "__main__":
    main()
