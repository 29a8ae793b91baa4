"""A block of a log, digested: what counting, sampling and the rebuilding of transactions need.

The heavy half of a capture. It knows nothing of other blocks, so that it can run in any process;
texts stay behind in the block, from which those of kept transactions are read again at the end.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from replay.capture.blocks import lines_in
from replay.capture.captured import Filters
from replay.capture.choice import choose, few, is_one_of
from replay.capture.clocks import Steps, steps_of
from replay.capture.conflicts import Conflicts
from replay.capture.contention import observe
from replay.capture.english import language, of_lock, told, with_severities
from replay.capture.executions import in_session_order
from replay.capture.formats.columns import Columns, Format, Ints
from replay.capture.formats.leads import SAID_AT_MOST
from replay.capture.formats.leads import language as spoken
from replay.capture.formats.texts import Texts
from replay.capture.kernels import compiled
from replay.capture.messages import (
    BEGINS,
    FAILED,
    NOTHING,
    PREPARED,
    RAN,
    decoded,
    said,
)
from replay.capture.templates import NO_TEMPLATE, Learned, Templates
from replay.sql.fingerprint import Fingerprint

_FAILURES = ("ERROR", "FATAL", "PANIC")
_LETHAL = ("FATAL", "PANIC")  # the session ends with it
_UNKNOWN_STATE = "XX000"
_LOOKED_AT = 100  # messages a block
_FEW = 8  # steps that tell nothing
_LAST_US = 253_402_300_799_999_999  # end of the year 9999

Mask = npt.NDArray[np.bool_]
Kinds = tuple[Ints, Ints, Ints]


@dataclass(slots=True, kw_only=True)
class Digest:
    """The statements' records of a block, n rows: each session's together, in the log's order."""

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
    learned: Learned  # of texts that the digester did not know
    records: int
    lines: int
    passed_over: dict[str, tuple[int, int]]  # reason -> lines, offset in the block of the first
    malformed: int
    cut_off: bool  # the input ends inside a record
    databases: set[str]
    others: dict[str, set[str]]  # names of databases, users, applications that were not asked for
    own: set[str]  # SQL of this program's own sessions
    conflicts: Conflicts
    steps: Steps
    newest_first: bool  # as some exports are
    languages: tuple[str, ...]  # of messages that are not in English
    first_malformed: tuple[int, str] | None = None  # offset, reason


@dataclass(slots=True, kw_only=True)
class Digester:
    """Digests blocks, one after the other; learns templates on the way."""

    filters: Filters
    templates: Templates = field(default_factory=Templates)
    _told: int = 0  # templates that a digest has named

    def digest(self, log_format: Format, block: memoryview) -> Digest:
        """Digest a block of whole records. Never raises, whatever the block holds."""
        columns = with_severities(log_format.parse(block))
        choice = choose(columns, self.filters)
        taken, passed_over = choice.taken, choice.passed_over
        columns, (kind, duration_us, text), languages = _kinds_in_english(columns, taken)
        rows = np.flatnonzero(kind)
        session, sessions = few(columns.session, rows)
        order = in_session_order(session)
        rows, session = rows[order], session[order]
        template = self._templates(columns, rows, kind[rows], text[rows], session)
        state, states = few(columns.sqlstate, rows)
        new = self.templates.known[self._told :]
        self._told = len(self.templates.known)
        _count_broken(columns, passed_over)
        return Digest(
            begin=columns.begin[rows],
            end=columns.end[rows],
            at_us=np.clip(columns.at_us[rows], 0, _LAST_US),
            kind=kind[rows],
            duration_us=duration_us[rows],
            line=columns.line_num[rows],
            query_id=columns.query_id[rows],
            template=template,
            state=state,
            lethal=is_one_of(columns.severity, _LETHAL)[rows],
            session=session,
            sessions=sessions,
            states=[decoded(value) or _UNKNOWN_STATE for value in states],
            new=new,
            learned=self.templates.news(),
            records=len(columns),
            lines=lines_in(block) if columns.lines is None else columns.lines,
            passed_over=passed_over,
            malformed=len(columns.broken),
            cut_off=any(broken.cut_off for broken in columns.broken),
            databases={decoded(value) for value in few(columns.database, rows)[1]},
            others=choice.others,
            own=choice.own,
            conflicts=_conflicts(
                columns, taken & ((kind == NOTHING) | (kind == FAILED)), languages
            ),
            steps=steps_of(columns),
            newest_first=_comes_newest_first(columns),
            languages=languages,
            first_malformed=next(((b.offset, b.reason) for b in columns.broken), None),
        )

    def _templates(
        self, columns: Columns, rows: Ints, kind: Ints, begins: Ints, session: Ints
    ) -> Ints:
        template = np.full(rows.size, NO_TEMPLATE, np.int64)
        message, statement = Texts.of(columns.message), Texts.of(columns.statement)
        named = np.empty(rows.size, np.bool_)
        _name(kind, session, named, np.ones(int(session.max(initial=-1)) + 1, np.bool_))
        for which, texts, begin in (
            (np.flatnonzero(named), message, begins),
            (np.flatnonzero(kind == FAILED), statement, statement.begins[rows]),
        ):
            template[which] = self.templates.numbers_of(texts.only(rows[which], begin[which]))
        return template


