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
from replay.load.record import (
    CODE_CANCELLED,
    CODE_LOST,
    CODE_OK,
    CODE_POOL,
    CODE_REFUSED,
    EXPECTED,
    FINAL,
    RECORD,
    RETRIED,
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
from replay.load.shard import Arrival, Call, Line

FAR = 1 << 62  # ns: later than anything
_LOOK_NS = 2_000_000  # while no session is free, arrivals are taken up together, so often
_QUERY_CANCELED = b"57014"
_RETRIED = (b"40001", b"40P01")  # serialization_failure, deadlock_detected
_STALE = (b"0A000", b"26000")  # cached plan must not change result type; no such statement
_BARE = Line(-1)  # of what is sent beside the transactions' own
_pack = RECORD.pack


class Engine:
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
    ) -> None:
        """`settings` are the texts that arrivals name, to be run in a session before them."""
        self._packed = bytearray()  # records, not yet taken
        self.error: BaseException | None = None  # what broke this program, if anything did
        self.lost_connections = 0
        self.refused_settings = 0  # that the server did not take
        self.queued = 0  # transactions that wait for a session of their own
        self.out_of_order = 0  # statements sent before one they should have waited for: see Ordered
        self._loop = loop
        self._heard = Heard(answered=self._answered, broken=self._broken, trap=self._trap)
        self._make_session = new_session
        self.sessions = tuple(map(self._new_session, range(pool)))
        self._arrivals = arrivals
        self._calls = calls
        self._rollbacks = {call.template: _beside(call, b"ROLLBACK") for call in calls}
        self._settings = settings
        self._retries = retries
        self._pool_timeout_ns = pool_timeout_ns
        self._done = done
        self._lost = lost
        self._free: deque[Session] = deque()
        self._looks: deque[tuple[int, int]] = deque()  # at which something waited: planned, made
        self._pauses: list[tuple[int, int]] = []  # heap of (wake, slot)
        self._busy = 0
        self._ending = False
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

    def take_records(self) -> bytes:
        """What was done since the last time, packed (record.RECORD)."""
        packed, self._packed = self._packed, bytearray()
        return bytes(packed)

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
            self._begin(self._free.popleft(), arrival, due, None)
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
        return min(max(self._next_due, now + _LOOK_NS), self._next_due + self._pool_timeout_ns)

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

    def _begin(self, session: Session, arrival: Arrival, due: int, lag: int | None) -> None:
        """Send a transaction's first statement, or before it what sets the session up for it."""
        session.take(arrival, due)
        if arrival.settings == session.settings:
            self._send(session, lag)
        else:
            self._set_up(session, monotonic_ns() - due if lag is None else lag)

    def _send(self, session: Session, lag_ns: int | None = None) -> None:
        """Send the statement that is next; its lag is all of its delay where none is given."""
        line = session.lines[session.position]
        call = self._calls[line.call]
        session.template = call.template
        session.began = began = monotonic_ns()
        session.lag = began - session.due if lag_ns is None else lag_ns
        session.carrier.send(call.with_text(line.text) if line.text else call, line)

    def _answered(self, session: Session, code: bytes, rows: int) -> None:
        """A statement is over: write it down, and go on with its transaction or the next one."""
        now = monotonic_ns()
        if session.state != RUNNING:
            self._went_by(session, code, now)
        elif code is not CODE_OK:
            self._refused(session, code, rows, now)
        elif session.position + 1 < len(session.lines):
            self._record(session, code, rows, now, 0)
            self._go_on(session, now)
        else:
            self._record(session, code, rows, now, FINAL)
            if session.in_transaction:
                self._finish(session, now)
            else:
                self._release(session, now)
        if now >= self._wake:
            self._run_due()

    def _went_by(self, session: Session, code: bytes, now: int) -> None:
        """What is no statement of the transaction is over: its settings, or a rollback."""
        if session.state == ROLLING_BACK:
            self._release(session, now)
            return
        if session.state == SETTING:
            session.settings = session.wanted
            self.refused_settings += code is not CODE_OK
        else:
            session.due, session.lag = now, 0
        session.state = RUNNING
        if self._ending:
            self._never_sent(session, CODE_CANCELLED, now)
            self._finish(session, now)
        else:
            self._send(session, session.lag)

    def _begin_again(self, session: Session, now: int) -> None:
        """The transaction's next try; the failed one is rolled back."""
        session.tries += 1
        session.ordinal += len(session.lines)
        session.position = 0
        if session.in_transaction:
            self._roll_back(session, RETRYING)
        else:
            session.due = now
            self._send(session)

    def _roll_back(self, session: Session, state: int) -> None:
        session.state = state
        self._send_beside(session, self._rollbacks[session.template])

    def _send_beside(self, session: Session, call: Call) -> None:
        """Send what is no statement of the transaction."""
        session.began = monotonic_ns()
        session.template = call.template
        session.carrier.send(call, _BARE)

    def _refused(self, session: Session, code: bytes, rows: int, now: int) -> None:
        """The server said no. Where it said the same to production, what followed there follows."""
        if self._ending and code == _QUERY_CANCELED:
            code = CODE_CANCELLED
        line = session.lines[session.position]
        expected = line.expected.encode() == code
        if code in _STALE and (name := self._calls[line.call].name):
            session.carrier.prepare_anew(name)
        if code in _RETRIED and not (expected or self._ending) and session.tries < self._retries:
            self._record(session, code, rows, now, RETRIED)
            self._begin_again(session, now)
            return
        last = session.position + 1 == len(session.lines)
        flags = (EXPECTED if expected else 0) | (0 if expected and not last else FINAL)
        self._record(session, code, rows, now, flags)
        if flags & FINAL:
            self._finish(session, now)
        else:
            self._go_on(session, now)

    def _go_on(self, session: Session, now: int) -> None:
        """The transaction's next statement, at once or when the client had its own business done."""
        session.position += 1
        if self._ending:
            self._never_sent(session, CODE_CANCELLED, now)
            self._finish(session, now)
        elif gap_us := session.lines[session.position].gap_us:
            session.state = PAUSED
            session.wake = wake = now + gap_us * 1000
            heappush(self._pauses, (wake, session.slot))
            if wake < self._wake:
                self._wake = wake
                self._alarm.arm(wake)
        else:
            session.due = now
            self._send(session)

    def _finish(self, session: Session, now: int) -> None:
        """The transaction is in the books: leave nothing open on the server, free the session."""
        if session.in_transaction:
            self._roll_back(session, ROLLING_BACK)
        else:
            self._release(session, now)

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
        self._free.append(session)
        if due < self._wake:
            self._wake = due
            self._alarm.arm(due)
        self._check_done()

    def _set_up(self, session: Session, lag: int) -> None:
        """Give the session the settings that its next transaction ran with."""
        session.state = SETTING
        session.lag = lag
        first = self._calls[session.lines[0].call]
        self._send_beside(session, _beside(first, self._settings[session.wanted]))

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

    def _record(self, session: Session, code: bytes, rows: int, now: int, flags: int) -> None:
        self._write(
            session.number,
            session.ordinal + session.position,
            flags,
            code,
            session.template,
            session.slot,
            session.pid,
            session.due,
            session.began,
            now,
            session.lag,
            rows,
        )

    def _write(self, *fields: int | bytes) -> None:
        """Write a record (record.RECORD)."""
        self._packed += _pack(*fields)

    def _never_sent(self, session: Session, code: bytes, now: int) -> None:
        """The statement at which a transaction ended between two statements."""
        session.due, session.began, session.lag = now, -1, 0
        session.template = self._calls[session.lines[session.position].call].template
        self._record(session, code, -1, now, FINAL)

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


def _beside(call: Call, text: bytes) -> Call:
    """What is sent beside a transaction's own statements, named to the server as one of them is."""
    return Call(template=call.template, text=call.tag + text, name=b"", simple=True, number=-1)
