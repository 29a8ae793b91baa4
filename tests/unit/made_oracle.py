"""Capture's figures and units by the plainest means: one record after the other, nothing cached.

What the log means is told here a second time, so that the quick core has something to be measured
against. Records are those of one host, in the log's order.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from replay.capture.templates import CHAINS, CLOSES, OPENS, STAYS, effect_of
from replay.sql.fingerprint import fingerprint

BEGAN = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
AT_ONCE_US = 2000
SAID = re.compile(
    r"(?:duration: (?P<ms>\d+\.\d{3}) ms(?:  |\Z))?"
    r"(?:(?P<call>execute|bind|parse) (?P<name>.*?): |(?P<simple>statement): |\Z)(?P<sql>.*)",
    re.DOTALL,
)


@dataclass(slots=True, kw_only=True)
class Record:
    """One record, before any format."""

    pid: int
    session: int  # seconds after BEGAN at which it started
    line: int
    at_us: int  # epoch
    message: str = ""
    severity: str = "LOG"
    state: str = "00000"
    statement: str = ""
    detail: str = ""
    query_id: int = 0

    @property
    def session_id(self) -> str:
        return f"{int(BEGAN.timestamp()) + self.session:x}.{self.pid:x}"


@dataclass(slots=True, kw_only=True)
class Ran:
    """One execution; untimed and failed ones have no duration."""

    sql: str
    start_us: int
    spent_us: int
    duration_us: int | None
    state: str = ""
    line: int = 0

    @property
    def template(self) -> str:
        return fingerprint(self.sql).id


@dataclass(slots=True)
class Figures:
    calls: int = 0
    errors: int = 0
    untimed: int = 0
    total_us: int = 0
    first_us: int = 1 << 62
    last_us: int = -1
    states: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Session:
    id: str
    name: str
    line: int = 0
    end_us: int = 0
    is_open: bool = False
    unit: list[Ran] = field(default_factory=list)
    begun: Record | None = None
    prepared: list[Record] = field(default_factory=list)  # right before what comes


class Oracle:
    """Takes records; then `units`, by session, and `figures`, by template id, tell all."""

    def __init__(self) -> None:
        self.units: list[tuple[str, list[Ran]]] = []
        self.figures: dict[str, Figures] = {}
        self.sessions: set[str] = set()
        self._by_pid: dict[int, Session] = {}
        self._again: Counter[str] = Counter()

    def take(self, record: Record) -> None:
        said = SAID.fullmatch(record.message)
        failed = record.severity in ("ERROR", "FATAL", "PANIC") and bool(record.statement)
        if not failed and (record.severity != "LOG" or said is None):
            return
        is_fetch = said is not None and (said["name"] or "").startswith("fetch from ")
        if is_fetch and said["ms"]:
            return
        if said is not None and not failed and not said["ms"] and said["call"] in ("bind", "parse"):
            return
        if not failed and not record.message:
            return
        session = self._session(record)
        if failed:
            self._failed(session, record)
        elif is_fetch:  # its duration may follow
            self._settle(session)
            session.prepared = []
        elif said["call"] in ("bind", "parse"):
            self._settle(session)
            if (
                session.prepared
                and self._begin_us(record) - session.prepared[-1].at_us > AT_ONCE_US
            ):
                session.prepared = []
            session.prepared.append(record)
        elif said["call"] or said["simple"]:
            self._settle(session)
            if said["ms"]:
                self._ran(session, record, record)
            else:
                session.begun = record
        else:
            begun, session.begun = session.begun, None
            if begun is not None:
                self._ran(session, begun, record)
            session.prepared = []

    def finish(self) -> None:
        for session in self._by_pid.values():
            self._leave(session)
        self._by_pid.clear()

    def _session(self, record: Record) -> Session:
        known = self._by_pid.get(record.pid)
        if known is None or known.name != record.session_id or record.line < known.line:
            if known is not None:
                self._leave(known)
            comes_again = known is not None and known.name == record.session_id
            again = self._again[record.session_id] + 1 if comes_again else 0
            self._again[record.session_id] = again
            name = record.session_id + f"+{again}" * bool(again)
            known = self._by_pid[record.pid] = Session(name, record.session_id)
        known.line = record.line
        return known

    def _leave(self, session: Session) -> None:
        self._settle(session)
        self._give(session)

    def _settle(self, session: Session) -> None:
        """A text whose duration did not follow is an execution of which no duration is known."""
        begun, session.begun = session.begun, None
        if begun is not None:
            session.prepared = []
            ran = Ran(
                sql=SAID.fullmatch(begun.message)["sql"],
                start_us=begun.at_us,
                spent_us=0,
                duration_us=None,
                line=begun.line,
            )
            self._add(session, ran)

    def _begin_us(self, record: Record) -> int:
        return record.at_us - self._took_us(record)

    def _took_us(self, record: Record) -> int:
        return int(SAID.fullmatch(record.message)["ms"].replace(".", ""))

    def _ran(self, session: Session, text: Record, record: Record) -> None:
        took_us, start_us = self._took_us(record), self._begin_us(record)
        if session.prepared and start_us - session.prepared[-1].at_us <= AT_ONCE_US:
            more_us = sum(map(self._took_us, session.prepared))
            took_us, start_us = took_us + more_us, start_us - more_us
        session.prepared = []
        sql = SAID.fullmatch(text.message)["sql"]
        ran = Ran(sql=sql, start_us=start_us, spent_us=took_us, duration_us=took_us, line=text.line)
        self._add(session, ran)

    def _failed(self, session: Session, record: Record) -> None:
        call = session.prepared[-1] if session.prepared else None
        if call is not None and not self._is_of(call, record.statement):
            call = None
        if session.begun is not None:
            if self._is_of(session.begun, record.statement):
                call, session.begun = session.begun, None
            else:
                self._settle(session)
                call = None
        session.prepared = []
        start_us = call.at_us if call is not None else record.at_us
        failed = Ran(
            sql=record.statement,
            start_us=start_us,
            spent_us=max(record.at_us - start_us, 0),
            duration_us=None,
            state=record.state,
            line=record.line,
        )
        self._add(session, failed, fatal=record.severity != "ERROR")

    def _is_of(self, call: Record, statement: str) -> bool:
        sql = SAID.fullmatch(call.message)["sql"]
        return fingerprint(sql).id == fingerprint(statement).id

    def _add(self, session: Session, ran: Ran, *, fatal: bool = False) -> None:
        if ran.start_us < session.end_us <= ran.start_us + AT_ONCE_US:
            ran.start_us = session.end_us
        session.end_us = ran.start_us + ran.spent_us
        self.sessions.add(session.id)
        self._count(ran)
        effect = effect_of(fingerprint(ran.sql).sql)
        if ran.state:
            effect = CLOSES if effect in (CLOSES, CHAINS) else STAYS
        session.unit.append(ran)
        if session.is_open:
            if effect in (CLOSES, CHAINS):
                self._give(session)
                session.is_open = effect == CHAINS
        elif effect in (OPENS, CHAINS):
            session.is_open = True
        else:
            self._give(session)
        if fatal:
            self._give(session)

    def _give(self, session: Session) -> None:
        if session.unit:
            self.units.append((session.id, session.unit))
        session.unit = []
        session.is_open = False

    def _count(self, ran: Ran) -> None:
        of = self.figures.setdefault(ran.template, Figures())
        of.calls += 1
        of.errors += bool(ran.state)
        of.untimed += ran.duration_us is None and not ran.state
        of.total_us += ran.duration_us or 0
        of.first_us = min(of.first_us, ran.start_us)
        of.last_us = max(of.last_us, ran.start_us)
        if ran.state:
            of.states[ran.state] += 1


def _stamp(at_us: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def as_json(record: Record) -> bytes:
    """The record's line in jsonlog, as PostgreSQL writes it: what it has not is left out."""
    started = BEGAN + timedelta(seconds=record.session)
    fields = {
        "timestamp": _stamp(record.at_us),
        "user": "alice",
        "dbname": "shop",
        "pid": record.pid,
        "session_id": record.session_id,
        "line_num": record.line,
        "session_start": f"{started:%Y-%m-%d %H:%M:%S} UTC",
        "error_severity": record.severity,
        "state_code": record.state if record.state != "00000" else None,
        "message": record.message,
        "detail": record.detail,
        "statement": record.statement,
        "application_name": "api",
        "backend_type": "client backend",
        "query_id": record.query_id,
    }
    told = {name: value for name, value in fields.items() if value not in ("", None)}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def as_csv(record: Record) -> bytes:
    """The record in csvlog of 26 columns."""
    started = BEGAN + timedelta(seconds=record.session)
    texts = ("message", "detail", "statement")
    message, detail, statement = (
        '"' + text.replace('"', '""') + '"' if (text := getattr(record, name)) else ""
        for name in texts
    )
    return (
        f'{_stamp(record.at_us)},"alice","shop",{record.pid},"[local]",{record.session_id},'
        f'{record.line},"SELECT",{started:%Y-%m-%d %H:%M:%S} UTC,3/0,0,{record.severity},'
        f"{record.state},{message},{detail},,,,,{statement},,,"
        f'"api","client backend",,{record.query_id}\n'
    ).encode()
