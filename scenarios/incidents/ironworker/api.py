"""The API's routes and what each asks of the database: ordinary ones, and two rare ones that scan.

Its statements carry their route and trace, as sqlcommenter writes them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import quote

import flask
import psycopg

from replay.service import MARKER

Row = dict[str, Any]
Connecting = Callable[[], AbstractContextManager[psycopg.Connection[Row]]]


def make(connecting: Connecting) -> flask.Flask:
    """The application over what lends connections."""
    app = flask.Flask(__name__)
    ask = _Asking(connecting)

    @app.get(MARKER)
    def marker() -> str:
        return "staging"

    _add_reads(app, ask)
    _add_writes(app, ask)
    return app


class _Asking:
    """Statements of requests, in their shapes."""

    def __init__(self, connecting: Connecting) -> None:
        self._connecting = connecting

    def one(self, sql: str, *values: object) -> flask.Response:
        """The only row; 404 where there is none."""
        with self._connecting() as connection:
            found = rows(connection, sql, *values)
        if not found:
            flask.abort(404)
        return flask.jsonify(found[0])

    def many(self, sql: str, *values: object) -> flask.Response:
        """All rows."""
        with self._connecting() as connection:
            return flask.jsonify(rows(connection, sql, *values))

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Row]]:
        """A transaction of several statements."""
        with self._connecting() as connection, connection.transaction():
            yield connection


def rows(connection: psycopg.Connection[Row], sql: str, *values: object) -> list[Row]:
    """Run a statement, with its comment, and fetch what it returns."""
    cursor = connection.execute((sql + _comment()).encode(), values)
    return cursor.fetchall() if cursor.description else []


def _add_reads(app: flask.Flask, ask: _Asking) -> None:
    @app.get("/tasks/<int:task>")
    def status(task: int) -> flask.Response:
        return ask.one(
            "SELECT id, state, priority, created_at, started_at, finished_at FROM tasks"
            " WHERE id = %s",
            task,
        )

    @app.get("/tasks/<int:task>/log")
    def task_log(task: int) -> flask.Response:
        return ask.many(
            "SELECT at, line FROM task_logs WHERE task_id = %s ORDER BY at LIMIT 100", task
        )

    @app.get("/projects/<int:project>")
    def project_of(project: int) -> flask.Response:
        return ask.one(
            "SELECT p.id, p.name, a.plan FROM projects p JOIN accounts a ON a.id = p.account_id"
            " WHERE p.id = %s",
            project,
        )

    @app.get("/projects/<int:project>/tasks")
    def list_tasks(project: int) -> flask.Response:
        return ask.many(
            "SELECT t.id, t.state, t.created_at, c.name FROM tasks t JOIN codes c"
            " ON c.id = t.code_id WHERE t.project_id = %s ORDER BY t.created_at DESC LIMIT 20",
            project,
        )

    @app.get("/projects/<int:project>/counters")
    def counters(project: int) -> flask.Response:
        return ask.one(
            "SELECT queued, done, released FROM project_counters WHERE project_id = %s", project
        )

    @app.get("/projects/<int:project>/codes")
    def list_codes(project: int) -> flask.Response:
        return ask.many(
            "SELECT id, name, runtime, revision FROM codes WHERE project_id = %s ORDER BY name",
            project,
        )

    @app.get("/callbacks/<callback>")
    def find_by_callback(callback: str) -> flask.Response:
        """Rare: nobody thought of an index on callback_id."""
        return ask.many("SELECT id, state, finished_at FROM tasks WHERE callback_id = %s", callback)


def _add_writes(app: flask.Flask, ask: _Asking) -> None:
    @app.post("/projects/<int:project>/tasks")
    def enqueue(project: int) -> flask.Response:
        asked = flask.request.get_json()
        with ask.transaction() as connection:
            code = rows(
                connection,
                "SELECT id FROM codes WHERE project_id = %s ORDER BY name LIMIT 1",
                project,
            )
            if not code:
                flask.abort(404)
            made = rows(
                connection,
                "INSERT INTO tasks (project_id, code_id, priority, payload, callback_id)"
                " VALUES (%s, %s, %s, %s, %s) RETURNING id",
                project,
                code[0]["id"],
                asked["priority"],
                flask.json.dumps(asked["payload"]),
                asked.get("callback_id"),
            )
            rows(
                connection,
                "UPDATE project_counters SET queued = queued + 1 WHERE project_id = %s",
                project,
            )
        return flask.jsonify(made[0])

    @app.post("/reservations")
    def reserve() -> flask.Response:
        return ask.many(
            "UPDATE tasks SET state = 'running', started_at = now(), worker_id = %s WHERE id ="
            " (SELECT id FROM tasks WHERE state = 'queued' ORDER BY priority DESC, id LIMIT 1"
            " FOR UPDATE SKIP LOCKED) RETURNING id, project_id",
            flask.request.get_json()["worker_id"],
        )

    @app.post("/tasks/<int:task>/done")
    def finish(task: int) -> flask.Response:
        line = flask.request.get_json()["line"]
        with ask.transaction() as connection:
            found = rows(
                connection,
                "UPDATE tasks SET state = 'done', finished_at = now() WHERE id = %s"
                " RETURNING project_id",
                task,
            )
            if not found:
                flask.abort(404)
            rows(connection, "INSERT INTO task_logs (task_id, line) VALUES (%s, %s)", task, line)
            rows(
                connection,
                "UPDATE project_counters SET done = done + 1 WHERE project_id = %s",
                found[0]["project_id"],
            )
        return flask.jsonify({})

    @app.put("/projects/<int:project>/codes/<name>")
    def upload_code(project: int, name: str) -> flask.Response:
        return ask.many(
            "UPDATE codes SET revision = revision + 1 WHERE project_id = %s AND name = %s"
            " RETURNING revision",
            project,
            name,
        )

    @app.delete("/projects/<int:project>/workers/<worker>")
    def release_worker(project: int, worker: str) -> flask.Response:
        """Rare: a worker's running tasks are queued again; no index on worker_id."""
        with ask.transaction() as connection:
            rows(
                connection,
                "UPDATE project_counters SET released = released + 1 WHERE project_id = %s",
                project,
            )
            rows(
                connection,
                "UPDATE tasks SET state = 'queued', started_at = NULL, worker_id = NULL"
                " WHERE worker_id = %s AND state = 'running'",
                worker,
            )
        return flask.jsonify({})


def _comment() -> str:
    """What sqlcommenter says of a statement: its route, and the trace that it belongs to."""
    told = {
        "route": str(flask.request.url_rule),
        "traceparent": flask.request.headers.get("traceparent"),
    }
    pairs = (f"{key}='{quote(value, safe='')}'" for key, value in told.items() if value)
    return f" /*{','.join(pairs)}*/".replace("%", "%%")  # psycopg's sign for a value
