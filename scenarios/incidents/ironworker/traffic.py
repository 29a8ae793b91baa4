"""The API's traffic: ordinary requests by several clients, and two rare ones that scan.

A program of its own, as production's clients are:
`python -m scenarios.incidents.ironworker.traffic --seconds 20`, with the DSN in
REPLAY_TRAFFIC_DSN. It ends by itself, or at once on SIGINT and SIGTERM.
"""

import argparse
import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType

import psycopg

_PROJECTS = 8000
_TASKS = 1_200_000
_WORKERS = 2500

Row = tuple[object, ...]


@dataclass(slots=True)
class Client:
    """One connection of the API, and the tasks that it reserved and has to finish."""

    connection: psycopg.Connection
    rng: random.Random
    reserved: list[Row] = field(default_factory=list)

    def project(self, skew: int = 4) -> int:
        """A project by its popularity: at the skew of 4 as the tasks were filled."""
        return 1 + int(_PROJECTS * self.rng.random() ** skew)

    def task(self) -> int:
        """A task's id; recent ones are asked for most."""
        return _TASKS - int((_TASKS - 1) * self.rng.random() ** 6)

    def worker(self) -> str:
        """A worker's name, of those that the tasks were filled with."""
        return f"worker-{_md5(str(self.rng.randrange(_WORKERS)))}"

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Run a statement and fetch what it returns."""
        cursor = self.connection.execute(sql.encode(), values)
        return cursor.fetchall() if cursor.description else []


def enqueue(client: Client) -> None:
    """POST /projects/{id}/tasks."""
    project = client.project()
    with client.connection.transaction():
        code = client.rows(
            "SELECT id FROM codes WHERE project_id = %s ORDER BY name LIMIT 1", project
        )
        called_back = client.rng.random() < 0.3
        client.rows(
            "INSERT INTO tasks (project_id, code_id, priority, payload, callback_id)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING id",
            project,
            code[0][0],
            client.rng.randrange(3),
            f'{{"url": "https://example.com/{client.rng.getrandbits(64):x}", "retry": 0}}',
            f"cb-{client.rng.getrandbits(128):032x}" if called_back else None,
        )
        client.rows(
            "UPDATE project_counters SET queued = queued + 1 WHERE project_id = %s", project
        )


def reserve(client: Client) -> None:
    """POST /reservations: a worker asks for work."""
    client.reserved += client.rows(
        "UPDATE tasks SET state = 'running', started_at = now(), worker_id = %s WHERE id ="
        " (SELECT id FROM tasks WHERE state = 'queued' ORDER BY priority DESC, id LIMIT 1"
        " FOR UPDATE SKIP LOCKED) RETURNING id, project_id",
        client.worker(),
    )


def finish(client: Client) -> None:
    """POST /tasks/{id}/done: state, log line and counter in one transaction."""
    if not client.reserved:
        reserve(client)
        return
    task, project = client.reserved.pop(0)
    with client.connection.transaction():
        client.rows("UPDATE tasks SET state = 'done', finished_at = now() WHERE id = %s", task)
        client.rows(
            "INSERT INTO task_logs (task_id, line) VALUES (%s, %s)",
            task,
            f"finished after {client.rng.randrange(100_000)} ms",
        )
        client.rows("UPDATE project_counters SET done = done + 1 WHERE project_id = %s", project)


def status(client: Client) -> None:
    """GET /tasks/{id}."""
    client.rows(
        "SELECT id, state, priority, created_at, started_at, finished_at FROM tasks WHERE id = %s",
        client.task(),
    )


def task_log(client: Client) -> None:
    """GET /tasks/{id}/log."""
    client.rows(
        "SELECT at, line FROM task_logs WHERE task_id = %s ORDER BY at LIMIT 100", client.task()
    )


def list_tasks(client: Client) -> None:
    """GET /projects/{id}/tasks."""
    client.rows(
        "SELECT t.id, t.state, t.created_at, c.name FROM tasks t JOIN codes c ON c.id = t.code_id"
        " WHERE t.project_id = %s ORDER BY t.created_at DESC LIMIT 20",
        client.project(),
    )


def counters(client: Client) -> None:
    """GET /projects/{id}/counters."""
    client.rows(
        "SELECT queued, done, released FROM project_counters WHERE project_id = %s",
        client.project(),
    )


def authenticate(client: Client) -> None:
    """The token that comes with every request, checked."""
    client.rows(
        "SELECT p.id, a.plan FROM projects p JOIN accounts a ON a.id = p.account_id"
        " WHERE p.token = %s",
        _md5(f"token{client.project()}"),
    )


def list_codes(client: Client) -> None:
    """GET /projects/{id}/codes."""
    client.rows(
        "SELECT id, name, runtime, revision FROM codes WHERE project_id = %s ORDER BY name",
        client.project(),
    )


def upload_code(client: Client) -> None:
    """POST /codes: a new revision of one that exists."""
    project = client.project()
    client.rows(
        "UPDATE codes SET revision = revision + 1 WHERE project_id = %s AND name = %s",
        project,
        f"worker-{project}",
    )


def due_schedules(client: Client) -> None:
    """The scheduler's tick: what is due, and when it is due again."""
    with client.connection.transaction():
        due = client.rows(
            "SELECT id FROM schedules WHERE next_run_at < now() + interval '1 minute'"
            " ORDER BY next_run_at LIMIT 5 FOR UPDATE SKIP LOCKED"
        )
        for schedule in due[:2]:
            client.rows(
                "UPDATE schedules SET next_run_at = now() + run_every WHERE id = %s", *schedule
            )


def find_by_callback(client: Client) -> None:
    """GET /callbacks/{id}, rare: nobody thought of an index on callback_id."""
    task = 3 * client.rng.randrange(1, _TASKS // 3)
    client.rows(
        "SELECT id, state, finished_at FROM tasks WHERE callback_id = %s", f"cb-{_md5(f'c{task}')}"
    )


def release_worker(client: Client) -> None:
    """DELETE /workers/{id}, rare: its running tasks are queued again; no index on worker_id."""
    with client.connection.transaction():
        client.rows(
            "UPDATE project_counters SET released = released + 1 WHERE project_id = %s",
            client.project(skew=12),  # who runs the most workers loses the most
        )
        client.rows(
            "UPDATE tasks SET state = 'queued', started_at = NULL, worker_id = NULL"
            " WHERE worker_id = %s AND state = 'running'",
            client.worker(),
        )


ORDINARY: Mapping[Callable[[Client], None], int] = {
    authenticate: 30,
    enqueue: 14,
    reserve: 14,
    finish: 12,
    status: 30,
    counters: 16,
    list_tasks: 12,
    task_log: 8,
    list_codes: 8,
    upload_code: 2,
    due_schedules: 2,
}
RARE = (find_by_callback, release_worker)


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


def main() -> None:
    """Parse the command line and run all clients, each in a thread with its own connection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second, all clients")
    parser.add_argument("--rare-calls", type=int, default=4, help="calls of each rare request")
    parser.add_argument("--seed", type=int, default=2013)
    options = parser.parse_args()
    stop = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    until = time.monotonic() + options.seconds
    threads = []
    for number in range(options.clients + 1):
        connection = psycopg.connect(
            os.environ["REPLAY_TRAFFIC_DSN"], autocommit=True, application_name="ironworker-api"
        )
        client = Client(connection, random.Random(options.seed + number))
        work, pace = (
            (drive, options.rate / options.clients)
            if number
            else (
                drive_rare,
                options.rare_calls,
            )
        )
        threads.append(threading.Thread(target=work, args=(client, until, pace, stop)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    main()
