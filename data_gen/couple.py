"""Columns that go together: every row takes a cell of the table's joint, and each column a value of it.

A column's values are sorted into slots (see `data_gen.spread`), and each slot has a code. Of the cells,
weighted so that each code comes as often as the column has slots of it, a row takes one; the column
takes the next slot of the cell's code. So every column keeps its own spread, slot for slot, and all of
them together show the sample's combinations. Rows of one root code (a part of the table, or parents of
one kind) share its cells. Nothing is drawn: a row's slots are computed from its number alone.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_gen.runs import Runs, Spare, Turns
from data_gen.shuffle import Ints, key_of
from data_gen.steps import Steps

Weights = npt.NDArray[np.float64]

_TURNS = 12  # of raking
_GOLDEN = 0.6180339887498949
_SPARE_CELLS = 256  # that a root code without a sampled row shares


@dataclass(frozen=True, slots=True, eq=False)
class Shuffle:
    """A bijection within each of many groups: steps of a width that has no divisor with the size."""

    sizes: Ints
    steps: Ints
    offsets: Ints

    @classmethod
    def of(cls, sizes: Ints, key: int) -> "Shuffle":
        """Groups of these sizes."""
        steps, offsets = np.ones_like(sizes), np.zeros_like(sizes)
        for group, size in enumerate(sizes.tolist()):
            if size > 1:
                drawn = key_of(key, group)
                step = max(int(size * _GOLDEN) - drawn % max(size // 5, 1), 1)
                while math.gcd(step, size) > 1:
                    step += 1
                steps[group], offsets[group] = step, (drawn >> 32) % size
        return cls(sizes, steps, offsets)

    def at(self, groups: Ints, places: Ints) -> Ints:
        """The place that each one is moved to, in its group."""
        from data_gen.loops import shuffle  # noqa: PLC0415 - the compiler, by who needs it

        out = np.empty(places.shape, np.int64)
        shuffle(out, groups, places, self.sizes, self.steps, self.offsets)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """What a row has before its cell: a code, and its number among the rows of that code."""

    sizes: Ints  # rows of each code; codes are 0, 1, 2 …
    find: Callable[[Ints], tuple[Ints, Ints]]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A column of a joint: its codes, and what each weighs in rows."""

    codes: Ints  # ascending
    rows: Weights


