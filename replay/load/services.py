"""The pool's connections to a service over their life, as `connections` has them to a server."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import psycopg

from replay.load.carrier import Heard
from replay.load.clients import Clients
from replay.load.engine import Engine
from replay.load.httpsession import HttpSession
from replay.load.login import hook, log_in
from replay.load.session import Session
from replay.service import Service, require_staging

log = logging.getLogger(__name__)

_PAUSE_S = 0.1  # after a broken connection, before its place is tried again
_LOOK_S = 0.5


class Services:
    """Makes the sessions of one engine, and brings broken ones back."""

    def __init__(
        self,
        service: Service,
        timeout_ms: int,
        *,
        per_client: int = 1,
        sessions: Callable[[], Iterable[bytes]] = tuple,
        login: str = "",
        csrf: Sequence[str] = (),
        fresh: Sequence[str] = (),
    ) -> None:
        """`sessions` gives the captured ones, each of which logs in where `login` names a function.

        `per_client`: see free.ByClient.
        """
        self.reopened = 0
        self._service = service
        self._timeout_ns = timeout_ms * 1_000_000
        self._clients = Clients(csrf, fresh)
        self._per_client = per_client
        self._sessions = sessions
        self._login = login
        self._lost: deque[Session] = deque()
        self._coming: deque[Session] = deque()
        self._news = threading.Event()
        self._closing = threading.Event()

    def new_session(self, slot: int, loop: object, heard: Heard) -> Session:
        """A session of this service's."""
        return HttpSession(
            *(slot, loop, heard),
            service=self._service,
            clients=self._clients,
            per_client=self._per_client,
        )

    def are_plain(self) -> bool:
        """Not bytes of PostgreSQL's protocol."""
        return False

    def open_all(self, engine: Engine) -> None:
        """Look that the service is there, and staging's, and log in; raises as these do."""
        require_staging(self._service)
        if self._login:
            log_in(hook(self._login), self._service, self._clients, self._sessions())
        for session in engine.sessions:
            engine.add(session)

    def lost(self, session: Session, gone: psycopg.Connection | None) -> None:
        """A session broke, or one of a recording comes: told by the event loop, which may not wait."""
        (self._coming if gone is None else self._lost).append(session)
        self._news.set()

    def reopen_forever(self, engine: Engine) -> None:
        """Let new sessions in at once, and give broken ones another try a moment later."""
        while not self._closing.is_set():
            while self._coming:
                engine.add(self._coming.popleft())
            if not self._lost:
                self._news.wait()
                self._news.clear()
            elif not self._closing.wait(_PAUSE_S):
                for _ in range(len(self._lost)):
                    self.reopened += 1
                    engine.add(self._lost.popleft())

    def watch_silent(self, engine: Engine) -> None:
        """Give up requests that take longer than a client waits."""
        while not self._closing.wait(_LOOK_S):
            for session, began in engine.silent_since(time.monotonic_ns() - self._timeout_ns):
                engine.give_up(session, began)

    def stop_reopening(self) -> None:
        """Lost sessions stay lost."""
        self._closing.set()
        self._news.set()

    def cancel(self, sessions: Iterable[Session], _timeout_s: float) -> None:
        """HTTP has no cancel: what is under way is closed after the pause that it gets."""
        log.debug("%d requests are under way", len(tuple(sessions)))

    def close_all(self, engine: Engine) -> None:
        """Close every connection that is open."""
        for session in engine.sessions:
            session.detach()
