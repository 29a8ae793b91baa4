"""What a plain locustfile would do: a task with a psycopg cursor, one request event a statement.

Settings come by the environment: PEER_DSN, PEER_SQL, PEER_USERS, PEER_RATE (statements a second over all
users, 0: as fast as it goes) and PEER_OUT, where CPU, statements and lateness are written.
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from locust import User, constant, events, task

import psycopg  # isort: skip - after locust, so that its waits are cooperative

USERS = int(os.environ["PEER_USERS"])
RATE = float(os.environ["PEER_RATE"])
SQL = os.environ["PEER_SQL"]
WARM_UP_S = 0.5

late_us: list[float] = []
counted = {"statements": 0, "cpu_s": 0.0, "since": 0.0, "until": 0.0}


class Peer(User):
    """One connection, one statement a task, paced by its own count of beats."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Connect, and fix where this user's beats begin."""
        self.connection = psycopg.connect(os.environ["PEER_DSN"], autocommit=True)
        self.connection.prepare_threshold = 0
        self.beat = time.perf_counter()

    @task
    def read(self) -> None:
        """Wait for the beat, read one row, tell Locust."""
        if RATE:
            self.beat += random.expovariate(RATE / USERS)
            time.sleep(max(self.beat - time.perf_counter(), 0))
        began = time.perf_counter()
        if RATE:
            late_us.append((began - self.beat) * 1e6)
        key = random.randint(1, 100_000)
        with self.connection.cursor() as cursor:
            cursor.execute(SQL, (key,))
            if cursor.description is not None:
                cursor.fetchall()
        events.request.fire(
            request_type=SQL[:6],
            name="by id",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=None,
            context={},
        )
        count()


def count() -> None:
    """Count from the end of the warm-up on."""
    now = time.monotonic()
    if not counted["since"]:
        counted["since"] = now + WARM_UP_S
    elif now > counted["since"]:
        if not counted["statements"]:
            counted["cpu_s"] = -time.process_time()
            late_us.clear()
        counted["statements"] += 1
        counted["until"] = now


def write_figures(**_: Any) -> None:
    """Leave the figures for the benchmark."""
    counted["cpu_s"] += time.process_time()
    Path(os.environ["PEER_OUT"]).write_text(json.dumps({**counted, "late_us": late_us}))


events.quitting.add_listener(write_figures)