class Coupling:
    """Rows to cells, and cells to codes, of one table."""

    def __init__(
        self, root: Root, roots: Ints, cells: Ints, counts: Ints, parts: Sequence[Part], key: int
    ) -> None:
        """Take cells (cells × parts, of codes) with the root code and the sampled rows of each."""
        roots, cells, weights = _complete(root, roots, cells, counts.astype(np.float64))
        weights = _raked(root, roots, cells, weights, parts)
        order = np.lexsort((*cells.T, roots))
        roots, self.cells, weights = roots[order], cells[order], weights[order]
        numbers = _whole(roots, weights, root.sizes)
        self._root = root
        self._starts = np.concatenate(([0], np.cumsum(root.sizes)))
        self._cuts = Steps.of(np.concatenate(([0], np.cumsum(numbers)[:-1])))
        self._shuffle = Shuffle.of(root.sizes, key_of(key, "cells"))
        self.places = [
            _Places.of(self.cells[:, n], numbers, key_of(key, n)) for n in range(len(parts))
        ]
        self._moved: tuple[Ints, Ints] = (np.empty(0, np.int64), np.empty(0, np.int64))
        self._last = threading.local()  # rows that were looked for, and what was found

    def find(self, rows: Ints) -> tuple[Ints, Ints]:
        """The cell of each row, and the row's number in it.

        The columns of a table ask one after the other for the same rows.
        """
        if getattr(self._last, "rows", None) is not rows:
            codes, places = self._root.find(self._swapped(rows))
            slots = self._starts[codes] + self._shuffle.at(codes, places)
            cell = self._cuts.at(slots)
            self._last.rows, self._last.found = rows, (cell, slots - self._cuts.places[cell])
        found: tuple[Ints, Ints] = self._last.found
        return found

    def part(self, number: int, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """The code of each row in one part, its number among those of the code, and how many those are."""
        cell, within = self.find(rows)
        places = self.places[number]
        group = places.groups[cell]
        at = places.shuffle.at(group, places.before[cell] + within)
        return self.cells[cell, number], at, places.shuffle.sizes[group]

    def turns(self, number: int, runs: Runs, *, exact: bool) -> Turns:
        """What takes a row of each cell to a slot of a column with such runs.

        Where it is exact, no slot is taken twice while another is free.
        """
        places = self.places[number]
        moved, groups = places.shuffle, places.groups
        codes = self.cells[:, number]
        known = np.unique(codes)
        spare = Spare.of(runs, known, moved.sizes) if exact else Spare.none(known.size)
        sizes = np.maximum(moved.sizes, 1)[groups]
        ours = (places.before, sizes, moved.steps[groups], moved.offsets[groups])
        cells = np.stack((*ours, *runs.of_codes(codes), spare.before[groups]), axis=1)
        return Turns(cells, runs, spare)

    def slots(self, rows: Ints, turns: Turns) -> Ints:
        """The slot of a column that each row takes."""
        return turns.slots(*self.find(rows))

    def swap(self, rows: Ints, others: Ints) -> None:
        """Let rows take the cells of others, and these theirs; no row twice."""
        here, there = np.concatenate((rows, others)), np.concatenate((others, rows))
        order = np.argsort(here)
        self._moved = here[order], there[order]
        self._last = threading.local()

    def _swapped(self, rows: Ints) -> Ints:
        here, there = self._moved
        if not here.size:
            return rows
        at = np.minimum(np.searchsorted(here, rows), here.size - 1)
        return np.where(here[at] == rows, there[at], rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where the rows of each cell stand among all that have its code."""

    groups: Ints  # number of each cell's code
    before: Ints  # rows of earlier cells with that code
    shuffle: Shuffle

    @classmethod
    def of(cls, codes: Ints, numbers: Ints, key: int) -> "_Places":
        known, groups = np.unique(codes, return_inverse=True)
        before = np.zeros_like(numbers)
        order = np.argsort(groups, kind="stable")
        sums = np.cumsum(numbers[order])
        first = np.searchsorted(groups[order], np.arange(known.size))
        base = (sums - numbers[order])[first]
        before[order] = sums - numbers[order] - base[groups[order]]
        sizes = np.bincount(groups, numbers, known.size).astype(np.int64)
        return cls(groups, before, Shuffle.of(sizes, key))


def _complete(root: Root, roots: Ints, cells: Ints, weights: Weights) -> tuple[Ints, Ints, Weights]:
    """Root codes that have rows and were not sampled take the commonest cells of all."""
    missing = np.setdiff1d(np.flatnonzero(root.sizes), roots)
    if not missing.size:
        return roots, cells, weights
    common = np.argsort(-weights)[:_SPARE_CELLS]
    return (
        np.concatenate((roots, np.repeat(missing, common.size))),
        np.concatenate((cells, np.tile(cells[common], (missing.size, 1)))),
        np.concatenate((weights, np.tile(weights[common], missing.size))),
    )


def _raked(
    root: Root, roots: Ints, cells: Ints, weights: Weights, parts: Sequence[Part]
) -> Weights:
    """Weights under which the cells of each code add up to what the code weighs (Deming and Stephan 1940)."""
    places = [np.searchsorted(part.codes, cells[:, n]) for n, part in enumerate(parts)]
    for _ in range(_TURNS):
        for place, part in zip(places, parts, strict=True):
            weights = weights * _factor(place, weights, part.rows)
        weights = weights * _factor(roots, weights, root.sizes.astype(np.float64))
    return weights


def _factor(groups: Ints, weights: Weights, wanted: Weights) -> Weights:
    sums = np.bincount(groups, weights, wanted.size)
    factors: Weights = np.divide(wanted, sums, out=np.zeros_like(wanted), where=sums > 0)
    return factors[groups]


def _whole(roots: Ints, weights: Weights, sizes: Ints) -> Ints:
    """Whole rows of each cell, those of a root code adding up to its rows."""
    sums = np.concatenate(([0.0], np.cumsum(weights)))
    first = np.searchsorted(roots, np.arange(sizes.size))
    last = np.searchsorted(roots, np.arange(sizes.size), side="right")
    base, total = sums[first][roots], (sums[last] - sums[first])[roots]
    share = (sums[1:] - base) / np.maximum(total, 1e-300)
    # Each root code rounds from another fraction, so that what all lose in one they gain in another.
    dither = np.arange(sizes.size) * _GOLDEN % 1
    ends = np.floor(np.minimum(share, 1.0) * sizes[roots] + dither[roots]).astype(np.int64)
    ends[last[last > first] - 1] = sizes[last > first]
    begins = np.concatenate(([0], ends[:-1]))
    begins[first[last > first]] = 0
    whole: Ints = ends - begins
    return whole
