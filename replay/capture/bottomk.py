"""The k smallest ranks of every stratum, over many strata at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from replay.capture.formats.columns import Ints
from replay.capture.kernels import Number, compiled, inlined
from replay.capture.priority import NEVER, Priorities


class Places(NamedTuple):
    """Places by stratum, and by rank within."""

    ranks: Priorities
    units: Ints
    strata: list[tuple[int, int, int]]  # number, begin and end of its places


Weights = npt.NDArray[np.float64]

SLOWEST = 4  # units a template, or requests a route
BUCKETS_AT_MOST = 64  # time buckets: their width doubles when there are more
_SETTLED_AT_LEAST = 4096  # offers
SORTED_AT_MOST = 4096  # of more, the smallest are chosen first
_PRIORITIES = 2.0**64


def weights_of(parts: Sequence[tuple[Ints, Priorities]]) -> tuple[Ints, Weights]:
    """The units that overlapping strata keep, each once, and 1 / max τ over those that keep it."""
    numbers, places = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    limits = np.zeros(numbers.size, np.uint64)
    np.maximum.at(limits, places, np.concatenate([part[1] for part in parts]))
    weights = np.where(limits == NEVER, 1.0, _PRIORITIES / limits.astype(np.float64))
    return numbers, weights


class BottomK:
    """Strata by number, and in each the units of the k smallest ranks, with the next rank, τ.

    Offers are collected, and settled by one sort when there are enough of them; until then the
    limits are those of before, which is safe, because limits only fall.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self._limits: Priorities = np.empty(0, np.uint64)  # τ; NEVER while there is room
        self._strata: Ints = np.empty(0, np.int64)
        self._ranks: Priorities = np.empty(0, np.uint64)
        self._units: Ints = np.empty(0, np.int64)
        self._offers: list[tuple[Ints, Priorities, Ints]] = []
        self._offered = 0

    def wanted(self, strata: Ints, ranks: Priorities, units: Ints) -> Ints:
        """Places of the ranks that may be among the smallest of their strata: τ and k below it.

        A unit has one place in a stratum, however often it is offered at once: its smallest rank.
        """
        below = np.flatnonzero(ranks < self.limits(int(strata.max(initial=-1)) + 1)[strata])
        if below.size <= 1:
            return below
        if (np.diff(units[below]) <= 0).any():  # else none of them comes twice
            below = below[np.lexsort((ranks[below], units[below], strata[below]))]
            found, of = strata[below], units[below]
            again = np.zeros(below.size, np.bool_)
            again[1:] = (found[1:] == found[:-1]) & (of[1:] == of[:-1])
            below = below[~again]
        if below.size > SORTED_AT_MOST:
            below = self._smallest(below, strata, ranks)
        below = below[np.lexsort((ranks[below], strata[below]))]
        found = strata[below]
        return below[np.arange(found.size) - np.searchsorted(found, found) <= self.k]

    def limits(self, strata: int) -> Priorities:
        """The limits of so many strata: a rank that is not below its stratum's is not wanted."""
        self._grow(strata)
        return self._limits

    def new_stratum(self) -> int:
        """The number of a stratum that nothing was offered to."""
        self._grow(self._limits.size + 1)
        return self._limits.size - 1

    def offer(self, strata: Ints, ranks: Priorities, units: Ints) -> None:
        """Take units that are wanted, each once for a stratum."""
        self._offers.append((strata, ranks, units))
        self._offered += strata.size

    def settle_if_due(self) -> None:
        """Settle if there are many offers."""
        if self._offered > max(_SETTLED_AT_LEAST, self._units.size // 4):
            self.settle()

    def settle(self) -> None:
        """Let go of all units beyond the k smallest ranks of each stratum, and the one after."""
        strata, ranks, units = (
            np.concatenate(column)
            for column in zip((self._strata, self._ranks, self._units), *self._offers, strict=True)
        )
        self._offers, self._offered = [], 0
        order = np.lexsort((units, ranks, strata))
        strata, ranks, units = strata[order], ranks[order], units[order]
        place = np.arange(strata.size) - np.searchsorted(strata, strata)
        kept = place <= self.k
        self._strata, self._ranks, self._units = strata[kept], ranks[kept], units[kept]
        full = place == self.k
        self._grow(int(strata.max(initial=-1)) + 1)
        self._limits[strata[full]] = ranks[full]

    def kept(self) -> tuple[Ints, Priorities]:
        """All strata's units, with τ; NEVER of a stratum that holds all that it was offered."""
        self.settle()
        place = np.arange(self._strata.size) - np.searchsorted(self._strata, self._strata)
        inside = place < self.k
        return self._units[inside], self._limits[self._strata[inside]]

    def certain(self, bits: int) -> tuple[Ints, Priorities]:
        """The units below τ also without the last bits of the ranks, which chance has drawn.

        Nothing else decided that they stay, so each stands for itself alone: their limit is NEVER.
        """
        self.settle()
        shift = np.uint64(bits)
        place = np.arange(self._strata.size) - np.searchsorted(self._strata, self._strata)
        below = self._ranks >> shift < self._limits[self._strata] >> shift
        units = self._units[(place < self.k) & below]
        return units, np.full(units.size, NEVER)

    def places(self) -> "Places":
        """All places, τ's included."""
        self.settle()
        begins = np.flatnonzero(np.diff(self._strata, prepend=-1)).tolist()
        return Places(
            self._ranks,
            self._units,
            [
                (int(self._strata[begin]), begin, end)
                for begin, end in zip(begins, [*begins, self._strata.size][1:], strict=True)
            ],
        )

    def held(self) -> int:
        """How many places there are."""
        self.settle()
        return self._strata.size

    def units(self) -> Ints:
        """All units that it still needs."""
        return np.concatenate((self._units, *(units for _, _, units in self._offers)))

    def drop(self, strata: Sequence[int]) -> None:
        """Let go of strata for good."""
        self.settle()
        stays = ~np.isin(self._strata, strata)
        self._strata, self._ranks = self._strata[stays], self._ranks[stays]
        self._units = self._units[stays]

    def renumber(self, new: Ints) -> None:
        """Give strata new numbers, several of them one perhaps."""
        self.settle()
        self._strata = new[self._strata]
        self._limits = np.full(int(new.max(initial=-1)) + 1, NEVER)
        self.settle()

    def _smallest(self, below: Ints, strata: Ints, ranks: Priorities) -> Ints:
        """Those that are among the smallest of their strata, with all that are equal to the last of them."""
        found, rank = strata[below], ranks[below]
        sizes = np.bincount(found)
        if sizes.max() <= self.k + 1:
            return below
        ends, limits = np.cumsum(sizes), np.full(sizes.size, NEVER)
        _limits(found, rank, ends - sizes, ends, self.k, np.empty_like(rank), limits)
        return below[rank <= limits[found]]

    def _grow(self, strata: int) -> None:
        more = strata - self._limits.size
        if more > 0:
            self._limits = np.append(self._limits, np.full(more, NEVER))


@compiled
def _limits(
    strata: Ints,
    ranks: Priorities,
    begins: Ints,
    ends: Ints,
    k: int,
    grouped: Priorities,
    limits: Priorities,
) -> None:
    """The smallest rank but k of each stratum that has so many; each has its places in `grouped`."""
    for row in range(strata.size):
        stratum = strata[row]
        grouped[begins[stratum]] = ranks[row]
        begins[stratum] += 1
    end = 0
    for stratum in range(ends.size):
        begin, end = end, ends[stratum]
        if end - begin > k + 1:
            limits[stratum] = _nth(grouped, begin, end - 1, begin + k)


@inlined
def _nth(values: Priorities, low: Number, high: Number, wanted: Number) -> Number:
    """What would stand at a place if values from `low` to `high` were in order (Hoare's selection)."""
    while low < high:
        pivot = values[(low + high) // 2]
        one, other = low, high
        while one <= other:
            while values[one] < pivot:
                one += 1
            while values[other] > pivot:
                other -= 1
            if one <= other:
                values[one], values[other] = values[other], values[one]
                one += 1
                other -= 1
        if wanted <= other:
            high = other
        elif wanted >= one:
            low = one
        else:
            break
    return values[wanted]
