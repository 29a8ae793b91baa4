"""Rebuild transactions from executions, session by session.

A unit begins with BEGIN and ends with COMMIT or ROLLBACK; a statement outside is a unit by itself.
Virtual transaction ids do not tell (the simple protocol logs N/0), so sessions are followed by their
line order. Memory holds one state per process id: a pid that comes back with another session
id, or with line numbers that begin anew, says that the session before it has ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from replay.capture.executions import (
    Executions,
    Mask,
    Rows,
    executions,
    first_of,
    in_order,
    in_session_order,
    rows_joined,
)
from replay.capture.formats.columns import Ints
from replay.capture.held import Held, Stretches, starts_of, with_ended
from replay.capture.standing import Standing
from replay.capture.templates import CHAINS, CLOSES, OPENS, STAYS
from replay.capture.units import Sources, Units, priorities, session_seed


@dataclass(slots=True)
class _Session:
    name: bytes  # as the log has it
    id: bytes  # the name, and how often it came again
    seed: int
    open: bool = False
    fresh: bool = False  # open, and nothing has run in it yet: COMMIT AND CHAIN
    seen: bool = False  # an execution of it, in the window
    end_us: int = 0  # of its last execution
    line: int = 0  # of its last row
    again: int = 0
    unit: Held | None = None
    tail: Rows | None = None  # rows to give in again
    tail_records: list[bytes] = field(default_factory=list)


class Sessions:
    """Takes rows in log order; gives executions to count, and finished units."""

    def __init__(
        self,
        *,
        seed: int,
        begin_us: int | None = None,
        end_us: int | None = None,
        standing: Standing | None = None,
    ) -> None:
        """`standing` is told what ran before the window, which begins then."""
        self._seed = seed
        self._begin_us, self._end_us = begin_us, end_us
        self._standing = standing
        self._by_pid: dict[tuple[str, bytes], _Session] = {}
        self.sessions = 0  # with an execution
        self.units = 0  # that began
        self.beyond = 0  # executions of overlong transactions, counted but never kept

    def take(
        self, rows: Rows, names: Sequence[bytes], effects: Ints, sources: Sources, *, host: str = ""
    ) -> Iterator[tuple[Executions, Units]]:
        """Take a block's rows, each session's together; `effects` are the templates'.

        A pid is one session's at a time on a host; session names are the log's.
        Gives the executions of units that began in the window, and the units that came to their end.
        """
        rows.duration_us = np.clip(rows.duration_us, 0, rows.at_us)  # anybody can write a message
        rows, names, anew = _parted(rows, names)
        present, ended = self._present(rows, names, anew, host, sources)
        yield self._advance(rows, present, effects, sources, last=False)
        if ended:
            yield self._end(ended, effects)

    def finish(self, effects: Ints) -> tuple[Executions, Units]:
        """What the log leaves open."""
        left = list(self._by_pid.values())
        self._by_pid.clear()
        return self._end(left, effects)

    def _end(self, ended: list[_Session], effects: Ints) -> tuple[Executions, Units]:
        """What these sessions leave open."""
        left = self._advance(Rows.none(), ended, effects, Sources(), last=True)
        if self._standing is not None:
            for session in ended:
                self._standing.leave(session.id)
        return left

    def _present(
        self,
        rows: Rows,
        names: Sequence[bytes],
        anew: set[int],
        host: str,
        sources: Sources,
    ) -> tuple[list[_Session], list[_Session]]:
        """The rows' sessions by code, and those that they have replaced."""
        present: dict[int, _Session] = {}
        ended = []
        first = np.flatnonzero(first_of(rows.session))
        first = first[np.argsort(sources.begins(rows.source[first]))]  # in the log's order
        for code, line in zip(rows.session[first].tolist(), rows.line[first].tolist(), strict=True):
            name = names[code]
            pid = host, name.partition(b".")[2]
            known = self._by_pid.get(pid)
            comes_again = known is not None and known.name == name
            if known is None or not comes_again or code in anew or 0 < line < known.line:
                if known is not None:
                    ended.append(known)
                known = self._new(name, known.again + 1 if known and comes_again else 0)
                self._by_pid[pid] = known
            present[code] = known
        return [present[code] for code in range(len(names))], ended

    def _new(self, name: bytes, again: int) -> _Session:
        full = b"%s+%d" % (name, again) if again else name
        return _Session(name, full, session_seed(self._seed, full), again=again)

    def _advance(
        self, rows: Rows, present: list[_Session], effects: Ints, sources: Sources, *, last: bool
    ) -> tuple[Executions, Units]:
        rows = _with_tails(rows, present, sources)
        found, tail = executions(rows, last=last)
        _keep_tails(rows.taken(np.flatnonzero(tail)), present, sources)
        in_order(found, np.array([session.end_us for session in present], np.int64))
        for place in _last_of(rows.session):
            present[int(rows.session[place])].line = int(rows.line[place])
        for place in _last_of(found.session):
            session = present[int(found.session[place])]
            session.end_us = int(found.start_us[place] + found.spent_us[place])
        return self._cut(found, present, effects, sources, last=last)

    def _cut(
        self,
        found: Executions,
        present: list[_Session],
        effects: Ints,
        sources: Sources,
        *,
        last: bool,
    ) -> tuple[Executions, Units]:
        """Cut executions into units; those left open stay with their sessions."""
        starts, closes = _bounds(found, present, effects)
        begins = np.flatnonzero(starts | first_of(found.session))
        ends = np.append(begins[1:], len(found))[: begins.size]
        codes, new = found.session[begins], starts[begins]
        seeds = np.array([session.seed for session in present], np.uint64)[codes]
        priority = priorities(seeds, found.line[begins])
        counted = self._in_window(found.start_us[begins])
        closed = closes[ends - 1]
        whole = new & closed
        stretches = Stretches(
            found=found,
            begins=begins,
            ends=ends,
            held=_held(present, codes, new),
            sizes=sources.sizes(found.source) + sources.sizes(found.call),
        )
        of_unit, fits = stretches.of_each, stretches.fits(closed)
        ended = []
        for place in np.flatnonzero(~whole).tolist():
            session = present[int(codes[place])]
            if new[place]:
                session.unit = Held(int(priority[place]), bool(counted[place]))
            assert session.unit is not None  # what does not begin goes on
            counted[place] = session.unit.counted
            stretches.hold(place, session.unit, fits, sources)
            if closed[place]:
                ended.append((session.id, session.unit))
                session.unit = None
        if last:
            ended += [(session.id, session.unit) for session in present if session.unit is not None]
        self.units += int((new & counted).sum())
        if self._standing is not None:
            self._standing.take(
                stretches,
                new=new,
                closed=closed,
                early=self._is_early(found.start_us[begins]) & ~counted,
                sessions=[session.id for session in present],
                sources=sources,
            )
        self._note_seen(found, counted[of_unit], present)
        self.beyond += int((counted[of_unit] & ~fits).sum())
        kept = whole & counted
        units = Units(
            executions=found.taken(kept[of_unit] & fits),
            first=starts_of(np.bincount(of_unit[fits], minlength=begins.size)[kept]),
            priority=priority[kept],
            session=[present[code].id for code in codes[kept].tolist()],
            sources=sources,
        )
        return found.taken(counted[of_unit]), with_ended(units, ended)

    def _note_seen(self, found: Executions, counted: Mask, present: list[_Session]) -> None:
        """Count the sessions that have an execution in the window."""
        codes = found.session[counted]
        for code in codes[first_of(codes)].tolist():
            if not present[code].seen and self._standing is not None:
                self._standing.enter(present[code].id)
            self.sessions += not present[code].seen
            present[code].seen = True

    def _is_early(self, start_us: Ints) -> Mask:
        """Which of those that are not in the window are before it, or reach into it."""
        return start_us < self._end_us if self._end_us is not None else start_us >= 0

    def _in_window(self, start_us: Ints) -> Mask:
        inside = np.ones(start_us.size, np.bool_)
        if self._begin_us is not None:
            inside &= start_us >= self._begin_us
        if self._end_us is not None:
            inside &= start_us < self._end_us
        return inside


