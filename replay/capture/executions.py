"""Rows of a log into executions: a duration finds its text, a call its parse and bind.

Takes rows in session order: all rows of a session together, in the order of its lines. What a
session's last rows mean may depend on rows to come; those are told apart, and given in again in
front of the session's next rows.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from replay.capture.formats.columns import Ints
from replay.capture.kernels import ONE, compiled, place
from replay.capture.messages import BEGINS, ENDED, FAILED, NOTHING, PREPARED, RAN

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

    def piece(self, begin: int, end: int) -> "Rows":
        """The rows from one place to another, in the memory of these."""
        return Rows(**{f.name: getattr(self, f.name)[begin:end] for f in fields(Rows)})


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
        if places.dtype == np.bool_:
            if places.all():
                return self
            places = np.flatnonzero(places)
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
    size = rows.kind.size
    found, lethal = np.empty((10, size), np.int64), np.empty(size, np.bool_)
    open_ends = np.zeros(size, np.bool_)
    count = _find(
        rows.kind,
        rows.at_us,
        rows.duration_us,
        rows.line,
        rows.query_id,
        rows.template,
        rows.state,
        rows.lethal,
        rows.session,
        rows.source,
        last,
        found,
        lethal,
        open_ends,
    )
    names = [field.name for field in fields(Executions) if field.name != "lethal"]
    columns = dict(zip(names, found[:, :count], strict=True))
    return Executions(**columns, lethal=lethal[:count]), open_ends


def in_order(found: Executions, end_us: Ints) -> None:
    """Set starts right that the log's milliseconds blur: a session runs one after the other.

    `end_us` is, by session, when the execution before these ended. What begins at most AT_ONCE_US
    before that began when it ended; what seems to begin earlier still is left as it is, because the
    clock has jumped.
    """
    _put_in_order(found.session, found.start_us, found.spent_us, end_us)


@compiled
def _put_in_order(session: Ints, start_us: Ints, spent_us: Ints, end_us: Ints) -> None:
    ended_us = np.int64(0)
    for row in range(place(session.size)):
        if row == 0 or session[row] != session[row - ONE]:
            ended_us = end_us[session[row]]
        lag_us = ended_us - start_us[row]
        if 0 < lag_us <= AT_ONCE_US:
            start_us[row] += lag_us
        ended_us = start_us[row] + spent_us[row]


@compiled
def _find(
    kind: Ints,
    at_us: Ints,
    duration_us: Ints,
    line: Ints,
    query_id: Ints,
    template: Ints,
    state: Ints,
    lethal: Mask,
    session: Ints,
    source: Ints,
    last: bool,
    found: Ints,
    found_lethal: Mask,
    open_ends: Mask,
) -> int:
    """Write the executions, in Executions' order of fields; how many there are."""
    size, count = place(kind.size), place(0)
    prepared_us = np.int64(0)  # time of the parse and bind that follow one another, up to here
    for number in range(size):
        row = place(number)
        first = row == 0 or session[row - ONE] != session[row]
        ends = row + ONE == size or session[row + ONE] != session[row]
        what = kind[row]
        before = NOTHING if first else kind[row - ONE]
        after = NOTHING if ends else kind[row + ONE]
        if what == PREPARED:
            began_us = at_us[row] - duration_us[row]
            if before != PREPARED or began_us - at_us[row - ONE] > AT_ONCE_US:
                prepared_us = np.int64(0)
            prepared_us += duration_us[row]
            open_ends[row] = not last
            continue
        failed = what == FAILED
        ended = what == ENDED and before == BEGINS
        untimed = what == BEGINS and after != ENDED
        if untimed:
            fails = after == FAILED and template[row + ONE] == template[row]
            open_ends[row] = ends and not last
            untimed = not (fails or open_ends[row])
        if not (what == RAN or failed or ended or untimed):
            continue
        text = row - ONE if ended else row
        called = failed and before in (BEGINS, PREPARED) and template[row - ONE] == template[row]
        start_us = at_us[row - ONE] if called else at_us[row]
        spent_us = duration_us[row]
        if not failed:
            start_us -= spent_us
            alone = text == 0 or session[text - ONE] != session[text]
            is_own = not (untimed or alone) and kind[text - ONE] == PREPARED
            if is_own and start_us - at_us[text - ONE] <= AT_ONCE_US:
                start_us -= prepared_us
                spent_us += prepared_us
        start_us = max(start_us, 0)
        if failed:
            spent_us = at_us[row] - start_us
        found[0, count], found[1, count] = session[row], template[text]
        found[2, count] = start_us
        found[3, count] = HAS_FAILED if failed else UNTIMED if untimed else spent_us
        found[4, count] = max(spent_us, 0)
        found[5, count], found[6, count] = query_id[row], line[text]
        found[7, count] = state[row] if failed else NONE
        found[8, count] = source[text]
        found[9, count] = source[row - ONE] if called else NONE
        found_lethal[count] = failed and lethal[row]
        count += ONE
    for behind in range(size):  # what is open ends a session with nothing behind it that is not
        row = size - ONE - place(behind)
        if row + ONE < size and session[row + ONE] == session[row]:
            open_ends[row] &= open_ends[row + ONE]
    return int(count)


def first_of(session: Ints) -> Mask:
    """Which is the first of its session, in session order."""
    first = np.ones(session.size, np.bool_)
    first[1:] = session[1:] != session[:-1]
    return first


def in_session_order(session: Ints) -> Ints:
    """The order in which the rows of a session stand together, each session's as they were."""
    few = session.size == 0 or int(session.max()) < 1 << 16
    return np.argsort(session.astype(np.uint16) if few else session, kind="stable")
