"""A block of a log, digested: what counting, sampling and the rebuilding of transactions need.

The heavy half of a capture. It knows nothing of other blocks, so that it can run in any process;
texts stay behind in the block, from which those of kept transactions are read again at the end.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.conflicts import Conflicts
from replay.capture.contention import observe
from replay.capture.formats.columns import Columns, Format, Ints
from replay.capture.messages import (
    BEGINS,
    FAILED,
    NOTHING,
    PREPARED,
    RAN,
    decoded,
    raw,
    said,
)
from replay.capture.templates import NO_TEMPLATE, Templates
from replay.sql.fingerprint import Fingerprint
from replay.tag import APPLICATION_NAME, LOAD_APPLICATION

OWN = "a line of this program's own session"
ELSEWHERE = "a line of another database"
OF_OTHER_USER = "a line of another user"
OF_OTHER_APPLICATION = "a line of another application"

_OURS = (APPLICATION_NAME, LOAD_APPLICATION)
_CLIENT = ("client backend", "")  # "": the format does not say
_FAILURES = ("ERROR", "FATAL", "PANIC")
_LETHAL = ("FATAL", "PANIC")  # the session ends with it
_OWN_AT_MOST = 1000  # texts a block
_UNKNOWN_STATE = "XX000"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to take of a log; empty takes all."""

    databases: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    untold: bool = False  # take lines too that do not tell their database


@dataclass(slots=True, kw_only=True)
class Digest:
    """The statements' records of a block, n rows in the log's order."""

    begin: Ints  # of the record in the block
    end: Ints
    at_us: Ints
    kind: Ints  # see messages
    duration_us: Ints
    line: Ints  # of the session
    query_id: Ints
    template: Ints  # number in the digester's Templates; NO_TEMPLATE where the row has none
    state: Ints  # of FAILED rows: place in `states`
    lethal: Mask  # the session ended with it
    session: Ints  # place in `sessions`
    sessions: list[bytes]
    states: list[str]
    new: list[Fingerprint]  # of the digester's templates, those not told before, in their order
    records: int
    passed_over: dict[str, tuple[int, int]]  # reason -> lines, offset in the block of the first
    malformed: int
    cut_off: bool  # the input ends inside a record
    databases: set[str]
    own: set[str]  # SQL of this program's own sessions
    conflicts: Conflicts
    first_malformed: tuple[int, str] | None = None  # offset, reason


@dataclass(slots=True, kw_only=True)
class Digester:
    """Digests blocks, one after the other; learns templates on the way."""

    filters: Filters
    templates: Templates = field(default_factory=Templates)
    _told: int = 0  # templates that a digest has named

    def digest(self, log_format: Format, block: memoryview) -> Digest:
        """Digest a block of whole records. Never raises, whatever the block holds."""
        columns = log_format.parse(block)
        passed_over: dict[str, tuple[int, int]] = {}
        taken, own = self._taken(columns, passed_over)
        kind, duration_us, text = _kinds(columns, taken)
        rows = np.flatnonzero(kind)
        session, sessions = _few(columns.session, rows)
        template = self._templates(columns, rows, kind[rows], text[rows], session)
        state, states = _few(columns.sqlstate, rows)
        new = self.templates.known[self._told :]
        self._told = len(self.templates.known)
        _count_broken(columns, passed_over)
        return Digest(
            begin=columns.begin[rows],
            end=columns.end[rows],
            at_us=columns.at_us[rows],
            kind=kind[rows],
            duration_us=duration_us[rows],
            line=columns.line_num[rows],
            query_id=columns.query_id[rows],
            template=template,
            state=state,
            lethal=_is_one_of(columns.severity, _LETHAL)[rows],
            session=session,
            sessions=sessions,
            states=[decoded(value) or _UNKNOWN_STATE for value in states],
            new=new,
            records=len(columns),
            passed_over=passed_over,
            malformed=len(columns.broken),
            cut_off=any(broken.cut_off for broken in columns.broken),
            databases={decoded(value) for value in _few(columns.database, rows)[1]},
            own=_own_texts(columns, own),
            conflicts=_conflicts(columns, taken),
            first_malformed=next(((b.offset, b.reason) for b in columns.broken), None),
        )

    def _taken(
        self, columns: Columns, passed_over: dict[str, tuple[int, int]]
    ) -> tuple[Mask, Mask]:
        """Which records are statements' of clients that are asked for, and which are our own."""
        taken = _is_one_of(columns.backend_type, _CLIENT)
        own = taken & _is_one_of(columns.application, _OURS)
        wanted = self.filters
        for reason, left_out in (
            (OWN, own),
            (ELSEWHERE, _is_other(columns.database, self._databases())),
            (OF_OTHER_USER, _is_other(columns.user, wanted.users)),
            (OF_OTHER_APPLICATION, _is_other(columns.application, wanted.applications)),
        ):
            gone = np.flatnonzero(taken & left_out)
            if gone.size:
                passed_over[reason] = (gone.size, int(columns.begin[gone[0]]))
                taken &= ~left_out
        return taken, own

    def _databases(self) -> tuple[str, ...]:
        wanted = self.filters
        return (*wanted.databases, "") if wanted.databases and wanted.untold else wanted.databases

    def _templates(
        self, columns: Columns, rows: Ints, kind: Ints, begins: Ints, session: Ints
    ) -> Ints:
        template = np.full(rows.size, NO_TEMPLATE, np.int64)
        for which, texts in (
            (np.isin(kind, (RAN, BEGINS)) | _may_fail(kind, session), columns.message),
            (kind == FAILED, columns.statement),
        ):
            places = np.flatnonzero(which)
            offsets, data = raw(texts)
            ends = offsets[rows[places] + 1]
            begin = begins[places] if texts is columns.message else offsets[rows[places]]
            template[places] = self.templates.numbers_of(data, begin, ends)
        return template


