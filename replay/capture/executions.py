"""Rows of a log into executions: a duration finds its text, a call its parse and bind.

Takes rows in session order: all rows of a session together, in the order of its lines. What a
session's last rows mean may depend on rows to come; those are told apart, and given in again in
front of the session's next rows.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from replay.capture.formats.columns import Ints
from replay.capture.messages import BEGINS, ENDED, FAILED, PREPARED, RAN

# Timestamps are cut to milliseconds: what follows at once may seem to begin earlier, or later.
AT_ONCE_US = 2000
HAS_FAILED = -1
UNTIMED = -2
"""Durations of what failed, and of what is only known to have begun."""
NONE = -1  # no row

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True, kw_only=True)
class Rows:
    """Records of statements, as `digest.Digest` has them; `source` says where each is found again."""

    kind: Ints
    at_us: Ints
    duration_us: Ints
    line: Ints
    query_id: Ints
    template: Ints  # number among all templates
    state: Ints  # number among all SQLSTATEs
    lethal: Mask
    session: Ints
    source: Ints

    @classmethod
    def none(cls) -> "Rows":
        """No rows."""
        none: Ints = np.empty(0, np.int64)
        columns = dict.fromkeys((f.name for f in fields(cls) if f.name != "lethal"), none)
        return cls(**columns, lethal=np.empty(0, np.bool_))

    def taken(self, places: Ints) -> "Rows":
        """The rows at those places, in that order."""
        return Rows(**{f.name: getattr(self, f.name)[places] for f in fields(Rows)})


@dataclass(slots=True, kw_only=True)
class Executions:
    """Executions, n of them, in session order."""

    session: Ints
    template: Ints
    start_us: Ints  # epoch
    duration_us: Ints  # HAS_FAILED, UNTIMED
    spent_us: Ints  # the duration; of a failed one as far as it is known, of an untimed one 0
    query_id: Ints
    line: Ints
    state: Ints  # of failed ones, else NONE
    lethal: Mask
    source: Ints  # of the row that holds the text
    call: Ints  # of the row before a failed one that holds its call, or NONE

    def taken(self, places: Ints | Mask) -> "Executions":
        """The executions at those places, in that order."""
        return Executions(**{f.name: getattr(self, f.name)[places] for f in fields(Executions)})

    def __len__(self) -> int:
        """How many."""
        return len(self.template)


def rows_joined(parts: list[Rows]) -> Rows:
    """Rows behind one another; one part at least."""
    return Rows(
        **{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Rows)}
    )


def joined(parts: list[Executions]) -> Executions:
    """Executions behind one another; one part at least."""
    return Executions(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(Executions)
        }
    )


def executions(rows: Rows, *, last: bool) -> tuple[Executions, Mask]:
    """The executions that rows in session order tell, and the rows that are to be given in again.

    `last` says that no session has rows to come.
    """
    kind = rows.kind
    first = first_of(rows.session)
    before = np.where(first, 0, np.roll(kind, 1))
    ends = np.roll(first, -1)  # of its session, so far
    after = np.where(ends, 0, np.roll(kind, -1))
    same_after = (after == FAILED) & (np.roll(rows.template, -1) == rows.template)
    begins = kind == BEGINS
    waits = begins & ends & (not last)
    untimed = begins & (after != ENDED) & ~same_after & ~waits
    ended = (kind == ENDED) & (before == BEGINS)
    failed = kind == FAILED
    places = np.flatnonzero((kind == RAN) | ended | untimed | failed)
    ended, failed, untimed = ended[places], failed[places], untimed[places]
    text = places - ended
    same_before = rows.template[places - 1] == rows.template[places]
    called = failed & same_before & np.isin(before[places], (BEGINS, PREPARED))
    duration_us = rows.duration_us[places]
    start_us = rows.at_us[np.where(called, places - 1, places)] - np.where(failed, 0, duration_us)
    prepared_us = np.where(failed | untimed, 0, _prepared_us(rows, first, text, start_us))
    start_us = np.maximum(start_us - prepared_us, 0)
    spent_us = np.where(failed, rows.at_us[places] - start_us, duration_us + prepared_us)
    found = Executions(
        session=rows.session[places],
        template=rows.template[text],
        start_us=start_us,
        duration_us=np.where(failed, HAS_FAILED, np.where(untimed, UNTIMED, spent_us)),
        spent_us=np.maximum(spent_us, 0),
        query_id=rows.query_id[places],
        line=rows.line[text],
        state=np.where(failed, rows.state[places], NONE),
        lethal=rows.lethal[places] & failed,
        source=rows.source[text],
        call=np.where(called, rows.source[places - 1], NONE),
    )
    open_ends = np.zeros(kind.size, np.bool_) if last else _open_ends(kind, ends, waits)
    return found, open_ends


def in_order(found: Executions, end_us: Ints) -> None:
    """Set starts right that the log's milliseconds blur: a session runs one after the other.

    `end_us` is, by session, when the execution before these ended. What begins at most AT_ONCE_US
    before that began when it ended; what seems to begin earlier still is left as it is, because the
    clock has jumped.
    """
    if not len(found):
        return
    first = first_of(found.session)
    found.start_us[first] += _at_once(end_us[found.session[first]] - found.start_us[first])
    lag_us = _lags(found, first)
    unclear = lag_us > AT_ONCE_US
    if unclear.any():
        rows = np.isin(found.session, found.session[unclear])
        lag_us[rows] = _lags_one_by_one(found.taken(rows))
    found.start_us += lag_us


def _lags(found: Executions, first: Mask) -> Ints:
    """How much later each began than it seems; more than AT_ONCE_US where that is not clear so.

    The end of each is the later of its own and the one before plus its time; in sums S of the times
    that is end - S = max over those before, one running maximum between two jumps of the clock.
    """
    ends = found.start_us + found.spent_us
    anew = first.copy()
    anew[1:] |= ends[:-1] - found.start_us[1:] > AT_ONCE_US
    group = np.cumsum(anew) - 1
    sums = np.cumsum(found.spent_us)
    sums -= (sums - found.spent_us)[anew][group]
    value = ends - sums
    low = int(value.min())
    width = int(value.max()) - low + 1
    if width * (group.size + 1) >= 1 << 62:
        return np.full(group.size, AT_ONCE_US + 1)
    least: Ints = np.maximum.accumulate(value - low + group * width) - group * width + low
    return least - value


def _lags_one_by_one(found: Executions) -> list[int]:
    lags, before, end_us = [], NONE, 0
    columns = (found.session, found.start_us, found.spent_us)
    for session, start_us, spent_us in zip(*(c.tolist() for c in columns), strict=True):
        lag_us = end_us - start_us
        if session != before or not 0 < lag_us <= AT_ONCE_US:
            lag_us = 0
        lags.append(lag_us)
        before, end_us = session, start_us + lag_us + spent_us
    return lags


def _at_once(lag_us: Ints) -> Ints:
    return np.where((lag_us > 0) & (lag_us <= AT_ONCE_US), lag_us, 0)


def first_of(session: Ints) -> Mask:
    """Which is the first of its session, in session order."""
    first = np.ones(session.size, np.bool_)
    first[1:] = session[1:] != session[:-1]
    return first


def _prepared_us(rows: Rows, first: Mask, text: Ints, start_us: Ints) -> Ints:
    """Time of the parse and bind right before each text; 0 where they are none of its own."""
    prepared = rows.kind == PREPARED
    places = np.arange(rows.kind.size)
    began_us = rows.at_us - rows.duration_us
    apart = began_us - np.roll(rows.at_us, 1) > AT_ONCE_US
    anew = prepared & (first | ~np.roll(prepared, 1) | apart)
    run = np.maximum.accumulate(np.where(anew, places, 0))
    sums = np.concatenate(([0], np.cumsum(np.where(prepared, rows.duration_us, 0))))
    last = text - 1
    is_own = ~first[text] & prepared[last] & (start_us - rows.at_us[last] <= AT_ONCE_US)
    found: Ints = np.where(is_own, sums[text] - sums[run[last]], 0)
    return found


def _open_ends(kind: Ints, ends: Mask, waits: Mask) -> Mask:
    """A session's last rows, where those are calls in preparation or a beginning that waits."""
    settled = (kind != PREPARED) & ~waits
    places = np.arange(kind.size)
    group = np.cumsum(np.concatenate(([True], ends[:-1]))) - 1 if kind.size else places
    last_settled = np.full(int(group[-1]) + 1 if kind.size else 0, -1)
    np.maximum.at(last_settled, group[settled], places[settled])
    open_ends: Mask = places > last_settled[group]
    return open_ends
