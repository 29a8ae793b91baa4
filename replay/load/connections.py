"""The pool's connections over their life: opened behind the guard, reopened when lost, closed.

This waits, so it runs in greenlets (threads, in the patched process) and never in the event loop.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable

import psycopg
from psycopg import conninfo, waiting

from replay.errors import EnvironmentFaultError, ReplayError
from replay.load.engine import Engine
from replay.load.session import Session
from replay.tag import LOAD_APPLICATION
from replay.target import connect_target, require_staging

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 10
_RETRY_S = (0.1, 0.5, 2.0)  # pauses between attempts to reconnect; the last one repeats


class Connections:
    """Opens and reopens the sessions of one engine."""

    def __init__(self, dsn: str, statement_timeout_ms: int) -> None:
        assert waiting.wait is not getattr(waiting, "wait_c", None), (
            "psycopg was imported before locust: its waits would stop the event loop"
        )
        self.reopened = 0
        self._dsn = dsn
        self._statement_timeout_ms = statement_timeout_ms
        self._lost: deque[tuple[Session, psycopg.Connection | None]] = deque()
        self._news = threading.Event()
        self._closing = threading.Event()

    def open_all(self, engine: Engine) -> None:
        """Open every session of the pool.

        Raises RefusedError where the target is not staging and EnvironmentFaultError where it does
        not let all of them in.
        """
        with connect_target(self._dsn):
            pass  # the guard, with its full message; every session is asked again
        for session in engine.sessions:
            try:
                connection = self._open()
            except psycopg.OperationalError as error:
                raise EnvironmentFaultError(
                    f"the target let in {session.slot} of {len(engine.sessions)} sessions: "
                    f"{str(error).strip()}; raise its max_connections, or run with fewer sessions "
                    "(a smaller --pool)"
                ) from None
            session.attach(connection)
            engine.add(session)

    def lost(self, session: Session, connection: psycopg.Connection | None) -> None:
        """A session broke: told by the event loop, which may not wait."""
        self._lost.append((session, connection))
        self._news.set()

    def reopen_forever(self, engine: Engine) -> None:
        """Connect sessions that are to come, or come back, one after the other, until the run ends.

        Several of these may work at once.
        """
        failures = 0
        while not self._closing.is_set():
            if not self._lost:
                self._news.wait()
                self._news.clear()
                continue
            session, broken = self._lost.popleft()
            if broken is not None:
                broken.close()
            try:
                connection = self._open()
            except (psycopg.Error, ReplayError) as error:
                self._lost.appendleft((session, broken))
                log.warning("session %d cannot connect: %s", session.slot, error)
                self._closing.wait(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1
                continue
            failures = 0
            if self._closing.is_set():
                connection.close()
            else:
                self.reopened += broken is not None
                session.attach(connection)
                engine.add(session)

    def stop_reopening(self) -> None:
        """Lost sessions stay lost."""
        self._closing.set()
        self._news.set()

    def close_all(self, engine: Engine) -> None:
        """Close every connection that is open."""
        lost = [connection for _, connection in self._lost]
        for connection in (*lost, *(session.detach() for session in engine.sessions)):
            if connection is not None:
                connection.close()

    def _open(self) -> psycopg.Connection:
        given = str(conninfo.conninfo_to_dict(self._dsn).get("options") or "")
        limit = f"-c statement_timeout={self._statement_timeout_ms}"
        connection = psycopg.connect(
            self._dsn,
            autocommit=True,
            application_name=LOAD_APPLICATION,
            client_encoding="UTF8",
            connect_timeout=_CONNECT_TIMEOUT_S,
            options=f"{given} {limit}".strip(),
        )
        try:
            require_staging(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def cancel(sessions: Iterable[Session], timeout_s: float) -> None:
    """Ask the server to end what these sessions have under way, all at once."""
    deadline = time.monotonic() + timeout_s
    threads = [
        threading.Thread(target=_cancel, args=(session.connection, timeout_s), daemon=True)
        for session in sessions
        if session.connection is not None
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))


def _cancel(connection: psycopg.Connection, timeout_s: float) -> None:
    try:
        connection.cancel_safe(timeout=timeout_s)
    except psycopg.Error as error:
        log.warning("a statement could not be cancelled: %s", error)
