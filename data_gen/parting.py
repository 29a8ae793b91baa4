"""Columns of keys that a check wants to differ: where they do not, rows exchange the values of one.

So every value keeps its number of rows, and what is unique stays so; but where a key has so nearly every
pair that there is no exchange, a row takes a value that its group lacks. Columns of no key are left to
`mend`, which looks at the rows themselves.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from data_gen.agreeing import MOST, Listed, alike, alike_rows, nth, numbered
from data_gen.shuffle import Flags, Ints, key_of, mixed
from data_gen.sources import Borrowed, Filled

if TYPE_CHECKING:
    from data_gen.plan import TablePlan

_TURNS = 100
_MOST_CELLS = 1 << 24  # of a key's groups and values, that lie in memory


def part(table: "TablePlan") -> None:
    """Let the columns differ, as far as that is found."""
    keyed = {name for key in table.keys for name in key}
    for pair in table.checks.unlike:
        if table.rows <= MOST and any(name in keyed or table.is_key(name) for name in pair):
            for one, other in (pair, pair[::-1]):
                if _parted(table, one, other):
                    break


def _parted(table: "TablePlan", one: str, other: str) -> bool:
    """Whether the second column could be made to differ from the first."""
    first, second = table.filled.get(one), table.filled.get(other)
    if first is None or not isinstance(second, Filled) or other in table.unique:
        return False
    rows = np.arange(table.rows, dtype=np.int64)
    name = table.table.qualified
    same = table.plan.is_one_domain((name, one), (name, other))
    numbers = alike(first, second, (rows.size, rows.size), same=same)
    keys = [[n for n in key if n != other] for key in table.keys if other in key]
    groups = [group for names in keys if (group := alike_rows(table, names)) is not None]
    if numbers is None or len(groups) < len(keys):
        return False
    there = ~_nulls(first, rows) & ~_nulls(second, rows)
    seed = key_of(table.plan.seed, "apart", name, other)
    taken = apart((numbers[0][there], numbers[1][there]), [group[there] for group in groups], seed)
    if taken is None:
        return False
    points = second.source.points(rows)
    points[there] = points[there][taken]
    table.sources[other] = Listed(points)
    table.filled[other] = replace(second, source=table.sources[other])
    return True


def _nulls(column: object, rows: Ints) -> Flags:
    if isinstance(column, Filled | Borrowed) and column.nulls is not None:
        return column.nulls.flags(rows)
    return np.zeros(rows.size, bool)


def apart(numbers: tuple[Ints, Ints], groups: Sequence[Ints], key: int) -> Ints | None:
    """Which row's value each row takes in the second column, so that it differs from the first's.

    In each of the groupings no value may come twice within a group. None where that is not found.
    """
    first, second = numbers
    rows = np.arange(first.size, dtype=np.int64)
    for turn in range(_TURNS):
        wrong = _wrong(first, second[rows], groups)
        here = np.flatnonzero(wrong)
        if not here.size:
            return rows
        drawn = (mixed(here, key + turn + 1) % np.uint64(first.size)).astype(np.int64)
        drawn, at = np.unique(drawn, return_index=True)
        free = ~wrong[drawn]
        here, there = here[at[free]], drawn[free]
        rows[here], rows[there] = rows[there], rows[here]
    return _closely(first, second, groups[0]) if len(groups) == 1 else None


def _wrong(first: Ints, second: Ints, groups: Sequence[Ints]) -> Flags:
    """Rows whose columns are equal, or that are not the first of their value in a group."""
    wrong: Flags = first == second
    for one in groups:
        together, _ = numbered((one, second), (one, second))
        wrong |= nth(together) > 0
    return wrong


def _closely(first: Ints, second: Ints, group: Ints) -> Ints | None:
    """The same by search, for a key of which nearly every pair of values is a row, none twice.

    A row exchanges its value with one whose group lacks it, and whose own value this row's group lacks.
    """
    rows = np.arange(first.size, dtype=np.int64)
    _, group = np.unique(group, return_inverse=True)
    _, of, value = np.unique(second, return_index=True, return_inverse=True)  # a row of each value
    size = int(group.max()) + 1, of.size
    if size[0] * size[1] > _MOST_CELLS:
        return None
    cells = np.full(size, -1, np.int32)  # the row of each pair
    cells[group, value] = rows
    for here in np.flatnonzero(first == second):
        mine = value[rows[here]]
        if second[rows[here]] != first[here]:
            continue  # it was exchanged
        lacking = np.ix_(np.flatnonzero(cells[:, mine] < 0), np.flatnonzero(cells[group[here]] < 0))
        found = cells[lacking][cells[lacking] >= 0]
        found = found[(second[rows[found]] != first[here]) & (first[found] != second[rows[here]])]
        if not found.size:
            other = [v for v in lacking[1].ravel() if second[of[v]] != first[here]]
            if not other:
                return None
            cells[group[here], mine], cells[group[here], other[0]] = -1, here
            rows[here] = of[other[0]]
            continue
        there = found[0]
        theirs = value[rows[there]]
        cells[group[here], mine] = cells[group[there], theirs] = -1
        cells[group[here], theirs], cells[group[there], mine] = here, there
        rows[here], rows[there] = rows[there], rows[here]
    return rows
