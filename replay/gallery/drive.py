"""Production's clients, a program of its own as they are: `python -m replay.gallery.drive FOLDER`.

An open loop from one origin over so many connections; the DSN stands in REPLAY_TRAFFIC_DSN. It ends
by itself, or at once on SIGINT and SIGTERM, and prints one JSON document: requests, how many failed
though the incident does not say that they may, and p95 from due in ms.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psycopg

from replay.gallery.draw import Drawn, draw
from replay.gallery.incident import Request, Traffic
from replay.gallery.read import read
from replay.gallery.schedule import arrivals


@dataclass(slots=True)
class _Clients:
    """What all connections share."""

    traffic: Traffic
    origin: float  # monotonic
    due: deque[tuple[float, Request, int]]
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    latencies_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def work(self, connection: psycopg.Connection) -> None:
        """One connection takes whatever is due next, until nothing is."""
        with connection:
            while not self.stop.is_set():
                with self.lock:
                    if not self.due:
                        return
                    due_s, request, number = self.due.popleft()
                if self.stop.wait(max(self.origin + due_s - time.monotonic(), 0)):
                    return
                self._serve(connection, request, number)
                self.latencies_ms.append((time.monotonic() - self.origin - due_s) * 1e3)

    def _serve(self, connection: psycopg.Connection, request: Request, number: int) -> None:
        rng = random.Random(f"{self.traffic.seed} {number}")
        values = draw(self.traffic.values, rng)
        try:
            _perform(connection, request, values)
        except psycopg.Error as error:
            if error.sqlstate not in request.may_fail:
                self.failures.append(f"{request.name}: {error}")
            if not connection.closed and connection.info.transaction_status:
                connection.execute("ROLLBACK")


def _perform(connection: psycopg.Connection, request: Request, values: dict[str, Drawn]) -> None:
    mode = request.transaction
    if mode:
        connection.execute(f"BEGIN {'' if mode == 'plain' else mode}".strip().encode())
    for step in request.steps:
        if step.pause_ms:
            time.sleep(step.pause_ms / 1e3)
        named = {name: value for name, value in values.items() if f"%({name})s" in step.sql}
        for _ in range(step.repeat):
            if step.sql:
                connection.execute(step.sql.encode(), named or None, prepare=step.prepare)
    if mode:
        connection.execute("COMMIT")


def main() -> int:
    """Parse the command line and run all clients, each in a thread with its own connection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--application", default="incident")
    parser.add_argument("--fixed", action="store_true", help="the application with its fix")
    options = parser.parse_args()
    incident = read(options.folder)
    traffic = (incident.fixed_traffic if options.fixed else None) or incident.traffic
    due = arrivals(traffic, random.Random(traffic.seed))
    connections = [
        psycopg.connect(
            os.environ["REPLAY_TRAFFIC_DSN"], autocommit=True, application_name=options.application
        )
        for _ in range(traffic.connections)
    ]
    clients = _Clients(
        traffic,
        time.monotonic() + 0.1,
        deque((due_s, request, number) for number, (due_s, request) in enumerate(due)),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: clients.stop.set())
    threads = [threading.Thread(target=clients.work, args=(c,)) for c in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(_told(clients)))
    for failure in clients.failures[:5]:
        print(failure, file=sys.stderr)
    return 0


def _told(clients: _Clients) -> dict[str, float]:
    latencies = clients.latencies_ms or [0.0]
    return {
        "requests": len(clients.latencies_ms),
        "failed": len(clients.failures),
        "p95_ms": round(float(np.percentile(latencies, 95)), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