def _held(present: list[_Session], codes: Ints, new: Mask) -> dict[int, Held]:
    """Units that go on, by the place of what goes on with them."""
    held = {}
    for place in np.flatnonzero(~new).tolist():
        unit = present[int(codes[place])].unit
        assert unit is not None  # what does not begin goes on
        held[place] = unit
    return held


def _bounds(found: Executions, present: list[_Session], effects: Ints) -> tuple[Mask, Mask]:
    """Where units start, and where they close; sessions are left as the last execution leaves them."""
    effect = effects[found.template]
    failed = found.state >= 0
    # A COMMIT that fails has ended the transaction; a BEGIN that fails has opened none.
    effect[failed] = np.where(np.isin(effect[failed], (CLOSES, CHAINS)), CLOSES, STAYS)
    effect[found.lethal] = CLOSES
    opens = (effect == OPENS) | (effect == CHAINS)
    first = first_of(found.session)
    places = np.arange(len(found))
    changes = effect != STAYS
    last = np.maximum.accumulate(np.where(changes | first, places, 0))  # change, up to here
    was = np.array([session.open for session in present], np.bool_)[found.session]
    after = np.where(changes[last], opens[last], was)
    before = np.where(first, was, np.roll(after, 1))
    closes = np.where(before, effect >= CLOSES, ~opens) | found.lethal
    fresh_after = before & (effect == CHAINS)
    was_fresh = np.array([session.fresh for session in present], np.bool_)[found.session]
    starts = ~before | np.where(first, was_fresh, np.roll(fresh_after, 1))
    for place in _last_of(found.session):
        session = present[int(found.session[place])]
        session.open, session.fresh = bool(after[place]), bool(fresh_after[place])
    return starts, closes


