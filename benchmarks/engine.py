"""Client CPU per statement and lateness of the engine, beside its peers in one run.

`python benchmarks/engine.py [PART...]`: a private server, the peers in turn, several rounds,
medians. Parts: *saturated* (as fast as it goes, 8 and 50 connections, SELECT and UPDATE by key:
pgbench -M prepared, the barest loops that CPython can make of it, pgreplay, a plain Locust task with
a psycopg cursor), *paced* (Poisson at 1,000 and 4,000 a second beside pgbench --rate), *idle* (1,000
and 2,000 sessions beside 50 at one rate; counted from a quarter of a second on, so that the first
statements of most of the many sessions, which prepare, are in their figure) and *wire* (TCP and TLS).
Absolute figures are the machine's: compare within one run.
"""

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median

import psycopg
from engine_peers import (
    ROWS,
    Figures,
    Job,
    bare_libpq,
    bare_socket,
    locust_cursor,
    ours,
    pgbench,
    pgreplay,
)

from replay import embedded, target

Peer = Callable[[Job], Figures]

PGBENCH, OURS = "pgbench", "staging-replay"
PEERS: dict[str, Peer] = {
    PGBENCH: pgbench,
    OURS: ours,
    "bare socket loop": bare_socket,
    "bare libpq loop": bare_libpq,
    "pgreplay": pgreplay,
    "locust, cursor": locust_cursor,
}
PARTS = ("saturated", "paced", "idle", "wire")


@dataclass(frozen=True)
class Place:
    """The server, by each of its ways in."""

    server: embedded.Server
    port: int

    def dsn(self, way: str = "unix") -> str:
        """By its Unix socket, by TCP, or by TLS."""
        rest = f"port={self.port} user=postgres dbname=postgres"
        if way == "unix":
            return f"host={self.server.home} {rest}"
        return f"host=127.0.0.1 {rest} sslmode={'require' if way == 'tls' else 'disable'}"


@contextlib.contextmanager
def place(installation: embedded.Installation | None = None) -> Iterator[Place]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    settings = {
        "fsync": "off",
        "max_connections": "2100",
        "shared_buffers": "'256MB'",
        "listen_addresses": "'127.0.0.1'",
        "port": str(port),
    }
    with embedded.server(settings, installation=installation) as server:
        here = Place(server, port)
        target.mark_staging(here.dsn())
        with psycopg.connect(here.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)")
            connection.execute("INSERT INTO t SELECT g, g FROM generate_series(1, %s) g", (ROWS,))
            connection.execute("VACUUM ANALYZE t")
        yield here


def encrypt(here: Place) -> None:
    """A key and a certificate that it signs itself; the server takes them up when told to."""
    key, certificate = (here.server.data / name for name in ("server.key", "server.crt"))
    command = [
        *("openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-newkey", "rsa:2048"),
        *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)
    for file in (key, certificate):
        if here.server.user is not None:
            os.chown(file, *here.server.user)
    with psycopg.connect(here.dsn(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")


def rounds(job: Job, peers: dict[str, Peer], count: int) -> dict[str, list[Figures]]:
    """Each peer in turn, so many times; pgbench first, because it tells what is saturated."""
    found: dict[str, list[Figures]] = {name: [] for name in peers}
    capacity = dict.fromkeys(peers, 0.0)
    for _ in range(count):
        for name, peer in peers.items():
            # What it managed the time before, or whoever came before it.
            known = capacity[name] or max(capacity.values())
            figures = peer(replace(job, capacity=known))
            capacity[name] = figures.per_s
            found[name].append(figures)
    return found


def tell(title: str, found: dict[str, list[Figures]], base: str = PGBENCH) -> None:
    """A table of medians, and of medians of each round's ratio to the base."""
    print(f"\n{title}\n{'':28}{'CPU µs':>8}{'ratio':>8}{'per s':>9}", end="")
    late = any(len(figures.late_us) for figures in found[base])
    print(f"{'late p50':>10}{'p99 µs':>9}{'ratio':>8}" if late else "")
    for name, runs in found.items():
        pairs = list(zip(runs, found[base], strict=True))
        cpu = median(mine.cpu_us / other.cpu_us for mine, other in pairs)
        print(f"{name:28}{median(f.cpu_us for f in runs):8.1f}{cpu:8.2f}", end="")
        print(f"{median(f.per_s for f in runs):9.0f}", end="")
        if late:
            p99 = median(mine.late(99) / other.late(99) for mine, other in pairs)
            print(f"{median(f.late(50) for f in runs):10.0f}", end="")
            print(f"{median(f.late(99) for f in runs):9.0f}{p99:8.2f}", end="")
        print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    peers = {n: p for n, p in PEERS.items() if n != "pgreplay" or shutil.which("pgreplay")}
    two = {PGBENCH: pgbench, OURS: ours}
    with place() as here:
        job = Job(
            server=here.server,
            dsn=here.dsn(),
            kind="SELECT",
            connections=8,
            seconds=options.seconds,
        )
        if "saturated" in options.parts:
            for kind in ("SELECT", "UPDATE"):
                for connections in (8, 50):
                    chosen = replace(job, kind=kind, connections=connections)
                    title = f"saturated, {kind} by key, {connections} connections"
                    tell(title, rounds(chosen, peers, options.rounds))
        if "paced" in options.parts:
            for rate in (1000.0, 4000.0):
                chosen = replace(job, connections=50, rate=rate)
                title = f"paced, {rate:g} a second, 50 connections"
                tell(title, rounds(chosen, two, options.rounds))
        if "idle" in options.parts:
            base = replace(job, rate=1000.0)
            sessions: dict[str, Peer] = {
                f"{count} sessions": lambda job, count=count: ours(replace(job, connections=count))
                for count in (50, 1000, 2000)
            }
            found = rounds(base, sessions, options.rounds)
            tell("1,000 a second, sessions mostly idle", found, base="50 sessions")
    if "wire" in options.parts:
        wire(job, two, options.rounds)


def wire(job: Job, peers: dict[str, Peer], count: int) -> None:
    """By each way in; the wheel's server has no TLS, so it is the last installation's."""
    with place(embedded.installations()[-1]) as here:
        encrypt(here)
        for way in ("unix", "tcp", "tls"):
            chosen = replace(job, server=here.server, dsn=here.dsn(way))
            tell(f"saturated, SELECT by key, {way}", rounds(chosen, peers, count))


if __name__ == "__main__":
    main()
