"""The API itself: a small real service over the schema, with a pool of connections that all requests share.

`python -m scenarios.incidents.ironworker.service --access-log access.json`, with the DSN in
REPLAY_SERVICE_DSN; it says on stdout where it listens. Its access log is what `replay capture --http`
reads best. It serves until SIGTERM.
"""

import gevent.monkey

gevent.monkey.patch_all()

import argparse  # noqa: E402 - the patch comes first
import json  # noqa: E402
import os  # noqa: E402
import secrets  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import IO  # noqa: E402

import flask  # noqa: E402
import gevent.queue  # noqa: E402
import psycopg  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from psycopg.rows import dict_row  # noqa: E402

from scenarios.incidents.ironworker import api  # noqa: E402

_COOKIE = "session"
_BACKLOG = 1024  # connections that may come at once


class Pool:
    """Connections that requests share; one that waits too long for its turn is turned away."""

    def __init__(self, dsn: str, size: int, timeout_s: float) -> None:
        self._dsn = dsn
        self._timeout_s = timeout_s
        self._free: gevent.queue.LifoQueue[psycopg.Connection[api.Row]] = gevent.queue.LifoQueue()
        for _ in range(size):
            self._free.put(self._connect())

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[api.Row]]:
        """A free connection; aborts with 503 where none becomes free in time."""
        try:
            connection = self._free.get(timeout=self._timeout_s)
        except gevent.queue.Empty:
            flask.abort(503)
        try:
            if connection.closed:
                connection = self._connect()
            yield connection
        finally:
            self._free.put(connection)

    def _connect(self) -> psycopg.Connection[api.Row]:
        return psycopg.connect(
            self._dsn, autocommit=True, application_name="ironworker-api", row_factory=dict_row
        )


def make(pool: Pool, log: IO[str] | None) -> flask.Flask:
    """The application, with a cookie for each client and a line in the log for each request."""
    app = api.make(pool.connection)

    @app.before_request
    def begun() -> None:
        flask.g.begun = time.time()

    @app.after_request
    def told(response: flask.Response) -> flask.Response:
        if _COOKIE not in flask.request.cookies:
            response.set_cookie(_COOKIE, secrets.token_hex(16))
        if log is not None:
            log.write(f"{json.dumps(_line(response))}\n")
            log.flush()
        return response

    return app


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
        "session": request.cookies.get(_COOKIE, ""),
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
    server = WSGIServer(
        ("127.0.0.1", options.port), make(pool, log), log=None, error_log=None, backlog=_BACKLOG
    )
    server.init_socket()
    # Head and body are sent one after the other: without this the body waits 40 ms for the head's receipt.
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    gevent.signal_handler(signal.SIGINT, server.stop)
    server.start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
