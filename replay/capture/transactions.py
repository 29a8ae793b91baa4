"""Rebuild transactions from a log's records, session by session.

A unit begins with BEGIN and ends with COMMIT or ROLLBACK; a statement outside is a unit by itself.
Virtual transaction ids do not tell (the simple protocol logs N/0), so sessions are followed by their
line order. Memory holds one state per process id: a pid that comes back with another session
id says that the session before it has ended.
"""

from collections.abc import Callable

import msgspec

from replay.capture import messages
from replay.capture.formats import Record
from replay.capture.templates import CHAINS, CLOSES, OPENS, STAYS, Templates
from replay.capture.units import Execution, Unit, priority, session_seed

_UNIT_AT_MOST = 10_000  # executions kept of one transaction; the rest is only counted
# Timestamps are cut to milliseconds: what follows at once may seem to begin earlier, or later.
_AT_ONCE_US = 2000
_FAILURES = ("ERROR", "FATAL", "PANIC")
FAILED = -1
"""The duration by which a failed execution is counted."""

Count = Callable[[int, int, int], None]
"""Takes the variant, the start (epoch µs) and the duration (µs, or FAILED) of an execution."""


class _Session(msgspec.Struct):
    id: str
    seed: int
    seen: bool = False  # an execution of it
    open: bool = False
    end_us: int = 0  # of its last execution
    line: int = 0  # of the open unit's first execution
    executions: list[Execution] = []  # of the open unit; msgspec copies the default
    prepared_us: int = 0  # parse and bind of the call to come
    prepared_end_us: int = 0
    bind: Record | None = None
    begun: tuple[Record, str, str | None] | None = None  # by log_statement: text, name


class Transactions:
    """Takes records in log order; gives executions to `count` and finished units to `emit`."""

    def __init__(
        self, templates: Templates, *, count: Count, emit: Callable[[Unit], None], seed: int
    ) -> None:
        self._templates = templates
        self._count = count
        self._emit = emit
        self._seed = seed
        self._sessions: dict[int, _Session] = {}
        self.sessions = 0
        self.units = 0
        self.executions = 0
        self.timed = 0  # executions with a duration: none means that the server does not log them
        self.beyond = 0  # executions of overlong transactions, counted but never kept

    def take(self, record: Record) -> None:
        """Take the next record of a client's session."""
        session = self._sessions.get(record.pid)
        if session is None or session.id != record.session_id:
            session = self._new(record, session)
        if record.error_severity != "LOG":
            if record.statement and record.error_severity in _FAILURES:
                self._failed(session, record)
            return
        kind, duration_us, text, name = messages.said(record.message)
        if kind == messages.RAN:
            self._ran(session, record, duration_us, text, name)
        elif kind == messages.PREPARED:
            self._prepared(session, record, duration_us)
        elif kind == messages.BEGINS:
            session.begun = (record, text, name)
        elif kind == messages.ENDED and session.begun is not None:
            start, text, name = session.begun
            record.detail = start.detail
            self._ran(session, record, duration_us, text, name)

    def finish(self) -> None:
        """Give out the transactions that the log leaves open."""
        for session in self._sessions.values():
            self._close(session)
        self._sessions.clear()

    def _new(self, record: Record, before: _Session | None) -> _Session:
        if before is not None:
            self._close(before)
        session = _Session(record.session_id, session_seed(self._seed, record.session_id))
        self._sessions[record.pid] = session
        return session

    def _prepared(self, session: _Session, record: Record, duration_us: int) -> None:
        if record.at_us - duration_us - session.prepared_end_us > _AT_ONCE_US:
            session.prepared_us = 0
        session.prepared_us += duration_us
        session.prepared_end_us = record.at_us
        session.bind = record

    def _ran(
        self, session: _Session, record: Record, duration_us: int, text: str, name: str | None
    ) -> None:
        start_us = record.at_us - duration_us
        if session.bind is not None:
            if start_us - session.prepared_end_us <= _AT_ONCE_US:
                duration_us += session.prepared_us
                start_us -= session.prepared_us
            session.bind = None
            session.prepared_us = 0
        session.begun = None
        start_us = _after_the_last(session, start_us)
        session.end_us = start_us + duration_us
        known = self._templates.of(text, record.query_id)
        variant = known.variants.get(record.query_id)
        if variant is None:
            variant = self._templates.variant(known, record.query_id)
        self._count(variant, start_us, duration_us)
        self.timed += 1
        ran = Execution(known.id, text, record.detail, name, start_us, duration_us)
        self._add(session, record.line_num, ran, known.effect)

    def _failed(self, session: _Session, record: Record) -> None:
        name, parameters, start_us = _call_of(session, record)
        start_us = _after_the_last(session, start_us)
        session.end_us = max(start_us, record.at_us)
        session.bind = session.begun = None
        session.prepared_us = 0
        known = self._templates.of(record.statement, record.query_id)
        variant = self._templates.variant(known, record.query_id)
        self._count(variant, start_us, FAILED)
        failed = Execution(
            known.id,
            record.statement,
            parameters,
            name,
            start_us,
            session.end_us - start_us,
            record.state_code or "XX000",
        )
        # A COMMIT that fails has ended the transaction; a BEGIN that fails has opened none.
        effect = CLOSES if known.effect in (CLOSES, CHAINS) else STAYS
        self._add(session, record.line_num, failed, effect)
        if record.error_severity != "ERROR":
            self._close(session)

    def _add(self, session: _Session, line: int, execution: Execution, effect: int) -> None:
        self.executions += 1
        if not session.seen:
            session.seen = True
            self.sessions += 1
        if not session.open:
            if effect in (OPENS, CHAINS):
                session.open = True
                session.line = line
                session.executions = [execution]
            else:
                self._give(session, line, [execution])
            return
        if not session.executions:
            session.line = line
        if len(session.executions) < _UNIT_AT_MOST or effect >= CLOSES:
            session.executions.append(execution)
        else:
            self.beyond += 1
        if effect >= CLOSES:
            self._close(session)
            session.open = effect == CHAINS

    def _close(self, session: _Session) -> None:
        if session.executions:
            self._give(session, session.line, session.executions)
        session.open = False
        session.executions = []

    def _give(self, session: _Session, line: int, executions: list[Execution]) -> None:
        self.units += 1
        self._emit(Unit(priority(session.seed, line), session.id, executions))


def _after_the_last(session: _Session, start_us: int) -> int:
    """A session runs one statement after the other: that orders what one millisecond holds."""
    if start_us < session.end_us <= start_us + _AT_ONCE_US:
        return session.end_us
    return start_us


def _call_of(session: _Session, record: Record) -> tuple[str | None, str, int]:
    """Prepared name, parameters and start of a failed call, from what the session logged before.

    The error names none of them, but the bind or the statement's beginning stand right above it.
    """
    if session.begun is not None and session.begun[1] == record.statement:
        begun, _, name = session.begun
        return name, begun.detail, begun.at_us
    if session.bind is not None:
        name, text = messages.bound(session.bind.message)
        if text == record.statement:
            return name, session.bind.detail, session.bind.at_us
    parameters = record.context if messages.parameters(record.context) else ""
    return ("" if parameters else None), parameters, record.at_us
