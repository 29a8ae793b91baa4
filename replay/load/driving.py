"""One transaction on each session: its statements one after the other, and the books on them.

A statement is sent, its answer comes, a record is written; then the next one follows, at once or when
the client had its own business done, or a rollback, another try, the end. Which transaction a session
has, and what it waits for, is for the engine that this is the lower half of.
"""

from abc import ABC, abstractmethod
from time import monotonic_ns

from replay.load.record import (
    CODE_CANCELLED,
    CODE_OK,
    EXPECTED,
    FINAL,
    RECORD,
    RETRIED,
)
from replay.load.session import RETRYING, ROLLING_BACK, RUNNING, SETTING, Session
from replay.load.shard import Arrival, Call, Line

_QUERY_CANCELED = b"57014"
_RETRIED = (b"40001", b"40P01")  # serialization_failure, deadlock_detected
_STALE = (b"0A000", b"26000")  # cached plan must not change result type; no such statement
_BARE = Line(-1)  # of what is sent beside the transactions' own
_pack = RECORD.pack


class Driving(ABC):
    """Drives the transactions that sessions are given."""

    _wake: int  # ns: when something is to be done next

    def __init__(self, calls: tuple[Call, ...], settings: tuple[bytes, ...], retries: int) -> None:
        """`settings` are the texts that arrivals name, to be run in a session before them."""
        self.refused_settings = 0  # that the server did not take
        self._packed = bytearray()  # records, not yet taken
        self._calls = calls
        self._rollbacks = {call.template: _beside(call, b"ROLLBACK") for call in calls}
        self._settings = settings
        self._retries = retries
        self._ending = False

    @abstractmethod
    def _release(self, session: Session, now: int) -> None:
        """A session's transaction is over, and nothing of it is left on the server."""

    @abstractmethod
    def _pause(self, session: Session, wake_ns: int) -> None:
        """Send a session's next statement then."""

    @abstractmethod
    def _run_due(self) -> None:
        """Do all that is due."""

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
            self._pause(session, now + gap_us * 1000)
        else:
            session.due = now
            self._send(session)

    def _finish(self, session: Session, now: int) -> None:
        """The transaction is in the books: leave nothing open on the server, free the session."""
        if session.in_transaction:
            self._roll_back(session, ROLLING_BACK)
        else:
            self._release(session, now)

    def _set_up(self, session: Session, lag: int) -> None:
        """Give the session the settings that its next transaction ran with."""
        session.state = SETTING
        session.lag = lag
        first = self._calls[session.lines[0].call]
        self._send_beside(session, _beside(first, self._settings[session.wanted]))

    def take_records(self) -> bytes:
        """What was done since the last time, packed (record.RECORD)."""
        packed, self._packed = self._packed, bytearray()
        return bytes(packed)

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


def _beside(call: Call, text: bytes) -> Call:
    """What is sent beside a transaction's own statements, named to the server as one of them is."""
    return Call(template=call.template, text=call.tag + text, name=b"", simple=True, number=-1)
