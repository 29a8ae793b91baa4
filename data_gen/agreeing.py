"""Rows of two tables that agree in some columns, as groups that lie in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_gen.shuffle import Flags, Ints
from data_gen.sources import NullFlags

MOST = 1 << 22  # rows that lie in memory


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
