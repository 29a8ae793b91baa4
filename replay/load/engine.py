"""The open loop: arrivals from one origin, a pool of sessions, a queue before it, and the books.

Everything happens in callbacks of the event loop: the alarm, and the sessions' sockets. A
transaction that finds no free session waits its turn, first come first served, until the pool's
timeout; it is never sent late in secret: every record has due, began, ended, and `lag`, the part
of the delay that this program is to blame for. What waits stays in the stream of arrivals, so that
a queue of millions takes no memory; while it does, the engine looks up every two milliseconds, and
how late it was with that tells its own part of the delay.

The books: each arrival that was taken up leaves exactly one record with the flag FINAL, whatever
becomes of it. Arrivals that never came due are accounted for afterwards (see settle).
"""

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from time import monotonic_ns
from typing import Any

import psycopg

from replay.load import clock
from replay.load.carrier import Heard
from replay.load.driving import Driving
from replay.load.free import Free, InTurn
from replay.load.native.layout import FAR, LOOK_NS
from replay.load.record import (
    CODE_CANCELLED,
    CODE_LOST,
    CODE_POOL,
    CODE_REFUSED,
    FINAL,
)
from replay.load.session import (
    EXPECTING,
    FREE,
    LOST,
    PAUSED,
    RETRYING,
    ROLLING_BACK,
    RUNNING,
    SETTING,
    NewSession,
    Session,
)
from replay.load.shard import Arrival, Call


