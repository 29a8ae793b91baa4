"""The API's traffic: ordinary requests by several clients, and two rare ones that scan.

A program of its own, as production's clients are:
`python -m scenarios.incidents.ironworker.traffic --seconds 20 --access-log access.json`, with the DSN
in REPLAY_TRAFFIC_DSN. It starts the API (service.py) before that database, asks it over HTTP, and runs
the scheduler, which has a connection of its own. It ends by itself, or at once on SIGINT and SIGTERM,
and the API with it.
"""

import argparse
import hashlib
import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import psycopg

from replay.conduct.serving import serving

_PROJECTS = 8000
_TASKS = 1_200_000
_WORKERS = 2500
_SERVICE = "scenarios.incidents.ironworker.service"


@dataclass(slots=True)
class Client:
    """One connection to the API, its cookie, and the tasks that it reserved and has to finish."""

    connection: http.client.HTTPConnection
    rng: random.Random
    cookie: str = ""
    reserved: list[int] = field(default_factory=list)

    def project(self, skew: int = 4) -> int:
        """A project by its popularity: at the skew of 4 as the tasks were filled."""
        return 1 + int(_PROJECTS * self.rng.random() ** skew)

    def task(self) -> int:
        """A task's id; recent ones are asked for most."""
        return _TASKS - int((_TASKS - 1) * self.rng.random() ** 6)

    def worker(self) -> str:
        """A worker's name, of those that the tasks were filled with."""
        return f"worker-{_md5(str(self.rng.randrange(_WORKERS)))}"

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """One request; what the API answered, None where it refused."""
        headers = {"traceparent": f"00-{self.rng.getrandbits(128):032x}-{1:016x}-01"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        self.cookie = answer.headers.get("Set-Cookie", self.cookie).partition(";")[0]
        content = answer.read()
        return json.loads(content) if answer.status == http.client.OK else None


def enqueue(client: Client) -> None:
    """POST /projects/{id}/tasks."""
    called_back = client.rng.random() < 0.3
    client.ask(
        "POST",
        f"/projects/{client.project()}/tasks",
        {
            "priority": client.rng.randrange(3),
            "payload": {"url": f"https://example.com/{client.rng.getrandbits(64):x}", "retry": 0},
            "callback_id": f"cb-{client.rng.getrandbits(128):032x}" if called_back else None,
        },
    )


def reserve(client: Client) -> None:
    """POST /reservations: a worker asks for work."""
    for task in client.ask("POST", "/reservations", {"worker_id": client.worker()}) or ():
        client.reserved.append(task["id"])


def finish(client: Client) -> None:
    """POST /tasks/{id}/done: state, log line and counter in one transaction."""
    if not client.reserved:
        reserve(client)
        return
    line = f"finished after {client.rng.randrange(100_000)} ms"
    client.ask("POST", f"/tasks/{client.reserved.pop(0)}/done", {"line": line})


def status(client: Client) -> None:
    """GET /tasks/{id}."""
    client.ask("GET", f"/tasks/{client.task()}")


def task_log(client: Client) -> None:
    """GET /tasks/{id}/log."""
    client.ask("GET", f"/tasks/{client.task()}/log")


def list_tasks(client: Client) -> None:
    """GET /projects/{id}/tasks."""
    client.ask("GET", f"/projects/{client.project()}/tasks")


def counters(client: Client) -> None:
    """GET /projects/{id}/counters."""
    client.ask("GET", f"/projects/{client.project()}/counters")


def project(client: Client) -> None:
    """GET /projects/{id}: the project with its account's plan."""
    client.ask("GET", f"/projects/{client.project()}")


def list_codes(client: Client) -> None:
    """GET /projects/{id}/codes."""
    client.ask("GET", f"/projects/{client.project()}/codes")


def upload_code(client: Client) -> None:
    """PUT /projects/{id}/codes/{name}: a new revision of one that exists."""
    number = client.project()
    client.ask("PUT", f"/projects/{number}/codes/worker-{number}")


def find_by_callback(client: Client) -> None:
    """GET /callbacks/{id}, rare: nobody thought of an index on callback_id."""
    task = 3 * client.rng.randrange(1, _TASKS // 3)
    client.ask("GET", f"/callbacks/cb-{_md5(f'c{task}')}")


def release_worker(client: Client) -> None:
    """DELETE /projects/{id}/workers/{name}, rare: its running tasks are queued again; no index."""
    # Who runs the most workers loses the most.
    client.ask("DELETE", f"/projects/{client.project(skew=12)}/workers/{client.worker()}")


ORDINARY: Mapping[Callable[[Client], None], int] = {
    project: 30,
    enqueue: 14,
    reserve: 14,
    finish: 12,
    status: 30,
    counters: 16,
    list_tasks: 12,
    task_log: 8,
    list_codes: 8,
    upload_code: 2,
}
RARE = (find_by_callback, release_worker)
_SCHEDULED = 0.014  # ticks of the scheduler for each ordinary request


def drive(client: Client, until: float, rate: float, stop: threading.Event) -> None:
    """Ordinary requests of one client at `rate` a second, Poisson, until a monotonic time."""
    requests, weights = zip(*ORDINARY.items(), strict=True)
    due = time.monotonic()
    while (due := due + client.rng.expovariate(rate)) < until:
        if stop.wait(due - time.monotonic()):
            return
        client.rng.choices(requests, weights)[0](client)


def drive_rare(client: Client, until: float, calls: int, stop: threading.Event) -> None:
    """Each rare request `calls` times, spread evenly over the time that is left."""
    begin = time.monotonic()
    step = (until - begin) / (calls * len(RARE))
    for number in range(calls * len(RARE)):
        if stop.wait(begin + step * (number + 0.5) - time.monotonic()):
            return
        RARE[number % len(RARE)](client)


def schedule(dsn: str, until: float, rate: float, stop: threading.Event) -> None:
    """The scheduler's ticks: what is due, and when it is due again."""
    rng = random.Random(rate)
    due_s = time.monotonic()
    with psycopg.connect(dsn, autocommit=True, application_name="ironworker-scheduler") as database:
        while (due_s := due_s + rng.expovariate(rate)) < until:
            if stop.wait(due_s - time.monotonic()):
                return
            with database.transaction():
                due = database.execute(
                    "SELECT id FROM schedules WHERE next_run_at < now() + interval '1 minute'"
                    " ORDER BY next_run_at LIMIT 5 FOR UPDATE SKIP LOCKED"
                ).fetchall()
                for one in due[:2]:
                    database.execute(
                        "UPDATE schedules SET next_run_at = now() + run_every WHERE id = %s", one
                    )


def main() -> None:
    """Parse the command line and run all clients, each in a thread with its own connection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second, all clients")
    parser.add_argument("--rare-calls", type=int, default=3, help="calls of each rare request")
    parser.add_argument("--seed", type=int, default=2013)
    parser.add_argument("--access-log", type=Path, help="where the API writes its own")
    options = parser.parse_args()
    stop = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    dsn = os.environ["REPLAY_TRAFFIC_DSN"]
    logged = [] if options.access_log is None else ["--access-log", str(options.access_log)]
    with serving(dsn, ["-m", _SERVICE, *logged]) as url:
        place = urlsplit(url).netloc
        until = time.monotonic() + options.seconds
        threads = [
            threading.Thread(target=work, args=(until,))
            for work in _work(options, dsn, place, stop)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _work(
    options: argparse.Namespace, dsn: str, place: str, stop: threading.Event
) -> Iterator[Callable[[float], None]]:
    """What runs side by side, until a monotonic time."""
    for number in range(options.clients + 1):
        connection = http.client.HTTPConnection(place)
        client = Client(connection, random.Random(options.seed + number))
        if number:
            yield partial(drive, client, rate=options.rate / options.clients, stop=stop)
        else:
            yield partial(drive_rare, client, calls=options.rare_calls, stop=stop)
    yield partial(schedule, dsn, rate=options.rate * _SCHEDULED, stop=stop)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    main()