def _parted(rows: Rows, names: Sequence[bytes]) -> tuple[Rows, list[bytes], set[int]]:
    """Sessions of one name told apart where line numbers begin anew; and the codes of the later."""
    first = first_of(rows.session)
    again = ~first
    again[1:] &= (rows.line[1:] < rows.line[:-1]) & (rows.line[1:] > 0)
    places = np.flatnonzero(again)
    if not places.size:
        return rows, list(names), set()
    later = np.cumsum(again)
    is_later = later > later[first][np.cumsum(first) - 1]
    named = [*names, *(names[code] for code in rows.session[places].tolist())]
    rows.session = np.where(is_later, len(names) - 1 + later, rows.session)
    return rows, named, set(range(len(names), len(named)))


def _with_tails(rows: Rows, present: list[_Session], sources: Sources) -> Rows:
    """The rows with those in front that were kept from earlier blocks."""
    parts = []
    for code, session in enumerate(present):
        if session.tail is not None:
            session.tail.session[:] = code
            session.tail.source[:] = [sources.add(record) for record in session.tail_records]
            parts.append(session.tail)
            session.tail = None
    if not parts:
        return rows
    if (rows.session[1:] >= rows.session[:-1]).all():
        return rows_joined(list(_in_front(parts, rows)))
    rows = rows_joined([*parts, rows])
    return rows.taken(in_session_order(rows.session))


def _in_front(tails: list[Rows], rows: Rows) -> Iterator[Rows]:
    """Pieces of rows in the order of their sessions, with each tail in front of its session's."""
    begin = 0
    for tail in tails:
        end = int(np.searchsorted(rows.session, tail.session[0]))
        yield rows.piece(begin, end)
        yield tail
        begin = end
    yield rows.piece(begin, rows.kind.size)


def _keep_tails(tails: Rows, present: list[_Session], sources: Sources) -> None:
    begins = np.flatnonzero(first_of(tails.session)).tolist()
    for begin, end in zip(begins, [*begins, tails.kind.size][1:], strict=True):
        session = present[int(tails.session[begin])]
        session.tail = tails.taken(np.arange(begin, end))
        session.tail_records = [sources[place] for place in session.tail.source.tolist()]


def _last_of(session: Ints) -> list[int]:
    """Places of the last of each session, in session order."""
    return np.flatnonzero(np.roll(first_of(session), -1)).tolist()