class Engine(Driving):
    """Drives one shard through one pool; `done` is called once there is nothing more to wait for.

    `lost` is called with a session whose connection broke, and with that connection, to be closed;
    `add` brings the session back.
    """

    def __init__(
        self,
        arrivals: Iterator[Arrival],
        calls: tuple[Call, ...],
        *,
        pool: int,
        pool_timeout_ns: int,
        loop: Any,
        done: Callable[[], None],
        lost: Callable[[Session, psycopg.Connection | None], None],
        settings: tuple[bytes, ...] = (b"",),
        retries: int = 0,
        new_session: NewSession = Session,
        free: Free | None = None,
    ) -> None:
        """`settings` are the texts that arrivals name, to be run in a session before them.

        `free` has the free sessions and says who gets which; without it they take turns.
        """
        super().__init__(calls, settings, retries)
        self.error: BaseException | None = None  # what broke this program, if anything did
        self.lost_connections = 0
        self.queued = 0  # transactions that wait for a session of their own
        self.out_of_order = 0  # statements sent before one they should have waited for: see Ordered
        self._loop = loop
        self._heard = Heard(answered=self._answered, broken=self._broken, trap=self._trap)
        self._make_session = new_session
        self.sessions = tuple(map(self._new_session, range(pool)))
        self._arrivals = arrivals
        self._pool_timeout_ns = pool_timeout_ns
        self._done = done
        self._lost = lost
        self._free = InTurn() if free is None else free
        self._looks: deque[tuple[int, int]] = deque()  # at which something waited: planned, made
        self._pauses: list[tuple[int, int]] = []  # heap of (wake, slot)
        self._busy = 0
        self._origin = self._next_due = self._wake = FAR
        self._next: Arrival | None = None
        self._alarm = self._new_alarm()

    def _new_alarm(self) -> clock.Alarm:
        return clock.open_alarm(self._loop, self._tick)

    def _new_session(self, slot: int) -> Session:
        return self._make_session(slot, self._loop, self._heard)

    def add(self, session: Session) -> None:
        """A session has its connection, for the first time or again."""
        self._busy += 1
        self._release(session, monotonic_ns())

    def start(self, origin_ns: int) -> None:
        """Begin: from now on every arrival is due at this origin plus its own time."""
        self._origin = origin_ns
        self._advance()
        self._tick()

    def end(self) -> tuple[Session, ...]:
        """Take up nothing more; returns the sessions whose statement is still under way.

        What waits for a session gets none, what pauses between two statements is rolled back.
        """
        self._ending = True
        self._next, self._next_due = None, FAR
        self._alarm.disarm()
        now = monotonic_ns()
        for session in self.sessions:
            if session.state == PAUSED:
                self._never_sent(session, CODE_CANCELLED, now)
                self._finish(session, now)
        self._check_done()
        return tuple(s for s in self.sessions if s.state in EXPECTING)

    def under_way(self) -> tuple[int, int]:
        """Transactions that have a session, and the number of the arrival that is next; -1: none."""
        return self._busy, -1 if self._next is None else self._next.number

    def silent_since(self, then_ns: int) -> list[tuple[Session, int]]:
        """Sessions that wait for an answer since then or longer, and since when."""
        return [
            (session, session.began)
            for session in self.sessions
            if session.state in EXPECTING and session.began <= then_ns
        ]

    def give_up(self, session: Session, began_ns: int) -> None:
        """Count a session as lost, where it still waits for the answer that it waited for then."""
        if session.state in EXPECTING and session.began == began_ns:
            self._broken(session)

    def close(self) -> None:
        """Give up what did not even answer a cancel; the sessions' connections stay to be closed."""
        now = monotonic_ns()
        for session in self.sessions:
            if session.state == RUNNING:
                self._record(session, CODE_CANCELLED, -1, now, FINAL)
            elif session.state in (SETTING, RETRYING):
                self._never_sent(session, CODE_CANCELLED, now)
            if session.state in EXPECTING:
                session.state = ROLLING_BACK
        self._alarm.close()

    def _tick(self) -> None:
        try:
            self._run_due()
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self._trap(error)

    def _run_due(self) -> None:
        """Do all that is due, then set the alarm for what comes next."""
        pauses = self._pauses
        now = monotonic_ns()
        while True:
            if self._next_due <= now and self._take_up(now):
                pass
            elif pauses and pauses[0][0] <= now:
                wake, slot = heappop(pauses)
                session = self.sessions[slot]
                if session.state == PAUSED and session.wake == wake:
                    session.state = RUNNING
                    session.due = wake
                    self._send(session)
            else:
                break
            now = monotonic_ns()
        wake = min(self._next_look(now), pauses[0][0] if pauses else FAR)
        if wake >= FAR:
            self._wake = FAR
            self._alarm.disarm()
            self._check_done()
        else:
            self._wake = wake
            self._alarm.arm(wake)

    def _take_up(self, now: int) -> bool:
        """Begin the transaction that is due, or give it up; False where it waits for the pool."""
        arrival, due = self._next, self._next_due
        assert arrival is not None
        if self._free:
            self._advance()
            self._busy += 1
            self._begin(self._free.take(arrival), arrival, due, None)
        elif now - due < self._pool_timeout_ns:
            return False
        else:
            self._advance()
            self._skip(arrival, due, now)
        return True

    def _next_look(self, now: int) -> int:
        """When to look again whether anything is due."""
        if self._free:
            return self._next_due
        if self._next_due <= now:
            self._looks.append((self._wake, now))
        # Nobody could serve it before: whoever becomes free looks for himself.
        return min(max(self._next_due, now + LOOK_NS), self._next_due + self._pool_timeout_ns)

    def _lag(self, due: int, now: int) -> int:
        """Our part of the delay of what waited for the pool: how late it was seen to wait."""
        looks = self._looks
        while looks:
            planned, made = looks[0]
            if made >= due:
                break
            looks.popleft()
        else:
            planned, made = self._wake, now
        since = max(due, planned)
        return made - since if made > since else 0

    def _advance(self) -> None:
        self._next = arrival = next(self._arrivals, None)
        self._next_due = FAR if arrival is None else self._origin + arrival.due_us * 1000

    def _release(self, session: Session, now: int) -> None:
        """A session's work is done: give it what waits for one, or let it be free."""
        arrival, due = self._next, self._next_due
        if arrival is not None and due <= now and not self._free:
            self._next = following = next(self._arrivals, None)
            self._next_due = FAR if following is None else self._origin + following.due_us * 1000
            self._begin(session, arrival, due, self._lag(due, now))
            return
        self._busy -= 1
        session.state = FREE
        self._free.add(session)
        if due < self._wake:
            self._wake = due
            self._alarm.arm(due)
        self._check_done()

    def _pause(self, session: Session, wake_ns: int) -> None:
        session.state = PAUSED
        session.wake = wake_ns
        heappush(self._pauses, (wake_ns, session.slot))
        if wake_ns < self._wake:
            self._wake = wake_ns
            self._alarm.arm(wake_ns)

    def _check_done(self) -> None:
        if self._next is None and not self._busy and self._origin != FAR:
            self._done()

    def _broken(self, session: Session) -> None:
        """The connection is no more: what it carried has failed, the pool is one smaller."""
        now = monotonic_ns()
        self.lost_connections += 1
        if session.state == RUNNING:
            self._record(session, CODE_LOST, -1, now, FINAL)
        elif session.state in (PAUSED, SETTING, RETRYING):
            self._never_sent(session, CODE_LOST, now)
        if session.state == FREE:
            self._not_free(session)
        else:
            self._busy -= 1
        self._lost(session, self._detach(session))
        self._check_done()

    def _detach(self, session: Session) -> Any:
        return session.detach()

    def _not_free(self, session: Session) -> None:
        """A session that had nothing to do is gone."""
        self._free.remove(session)

    def _skip(self, arrival: Arrival, due: int, now: int) -> None:
        """It has waited for a session for so long that the service would have given up."""
        template = self._calls[arrival.lines[0].call].template
        self._write_skipped(arrival.number, template, due, now, self._lag(due, now))

    def _write_skipped(self, number: int, template: int, due: int, now: int, lag: int) -> None:
        lost = all(session.state == LOST for session in self.sessions)
        code = CODE_REFUSED if lost else CODE_POOL
        self._write(number, 0, FINAL, code, template, -1, 0, due, -1, now, lag, -1)

    def _trap(self, error: BaseException) -> None:
        """A fault of this program: the run cannot go on, and must not look as if it had."""
        if self.error is None:
            self.error = error
        self._done()
