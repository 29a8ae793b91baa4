"""Where a column's points come from: its own statistics, another column's turn, or a parent's row.

Every source maps row numbers to points (or straight to cells) without looking at other rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_gen.cells import Cells, Piece
from data_gen.shuffle import Flags, Ints, Order, Permutation, mixed
from data_gen.spread import Spread


class Source(Protocol):
    """Row numbers to points."""

    def points(self, rows: Ints) -> Ints:
        """The point of each row."""


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """A column by its own spread, in its own physical order."""

    spread: Spread
    order: Order

    def points(self, rows: Ints) -> Ints:
        """Slots in the column's order, then their points."""
        return self.spread.points(self.order.slots(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A unique column with NULLs: the rows that have a value share its slots out among them."""

    spread: Spread
    nulls: "Nulls"

    def points(self, rows: Ints) -> Ints:
        """Points of the rows that are not NULL; any point elsewhere."""
        places = self.nulls.permutation.forward(rows) - self.nulls.count
        return self.spread.points(np.maximum(places, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Gapped:
    """A column whose NULLs stand evenly among its slots: every value keeps its number of rows."""

    spread: Spread  # of the rows with a value
    order: Order  # of all rows
    count: int  # rows without one

    def points(self, rows: Ints) -> Ints:
        """Points of the rows that are not NULL; any point elsewhere."""
        slots = self.order.slots(rows)
        return self.spread.points(np.minimum(slots - self._before(slots), self.spread.rows - 1))

    def flags(self, rows: Ints) -> Flags:
        """Whether each row is NULL."""
        slots = self.order.slots(rows)
        flags: Flags = self._before(slots + 1) > self._before(slots)
        return flags

    def _before(self, slots: Ints) -> Ints:
        return slots * self.count // self.order.rows


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """The second of two foreign keys that are unique together, by the slot of the first."""

    lead: Own
    by_slot: Ints

    def points(self, rows: Ints) -> Ints:
        """What was paired with each row's slot."""
        return self.by_slot[self.lead.order.slots(rows)]


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """A further column of a unique key: it counts on while the leading column repeats.

    The first row of a leading value takes a point by its frequency (or the most common, where the
    column counts from the start, as line numbers do), the next row the next point, and so on: no
    pair comes twice. `step` is the number of combinations of the followers before this one.
    """

    lead: Own
    spread: Spread
    step: int
    key: int | None  # None: count from the most common

    def points(self, rows: Ints) -> Ints:
        """Points by number of their rank."""
        slots = self.lead.order.slots(rows)
        turn = self.lead.spread.occurrences(slots) // self.step
        if self.key is not None:
            drawn = mixed(self.lead.spread.points(slots), self.key) % np.uint64(self.spread.rows)
            turn += self.spread.ranks(drawn.view(np.int64))
        return self.spread.by_rank(turn % self.spread.values)


@dataclass(frozen=True, slots=True, eq=False)
class Nulls:
    """Which rows of a column are NULL: those at some places of a permutation.

    From begin to end; where end is before begin, all but those from end to begin. Columns with one
    fraction share their rows.
    """

    permutation: Permutation
    begin: int
    end: int

    @property
    def count(self) -> int:
        """How many rows."""
        number = self.end - self.begin
        return number if number >= 0 else self.permutation.size + number

    def flags(self, rows: Ints) -> Flags:
        """Whether each row is."""
        places = self.permutation.forward(rows)
        if self.end >= self.begin:
            return (places >= self.begin) & (places < self.end)
        return (places < self.end) | (places >= self.begin)


def null_rows(kind: str, present: Sequence[float], place: int, rows: int) -> tuple[int, int]:
    """Begin and end of the NULLs of one column of a group that a check ties together.

    `present` are the shares of rows in which each has a value. "same": one share for all; "one":
    each has a value in rows of its own, all rows shared out; "any": the NULLs of the second of two
    lie at the other end, so that they meet those of the first as little as can be.
    """
    if kind == "same":
        return 0, round((1 - min(present)) * rows)
    if kind == "any":
        count = round((1 - present[place]) * rows)
        return (0, count) if place == 0 else (max(rows - count, _absent(present[0], rows)), rows)
    total = sum(present) or 1.0
    cuts = [round(sum(present[:number]) / total * rows) for number in range(len(present) + 1)]
    first, last = cuts[place], cuts[place + 1]
    if first == last:
        return 0, rows
    return (last, first) if (first, last) != (0, rows) else (0, 0)


def _absent(present: float, rows: int) -> int:
    return round((1 - present) * rows)


class NullFlags(Protocol):
    """Which rows of a column are NULL."""

    def flags(self, rows: Ints) -> Flags:
        """Whether each row is."""


class CellSource(Protocol):
    """Row numbers to a column's cells."""

    def cells(self, rows: Ints) -> Cells:
        """The values of some rows, in binary form."""

    def decode(self, raw: bytes) -> str:
        """PostgreSQL's text form of one value."""


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """A column that is made from points."""

    source: Source
    encode: Callable[[Ints], tuple[Piece, ...]]
    text: Callable[[bytes], str]
    nulls: NullFlags | None = None

    def cells(self, rows: Ints) -> Cells:
        """Points, their binary form, NULLs."""
        null = self.nulls.flags(rows) if self.nulls is not None else None
        return Cells(self.encode(self.source.points(rows)), null)

    def decode(self, raw: bytes) -> str:
        """As the type prints it."""
        return self.text(raw)


@dataclass(frozen=True, slots=True, eq=False)
class Borrowed:
    """A column of a foreign key of several: what stands in the parent's row."""

    parent_rows: Callable[[Ints], Ints]
    column: CellSource
    nulls: NullFlags | None = None

    def cells(self, rows: Ints) -> Cells:
        """The parent's cells."""
        cells = self.column.cells(self.parent_rows(rows))
        if self.nulls is None:
            return cells
        null = self.nulls.flags(rows)
        return Cells(cells.pieces, null if cells.null is None else null | cells.null)

    def decode(self, raw: bytes) -> str:
        """As the parent prints it."""
        return self.column.decode(raw)
