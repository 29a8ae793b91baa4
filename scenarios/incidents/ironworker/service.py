"""The API itself: a small real service over the schema, with a pool of connections that all requests share.

`python -m scenarios.incidents.ironworker.service --access-log access.json`, with the DSN in
REPLAY_SERVICE_DSN; it says on stdout where it listens. Its statements carry their route and trace
(sqlcommenter), and its access log is what `replay capture --http` reads best. It serves until SIGTERM.
"""

import gevent.monkey

gevent.monkey.patch_all()

import argparse  # noqa: E402 - the patch comes first
import json  # noqa: E402
import os  # noqa: E402
import secrets  # noqa: E402
import signal  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import IO, Any  # noqa: E402
from urllib.parse import quote  # noqa: E402

import flask  # noqa: E402
import gevent.queue  # noqa: E402
import psycopg  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from psycopg.rows import dict_row  # noqa: E402

from replay.service import MARKER  # noqa: E402

Row = dict[str, Any]


class Pool:
    """Connections that requests share; one that waits too long for its turn is turned away."""

    def __init__(self, dsn: str, size: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._free: gevent.queue.LifoQueue[psycopg.Connection[Row]] = gevent.queue.LifoQueue()
        for _ in range(size):
            self._free.put(
                psycopg.connect(
                    dsn, autocommit=True, application_name="ironworker-api", row_factory=dict_row
                )
            )

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Row]]:
        """A free connection; aborts with 503 where none becomes free in time."""
        try:
            connection = self._free.get(timeout=self._timeout_s)
        except gevent.queue.Empty:
            flask.abort(503)
        try:
            yield connection
        finally:
            self._free.put(connection)


def make(pool: Pool, log: IO[str] | None) -> flask.Flask:
    """The application."""
    app = flask.Flask(__name__)

    def rows(connection: psycopg.Connection[Row], sql: str, *values: object) -> list[Row]:
        cursor = connection.execute((sql + _comment()).encode(), values)
        return cursor.fetchall() if cursor.description else []

    def one(sql: str, *values: object) -> flask.Response:
        with pool.connection() as connection:
            found = rows(connection, sql, *values)
        if not found:
            flask.abort(404)
        return flask.jsonify(found[0])

    def many(sql: str, *values: object) -> flask.Response:
        with pool.connection() as connection:
            return flask.jsonify(rows(connection, sql, *values))

    @app.get(MARKER)
    def marker() -> str:
        return "staging"

    @app.get("/tasks/<int:task>")
    def status(task: int) -> flask.Response:
        return one(
            "SELECT id, state, priority, created_at, started_at, finished_at FROM tasks"
            " WHERE id = %s",
            task,
        )

    @app.get("/tasks/<int:task>/log")
    def task_log(task: int) -> flask.Response:
        return many("SELECT at, line FROM task_logs WHERE task_id = %s ORDER BY at LIMIT 100", task)

    @app.get("/projects/<int:project>/tasks")
    def list_tasks(project: int) -> flask.Response:
        return many(
            "SELECT t.id, t.state, t.created_at, c.name FROM tasks t JOIN codes c"
            " ON c.id = t.code_id WHERE t.project_id = %s ORDER BY t.created_at DESC LIMIT 20",
            project,
        )

    @app.get("/projects/<int:project>/counters")
    def counters(project: int) -> flask.Response:
        return one(
            "SELECT queued, done, released FROM project_counters WHERE project_id = %s", project
        )

    @app.get("/callbacks/<callback>")
    def find_by_callback(callback: str) -> flask.Response:
        """Rare: nobody thought of an index on callback_id."""
        return many("SELECT id, state, finished_at FROM tasks WHERE callback_id = %s", callback)

    @app.post("/projects/<int:project>/tasks")
    def enqueue(project: int) -> flask.Response:
        with pool.connection() as connection, connection.transaction():
            code = rows(connection, "SELECT id FROM codes WHERE project_id = %s LIMIT 1", project)
            if not code:
                flask.abort(404)
            made = rows(
                connection,
                "INSERT INTO tasks (project_id, code_id, priority, payload) VALUES (%s, %s, 1, %s)"
                " RETURNING id",
                project,
                code[0]["id"],
                flask.request.get_data(as_text=True) or "{}",
            )
            rows(
                connection,
                "UPDATE project_counters SET queued = queued + 1 WHERE project_id = %s",
                project,
            )
        return flask.jsonify(made[0])

    @app.before_request
    def begun() -> None:
        flask.g.begun = time.time()

    @app.after_request
    def told(response: flask.Response) -> flask.Response:
        if log is not None:
            log.write(f"{json.dumps(_line(response))}\n")
            log.flush()
        return response

    return app


def _comment() -> str:
    """What sqlcommenter says of a statement: its route, and the trace that it belongs to."""
    told = {
        "route": str(flask.request.url_rule),
        "traceparent": flask.request.headers.get("traceparent"),
    }
    pairs = (f"{key}='{quote(value, safe='')}'" for key, value in told.items() if value)
    return f" /*{','.join(pairs)}*/".replace("%", "%%")  # psycopg's sign for a value


def _line(response: flask.Response) -> dict[str, object]:
    request = flask.request
    now = time.time()
    target = request.full_path if request.query_string else request.path
    return {
        "msec": round(now, 6),
        "request_method": request.method,
        "request_uri": target,
        "status": response.status_code,
        "request_time": round(now - flask.g.begun, 6),
        "bytes_sent": response.calculate_content_length() or 0,
        "http_user_agent": request.headers.get("User-Agent", ""),
        "remote_addr": request.remote_addr,
        "session": request.headers.get("Cookie", ""),
        "http_traceparent": request.headers.get("traceparent", ""),
        "request_id": secrets.token_hex(8),
    }


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--pool", type=int, default=20)
    parser.add_argument("--pool-timeout", type=float, default=5.0, help="seconds")
    parser.add_argument("--access-log", type=Path)
    options = parser.parse_args()
    pool = Pool(os.environ["REPLAY_SERVICE_DSN"], options.pool, options.pool_timeout)
    log = options.access_log.open("a", encoding="utf-8") if options.access_log else None
    server = WSGIServer(("127.0.0.1", options.port), make(pool, log), log=None)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    gevent.signal_handler(signal.SIGINT, server.stop)
    server.start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
