"""Two columns of which a CHECK says that one is not the larger: begin and end, least and most.

Each is made by its own statistics; in rows where they come out the other way they change places.
"""

from dataclasses import dataclass, replace

import numpy as np

from data_gen.cells import Cells
from data_gen.shuffle import Ints
from data_gen.sources import CellSource, Filled, NullFlags, Source
from data_gen.values.family import Values
from data_gen.values.integers import Integers
from data_gen.values.numerics import Numerics
from data_gen.values.times import Moments


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The smaller or the larger of two columns' values."""

    one: Source
    other: Source
    scales: tuple[tuple[int, int], tuple[int, int]]  # unit and origin of each
    values: Values  # of a point a number
    upper: bool
    apart: int  # how much larger the larger one is where they are equal
    nulls: NullFlags | None
    both: tuple[NullFlags | None, NullFlags | None]

    def cells(self, rows: Ints) -> Cells:
        """The value of each row; where the other is NULL, its own."""
        mine = self._numbers(rows, int(self.upper))
        theirs = self._numbers(rows, int(not self.upper))
        if self.upper:
            kept = np.where(mine == theirs, mine + self.apart, np.maximum(mine, theirs))
        else:
            kept = np.minimum(mine, theirs)
        for nulls in self.both:
            if nulls is not None:
                kept = np.where(nulls.flags(rows), mine, kept)
        null = self.nulls.flags(rows) if self.nulls is not None else None
        return Cells(self.values.encode(kept), null)

    def decode(self, raw: bytes) -> str:
        """As the type prints it."""
        return self.values.decode(raw)

    def _numbers(self, rows: Ints, which: int) -> Ints:
        unit, origin = self.scales[which]
        return (self.other if which else self.one).points(rows) * unit + origin


def in_order(one: Filled, other: Filled, *, strict: bool) -> tuple[CellSource, CellSource] | None:
    """Both columns, the first never the larger; None where their types cannot be compared."""
    values = [getattr(filled.encode, "__self__", None) for filled in (one, other)]
    scales = [_scale(value) for value in values]
    same = values[0] is not None and type(values[0]) is type(values[1])
    if not same or scales[0] is None or scales[1] is None or _kind(values[0]) != _kind(values[1]):
        return None

    def side(filled: Filled, value: Values, *, upper: bool) -> CellSource:
        plain = replace(value, unit=1, origin=0) if isinstance(value, Moments) else value
        assert scales[0] is not None
        assert scales[1] is not None
        return Side(
            one.source,
            other.source,
            (scales[0], scales[1]),
            plain,
            upper,
            scales[1][0] if strict else 0,
            filled.nulls,
            (one.nulls, other.nulls),
        )

    assert values[0] is not None
    assert values[1] is not None
    return side(one, values[0], upper=False), side(other, values[1], upper=True)


def _scale(values: object) -> tuple[int, int] | None:
    if isinstance(values, Moments):
        return values.unit, values.origin
    return (1, 0) if isinstance(values, Integers | Numerics) else None


def _kind(values: object) -> object:
    """What must be the same for two numbers to mean the same."""
    if isinstance(values, Moments):
        return values.wire
    return values.scale if isinstance(values, Numerics) else None