@compiled
def _name(kind: Ints, session: Ints, named: Mask, may_fail: Mask) -> None:
    """Say which messages' templates are asked for; `may_fail`: by session, all of them at first.

    Those of executions; and of a parse or bind that a failure follows in its session, or may
    follow in a block to come.
    """
    for row in range(kind.size - 1, -1, -1):
        what, of = kind[row], session[row]
        named[row] = what in (RAN, BEGINS) or (what == PREPARED and may_fail[of])
        may_fail[of] = what == FAILED


def _kinds(columns: Columns, taken: Mask) -> Kinds:
    """What each record is, its duration, and where in its message the text begins."""
    kind, duration_us, text = said(Texts.of(columns.message))
    is_log = is_one_of(columns.severity, ("LOG",))
    kind[~(taken & is_log)] = NOTHING
    statement = Texts.of(columns.statement)
    has_statement = statement.ends > statement.begins
    kind[taken & has_statement & is_one_of(columns.severity, _FAILURES)] = FAILED
    return kind, duration_us, text


def _kinds_in_english(columns: Columns, taken: Mask) -> tuple[Columns, Kinds, tuple[str, ...]]:
    """The same, the records with what they say in English, and the languages that it was said in."""
    kinds, seen = _kinds(columns, taken), list[str]()
    while True:
        untold = taken & (kinds[0] == NOTHING)
        name = _language(columns, untold)
        if not name or name in seen:
            return columns, kinds, tuple(seen)
        seen.append(name)
        spoken = language(name)
        if spoken is not None:
            columns = told(columns, untold, spoken)
            kinds = _kinds(columns, taken)


def _comes_newest_first(columns: Columns) -> bool:
    steps = np.sign(np.diff(columns.at_us))
    return int((steps < 0).sum()) > max(int((steps > 0).sum()), _FEW)


def _language(columns: Columns, untold: Mask) -> str:
    """That of some of the messages that mean nothing to us, where it is not English."""
    rows = np.flatnonzero(untold)
    if not rows.size:
        return ""
    whole = Texts.of(columns.message).only(rows[:: rows.size // _LOOKED_AT + 1])
    ends = np.minimum(whole.ends, whole.begins + SAID_AT_MOST)
    return spoken(Texts(whole.data, whole.begins, ends, whole.marks).to_pylist())


def _count_broken(columns: Columns, passed_over: dict[str, tuple[int, int]]) -> None:
    for reason, count in Counter(broken.reason for broken in columns.broken).items():
        first = next(broken.offset for broken in columns.broken if broken.reason == reason)
        passed_over[reason] = (count, first)


def _conflicts(columns: Columns, perhaps: Mask, languages: Sequence[str]) -> Conflicts:
    """What those of the records say of locks that were waited for."""
    conflicts = Conflicts()
    states = is_one_of(columns.sqlstate, ("40P01", "55P03", "57014"))
    texts = tuple(
        map(Texts.of, (columns.message, columns.detail, columns.context, columns.statement))
    )
    rows = np.flatnonzero(perhaps)
    waits = texts[0].only(rows).begin_with(ord("p"))  # process 7 still waiting for …
    for row in rows[states[rows] | waits].tolist():
        message, detail, context = (
            decoded(of_lock(column[row], languages)) for column in texts[:3]
        )
        seen = observe(
            at_us=int(columns.at_us[row]),
            message=message,
            detail=detail,
            context=context,
            statement=decoded(texts[3][row]),
            sqlstate=decoded(columns.sqlstate[row].as_py()),
        )
        if seen is not None:
            conflicts.take(seen)
    return conflicts
