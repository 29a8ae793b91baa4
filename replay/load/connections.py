"""The pool's connections over their life: opened behind the guard, reopened when lost, closed.

This waits, so it runs in greenlets (threads, in the patched process) and never in the event loop.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

import psycopg
from psycopg import conninfo, waiting

from replay.errors import EnvironmentFaultError, ReplayError
from replay.load.engine import Engine
from replay.load.protocol import Usual
from replay.load.session import Session, attach, is_encrypted
from replay.tag import LOAD_APPLICATION
from replay.target import connect_target, require_staging

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 10
_RETRY_S = (0.1, 0.5, 2.0)  # pauses between attempts to reconnect; the last one repeats
_OPENING = 16  # connections that are opened at once at the start
_LOOK_S = 1.0
_SILENT_NS = 3_000_000_000  # a statement that takes longer may be one whose network is gone
_PROBE_TIMEOUT_S = 2  # libpq's least
# A backend that works, or waits for a lock, does not notice that its client is gone unless it is
# told to look. PostgreSQL 14 and later, and not on every platform.
_NOTICE = b"SET client_connection_check_interval = 1000"
_KEEPALIVES = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
_ACTIVE = "SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s) AND state <> 'idle'"


class Connections:
    """Opens and reopens the sessions of one engine."""

    def __init__(self, dsn: str, statement_timeout_ms: int) -> None:
        assert waiting.wait is not getattr(waiting, "wait_c", None), (
            "psycopg was imported before locust: its waits would stop the event loop"
        )
        self.reopened = 0
        self._usual = Usual()
        self._dsn = dsn
        self._statement_timeout_ms = statement_timeout_ms
        self._lost: deque[tuple[Session, psycopg.Connection | None]] = deque()
        self._news = threading.Event()
        self._closing = threading.Event()

    new_session = staticmethod(Session)

    def are_plain(self) -> bool:
        """Whether bytes go over the connections' sockets as they are, as far as one of them tells."""
        try:
            with psycopg.connect(self._dsn, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
                return not is_encrypted(connection)
        except psycopg.Error:
            return True  # who opens all of them says what is wrong

    def open_all(self, engine: Engine) -> None:
        """Open every session of the pool.

        Raises RefusedError where the target is not staging and EnvironmentFaultError where it does
        not let all of them in.
        """
        with connect_target(self._dsn):
            pass  # the guard, with its full message; every session is asked again
        left = deque(engine.sessions)
        failed: list[psycopg.OperationalError] = []

        def work() -> None:
            while left and not failed:
                session = left.popleft()
                try:
                    connection = self._open()
                except psycopg.OperationalError as error:
                    failed.append(error)
                    return
                attach(session, connection, self._usual)
                engine.add(session)

        _together([work] * min(_OPENING, len(left)))
        if failed:
            here = sum(session.connection is not None for session in engine.sessions)
            raise EnvironmentFaultError(
                f"the target let in {here} of {len(engine.sessions)} sessions: "
                f"{str(failed[0]).strip()}; raise its max_connections, or run with fewer sessions "
                "(a smaller --pool)"
            )

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
                attach(session, connection, self._usual)
                engine.add(session)

    def watch_silent(self, engine: Engine) -> None:
        """Give up sessions whose server, or the way to it, is gone without a word.

        Nothing comes from a socket whose network was cut, and it may take hours until the system
        says so. What is silent for long is looked up by a connection of its own: a backend that
        works on it is slow, and one that does not, or a server that does not answer, is gone.
        """
        while not self._closing.wait(_LOOK_S):
            silent = engine.silent_since(time.monotonic_ns() - _SILENT_NS)
            if silent:
                working = self._working([session.pid for session, _ in silent])
                for session, began in silent:
                    if session.pid not in working and not self._closing.is_set():
                        engine.give_up(session, began)

    def _working(self, pids: list[int]) -> set[int]:
        """Which of these backends are at work; all of them where nothing is known."""
        try:
            with psycopg.connect(self._dsn, connect_timeout=_PROBE_TIMEOUT_S) as probe:
                return {pid for (pid,) in probe.execute(_ACTIVE, (pids,))}
        except psycopg.errors.ConnectionTimeout:
            log.warning("the target does not answer: %d sessions are given up", len(pids))
            return set()
        except psycopg.Error:  # it answers, if only to say that it lets nobody in
            return set(pids)

    def stop_reopening(self) -> None:
        """Lost sessions stay lost."""
        self._closing.set()
        self._news.set()

    def cancel(self, sessions: Iterable[Session], timeout_s: float) -> None:
        """Ask the server to end what these sessions have under way, all at once."""
        connections = [s.connection for s in sessions if s.connection is not None]
        tasks = [partial(_cancel, connection, timeout_s) for connection in connections]
        _together(tasks, timeout_s)

    def close_all(self, engine: Engine) -> None:
        """Close every connection that is open."""
        lost = [connection for _, connection in self._lost]
        for connection in (*lost, *(session.detach() for session in engine.sessions)):
            if connection is not None:
                connection.close()

    def _open(self) -> psycopg.Connection:
        given = str(conninfo.conninfo_to_dict(self._dsn).get("options") or "")
        limit = f"-c statement_timeout={self._statement_timeout_ms} {_KEEPALIVES}"
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
            if connection.info.server_version >= 140_000:
                with contextlib.suppress(psycopg.errors.InvalidParameterValue):
                    connection.execute(_NOTICE)
        except BaseException:
            connection.close()
            raise
        return connection


def _together(tasks: Iterable[Callable[[], None]], timeout_s: float | None = None) -> None:
    threads = [threading.Thread(target=task, daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    for thread in threads:
        thread.join(None if deadline is None else max(deadline - time.monotonic(), 0.0))


def _cancel(connection: psycopg.Connection, timeout_s: float) -> None:
    try:
        connection.cancel_safe(timeout=timeout_s)
    except psycopg.Error as error:
        log.warning("a statement could not be cancelled: %s", error)
