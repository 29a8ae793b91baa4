"""Codes of values, the same as joint.sql gives them: a value's place in its column's statistics.

-1 is NULL, -2 that there is no parent. 1, 2 … are the most common values. 100 + n is any other
value of a type with an order that is not below n of the column's edges: some bounds of its histogram,
and some of its further common values. Numbers of children are exact to 16, then eight a doubling.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_gen.profile import ColumnProfile
from data_gen.runs import Runs
from data_gen.shuffle import Ints
from data_gen.spread import Spread
from data_gen.values.family import Family

NULL, NO_PARENT = -1, -2
OTHER = 100  # and up
_OWN, _OWN_OF_FEW = 16, 60
_SHARES = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99)  # of the histogram, in percent
_MORE_EDGES = 12
_EXACT = 16
_PER_DOUBLING = 8
_PACKED = 2**62  # what fits in one number
_ORDERED = frozenset(
    {"int2", "int4", "int8", "numeric", "float4", "float8", "date", "timestamp", "timestamptz"}
)


def named(column: ColumnProfile) -> Sequence[str]:
    """The common values that have a code of their own, from code 1 on."""
    has_edges = bool(column.histogram) and column.base_type in _ORDERED
    return column.common_values[: _OWN if has_edges else _OWN_OF_FEW]


def edges(column: ColumnProfile) -> Sequence[str]:
    """The values between the codes from OTHER on, in no order."""
    bounds, common = column.histogram, column.common_values
    if not bounds or column.base_type not in _ORDERED:
        return ()
    step = max((len(common) - 5) // _MORE_EDGES, 1)
    return (*(bounds[(len(bounds) - 1) * share // 100] for share in _SHARES), *common[_OWN::step])


@dataclass(frozen=True, slots=True, eq=False)
class Coder:
    """Points of a generated column to the codes of the production values that they stand for."""

    named: Ints  # points of the values with codes of their own, ascending
    codes: Ints  # those codes
    edges: Ints  # points, ascending

    @classmethod
    def of(cls, column: ColumnProfile, family: Family) -> "Coder":
        """The coder of a column, from the family that makes its values."""
        found = {
            family.named[token]: code
            for code, token in reversed(list(enumerate(named(column), 1)))
            if token in family.named
        }
        points = sorted(found)
        return cls(
            np.array(points, np.int64),
            np.array([found[point] for point in points], np.int64),
            np.array(sorted(_points(edges(column), family)), np.int64),
        )

    def of_points(self, points: Ints) -> Ints:
        """The code of each point."""
        codes = OTHER + np.searchsorted(self.edges, points, side="right")
        if not self.named.size:
            return codes
        at = np.minimum(np.searchsorted(self.named, points), self.named.size - 1)
        return np.where(self.named[at] == points, self.codes[at], codes)

    def runs(self, spread: Spread) -> Runs:
        """The slots of a spread by code."""
        cuts = np.concatenate((self.named, self.named + 1, self.edges))
        starts = np.unique(_first_slots(spread, cuts))
        starts = np.unique(np.append(starts[starts < spread.rows], 0))
        return Runs.of(starts, self.of_points(spread.points(starts)), spread.rows)


def _points(tokens: Sequence[str], family: Family) -> Iterator[int]:
    for token in tokens:
        if family.point is not None:
            with contextlib.suppress(ValueError, ArithmeticError):  # infinity, for example
                yield family.point(token)


def _first_slots(spread: Spread, points: Ints) -> Ints:
    """The first slot that is not below each point; the number of slots where there is none."""
    low, high = np.zeros_like(points), np.full_like(points, spread.rows)
    while (low < high).any():
        middle = (low + high) // 2
        below = spread.points(np.minimum(middle, spread.rows - 1)) < points
        is_open = low < high
        low = np.where(is_open & below, middle + 1, low)
        high = np.where(is_open & ~below, middle, high)
    return low


def distinct(cells: Ints) -> tuple[Ints, Ints]:
    """The different rows of a matrix of codes, ascending, and which of them each row is."""
    if not cells.size:
        return cells, np.zeros(cells.shape[0], np.int64)
    low = cells.min(axis=0)
    spans = cells.max(axis=0) - low + 1
    if math.prod(spans.tolist()) >= _PACKED:
        known, kinds = np.unique(cells, axis=0, return_inverse=True)
        return known, kinds.reshape(-1)
    packed = np.zeros(cells.shape[0], np.int64)  # as one number each they are sorted much faster
    for column, span in zip((cells - low).T, spans.tolist(), strict=True):
        packed = packed * span + column
    _, first, kinds = np.unique(packed, return_index=True, return_inverse=True)
    return cells[first], kinds


def children(codes: Ints) -> Ints:
    """How many children a code of them stands for."""
    many = np.rint(_EXACT * 2.0 ** ((codes - _EXACT) / _PER_DOUBLING)).astype(np.int64)
    return np.where(codes <= _EXACT, codes, many)
