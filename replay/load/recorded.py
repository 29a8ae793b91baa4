"""The recording: every captured session on a connection of its own, from its beginning to its end.

A transaction that is due while its session is still at the one before waits for it, and only for
it: the others go on. A session connects when production's did, and hangs up after its last
transaction.
"""

from collections import deque
from collections.abc import Iterator
from time import monotonic_ns
from typing import Any

import numpy as np

from replay.load.engine import Engine
from replay.load.native.layout import FAR
from replay.load.session import FREE, Session
from replay.load.shard import Arrival, Call


class Visit:
    """A captured session while it is replayed."""

    __slots__ = ("left", "number", "queue", "session")

    def __init__(self, number: int, session: Session, transactions: int) -> None:
        self.number = number
        self.session = session
        self.left = transactions  # not yet begun
        self.queue: deque[tuple[Arrival, int, int]] = deque()  # arrival, due, lag


class Recorded(Engine):
    """Drives one shard of a recording; `sessions` are the worker's, by when they connect."""

    def __init__(
        self,
        arrivals: Iterator[Arrival],
        calls: tuple[Call, ...],
        *,
        sessions: np.ndarray,
        **others: Any,
    ) -> None:
        super().__init__(arrivals, calls, pool=0, pool_timeout_ns=FAR, **others)
        self._coming = sessions
        self._came = 0  # of them, those that have connected or are about to
        self._visits: dict[int, Visit] = {}  # by the session's number
        self._visit_at: dict[int, Visit] = {}  # by its slot
        self._spare: list[Session] = []  # slots of sessions that have ended
        while self._came < len(sessions) and sessions["connect_us"][self._came] <= 0:
            self._come()  # these are there at the origin

    def end(self) -> tuple[Session, ...]:
        """Take up nothing more; returns the sessions whose statement is still under way."""
        self._came = len(self._coming)
        for visit in self._visits.values():
            visit.queue.clear()
        self.queued = 0
        return super().end()

    def _run_due(self) -> None:
        now = monotonic_ns()
        while self._next_come_ns() <= now:
            self._lost(self._come(), None)
        super()._run_due()
        coming = self._next_come_ns()
        if coming < self._wake:
            self._wake = coming
            self._alarm.arm(coming)

    def _next_come_ns(self) -> int:
        if self._came == len(self._coming):
            return FAR
        return self._origin + int(self._coming["connect_us"][self._came]) * 1000

    def _come(self) -> Session:
        """The next session's slot, to be given a connection."""
        row = self._coming[self._came]
        self._came += 1
        if self._spare:
            session = self._spare.pop()
        else:
            session = self._new_session(len(self.sessions))
            self.sessions = (*self.sessions, session)
        visit = Visit(int(row["number"]), session, int(row["transactions"]))
        self._visits[visit.number] = self._visit_at[session.slot] = visit
        return session

    def _next_look(self, _now: int) -> int:
        """Nothing waits for a free session: each has its own."""
        return self._next_due

    def _take_up(self, now: int) -> bool:
        arrival, due = self._next, self._next_due
        assert arrival is not None
        self._advance()
        visit = self._visits[arrival.session]
        if visit.session.state == FREE:
            self._busy += 1
            visit.left -= 1
            self._begin(visit.session, arrival, due, None)
        else:
            self.queued += 1
            visit.queue.append((arrival, due, now - due))
        return True

    def _release(self, session: Session, _now: int) -> None:
        """A session's work is done: give it what waits for it, or let it go."""
        visit = self._visit_at[session.slot]
        if visit.queue:
            self.queued -= 1
            visit.left -= 1
            self._begin(session, *visit.queue.popleft())
            return
        self._busy -= 1
        session.state = FREE
        if not visit.left and not self._ending:
            self._hang_up(session)
        self._check_done()

    def _hang_up(self, session: Session) -> None:
        connection = session.detach()
        if connection is not None:
            connection.close()
        del self._visits[self._visit_at.pop(session.slot).number]
        self._spare.append(session)

    def _not_free(self, session: Session) -> None:
        """Nothing: its visit knows it."""

    def _check_done(self) -> None:
        if not self.queued:
            super()._check_done()
