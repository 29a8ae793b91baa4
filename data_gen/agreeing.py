"""Rows of two tables that agree in some columns, as groups that lie in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_gen.cells import Cells
from data_gen.shuffle import Flags, Ints
from data_gen.sources import Borrowed, CellSource, Filled, NullFlags

if TYPE_CHECKING:
    from data_gen.drafts import Made
    from data_gen.plan import TablePlan

MOST = 1 << 22  # rows that lie in memory
_MOST_VALUES = 1 << 18  # that are compared by their bytes


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """A number for each row, as found."""

    numbers: Ints

    def points(self, rows: Ints) -> Ints:
        """The rows' numbers."""
        return self.numbers[rows]


@dataclass(frozen=True, slots=True, eq=False)
class Lacking:
    """NULL where a row finds no parent, and wherever it would be anyway."""

    lacking: Flags
    nulls: NullFlags | None

    def flags(self, rows: Ints) -> Flags:
        """Whether each row is."""
        own = self.lacking[rows]
        return own if self.nulls is None else own | self.nulls.flags(rows)


def base_of(column: CellSource) -> Filled | None:
    """Where a borrowed column's values come from in the end."""
    while isinstance(column, Borrowed):
        column = column.column
    return column if isinstance(column, Filled) else None


def points_of(column: CellSource, count: int) -> Ints:
    """A column's points in all rows, which are its base's."""
    rows = np.arange(count, dtype=np.int64)
    while isinstance(column, Borrowed):
        rows, column = column.parent_rows(rows), column.column
    assert isinstance(column, Filled)
    return column.source.points(rows)


def alike(
    one: CellSource, other: CellSource, counts: tuple[int, int], *, same: bool
) -> tuple[Ints, Ints] | None:
    """The values of two columns as numbers that are equal where the values are; None: too many.

    `same` tells that their points are of one kind.
    """
    bases = base_of(one), base_of(other)
    if bases[0] is None or bases[1] is None:
        return None
    found = points_of(one, counts[0]), points_of(other, counts[1])
    if same or bases[0] is bases[1]:
        return found
    known = [np.unique(points, return_inverse=True) for points in found]
    if sum(points.size for points, _ in known) > _MOST_VALUES:
        return None
    numbers: dict[bytes | None, int] = {}
    of = [
        np.array(
            [numbers.setdefault(raw, len(numbers)) for raw in Cells(base.encode(points)).raw()],
            np.int64,
        )
        for base, (points, _) in zip(bases, known, strict=True)
        if base is not None
    ]
    return of[0][known[0][1]], of[1][known[1][1]]


@dataclass(frozen=True, slots=True, eq=False)
class Agreeing:
    """For each row of one table the rows of another that have the same points."""

    groups: Ints  # of each row
    order: Ints  # the other table's rows, group by group
    first: Ints  # of each group, in that order
    sizes: Ints

    @classmethod
    def of(cls, here: Sequence[Ints], there: Sequence[Ints]) -> "Agreeing":
        """Columns of points of either table, at least one."""
        groups, others = numbered(here, there)
        sizes = np.bincount(others, minlength=int(groups.max(initial=0)) + 1)
        return cls(groups, np.argsort(others, kind="stable"), np.cumsum(sizes) - sizes, sizes)

    @property
    def many(self) -> Ints:
        """How many rows agree with each."""
        return self.sizes[self.groups]

    def at(self, rows: Ints, turns: Ints) -> Ints:
        """The row that agrees with each, by a number under `many`."""
        places = self.first[self.groups[rows]] + turns
        found: Ints = self.order[np.minimum(places, self.order.size - 1)]
        return found

    def pairs(self, numbers: Ints, of: int) -> tuple[Ints, Ints] | None:
        """Pairs of rows that agree, spread evenly over all; None where there are fewer.

        `numbers` are 0 to `of`, in any order; each has a pair of its own.
        """
        ends = np.cumsum(self.many)
        if not ends.size or ends[-1] < of:
            return None
        places = numbers * int(ends[-1]) // of
        rows = np.searchsorted(ends, places, side="right")
        return rows, self.at(rows, places - (ends - self.many)[rows])


def numbered(here: Sequence[Ints], there: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Numbers of the combinations of points, the same on both sides."""
    rows = here[0].size
    groups = np.zeros(rows + there[0].size, np.int64)
    for one, other in zip(here, there, strict=True):
        _, number = np.unique(np.concatenate((one, other)), return_inverse=True)
        together = groups * (int(number.max(initial=0)) + 1) + number
        _, groups = np.unique(together, return_inverse=True)
    return groups[:rows], groups[rows:]


def nth(groups: Ints) -> Ints:
    """How many earlier rows are of the same group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    found = np.empty_like(groups)
    found[order] = np.arange(groups.size) - np.searchsorted(ordered, ordered)
    return found


def alike_rows(table: "TablePlan", names: Sequence[str]) -> Ints | None:
    """Which rows of a table are alike in some columns, as numbers; None where that is not known."""
    columns = [table.filled.get(name) for name in names]
    if table.rows > MOST or not all(c is not None and base_of(c) is not None for c in columns):
        return None
    points = [points_of(column, table.rows) for column in columns if column is not None]
    return numbered(points, points)[0] if points else np.zeros(table.rows, np.int64)


def told_apart(made: "Made") -> Ints:
    """The points of some values by rank, without those that look like one before them.

    A value that is made may by chance be one that the statistics name.
    """
    points = made.spread.by_rank(np.arange(made.spread.values, dtype=np.int64))
    if points.size > _MOST_VALUES:
        return points
    first = dict[bytes | None, int]()
    for place, raw in enumerate(Cells(made.encode(points)).raw()):
        first.setdefault(raw, place)
    return points[np.array(list(first.values()), np.int64)]