def _may_fail(kind: Ints, session: Ints) -> Mask:
    """Which parse or bind a failure follows in its session, or may follow in a block to come."""
    prepared = kind == PREPARED
    found = np.zeros(kind.size, np.bool_)
    last = np.full(int(session.max(initial=-1)) + 1, -1)
    last[session] = np.arange(kind.size)
    found[last[last >= 0]] = True
    if (kind == FAILED).any():
        order = np.argsort(session, kind="stable")
        found[order[:-1][kind[order[1:]] == FAILED]] = True
    may: Mask = found & prepared
    return may


def _kinds(columns: Columns, taken: Mask) -> tuple[Ints, Ints, Ints]:
    """What each record is, its duration, and where in its message the text begins."""
    kind, duration_us, text = said(columns.message)
    is_log = _is_one_of(columns.severity, ("LOG",))
    kind[~(taken & is_log)] = NOTHING
    has_statement = np.diff(raw(columns.statement)[0]) > 0
    kind[taken & has_statement & _is_one_of(columns.severity, _FAILURES)] = FAILED
    return kind, duration_us, text


def _is_one_of(column: pa.DictionaryArray, values: tuple[str, ...]) -> Mask:
    codes, names = _names(column)
    found = np.fromiter((decoded(name) in values for name in names), np.bool_, len(names))
    return found[codes] if len(names) else np.zeros(len(codes), np.bool_)


def _is_other(column: pa.DictionaryArray, wanted: tuple[str, ...]) -> Mask:
    return ~_is_one_of(column, wanted) if wanted else np.zeros(len(column), np.bool_)


def _few(column: pa.DictionaryArray, rows: Ints) -> tuple[Ints, list[bytes]]:
    """Codes of those rows, and the names of the codes that occur."""
    codes, names = _names(column)
    occurring, places = np.unique(codes[rows], return_inverse=True)
    return places.astype(np.int64), [names[code] for code in occurring.tolist()]


def _names(column: pa.DictionaryArray) -> tuple[npt.NDArray[np.int32], list[bytes]]:
    return column.indices.to_numpy(zero_copy_only=False), column.dictionary.to_pylist()


def _count_broken(columns: Columns, passed_over: dict[str, tuple[int, int]]) -> None:
    for reason, count in Counter(broken.reason for broken in columns.broken).items():
        first = next(broken.offset for broken in columns.broken if broken.reason == reason)
        passed_over[reason] = (count, first)


def _own_texts(columns: Columns, own: Mask) -> set[str]:
    """What this program itself ran: pg_stat_statements cannot tell it from production's."""
    rows = np.flatnonzero(own)[:_OWN_AT_MOST]
    if not rows.size:
        return set()
    messages = columns.message.take(pa.array(rows))
    kind, _, begins = said(messages)
    offsets, data = raw(messages)
    spoken = np.flatnonzero(np.isin(kind, (RAN, BEGINS))).tolist()
    return {decoded(data[begins[row] : offsets[row + 1]].tobytes()) for row in spoken}


def _conflicts(columns: Columns, taken: Mask) -> Conflicts:
    """What the records say of locks that were waited for."""
    conflicts = Conflicts()
    states = _is_one_of(columns.sqlstate, ("40P01", "55P03", "57014"))
    offsets, data = raw(columns.message)
    first = data[np.minimum(offsets[:-1], max(data.size - 1, 0))] if data.size else offsets[:-1]
    for row in np.flatnonzero(taken & (states | (first == ord("p")))).tolist():
        seen = observe(
            at_us=int(columns.at_us[row]),
            message=decoded(columns.message[row].as_py()),
            detail=decoded(columns.detail[row].as_py()),
            context=decoded(columns.context[row].as_py()),
            statement=decoded(columns.statement[row].as_py()),
            sqlstate=decoded(columns.sqlstate[row].as_py()),
        )
        if seen is not None:
            conflicts.take(seen)
    return conflicts
