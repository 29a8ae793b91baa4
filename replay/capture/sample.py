"""Coordinated bottom-k over whole units: a sample that never loses a rare path.

Every unit has one priority, hashed from its session and line. Strata overlap: every template, every
time bucket, (template, error), (template, slowest few), every shape, every kept request that runs
some. Each keeps its k units of
smallest priority, and a unit stays while any stratum wants it. With τ the (k+1)-th smallest
priority of a stratum, a unit's weight is 1 / max τ over the strata that kept it (rank conditioning:
Cohen and Kaplan 2009, "Leveraging discarded samples"); those slower than all others are kept for
certain, so theirs is 1. Estimates are unbiased, a template in n units keeps min(n, k) of them whole, the sample does
not depend on the order of the input, and samples of parts merge into the sample of the whole.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from replay.capture.bottomk import BUCKETS_AT_MOST, SLOWEST, BottomK, Places, Weights, weights_of
from replay.capture.counts import Numbers
from replay.capture.formats.columns import Ints
from replay.capture.priority import NEVER, Priorities
from replay.capture.ranks import TIE_BITS, shapes, slowness
from replay.capture.store import Store
from replay.capture.units import Units

OF_REQUEST = 32  # units that a kept request ran
SHAPES_AT_MOST = 512  # shapes with a stratum: those of the smallest hashes


class Strata:
    """All strata, by what each stands for, and the units in them, by number."""

    def __init__(self, *, k: int, requests: Sequence[int] = ()) -> None:
        """`requests` are the priorities of the kept requests, each with a stratum of its own."""
        self.bucket_s = 1  # a power of two
        self._request_priorities = requests
        self._templates = BottomK(k)
        self._errors = BottomK(k)
        self._slowest = BottomK(SLOWEST)
        self._buckets = BottomK(max(1, k // 4))
        self._shapes = BottomK(max(1, k // 16))
        self._requests = BottomK(OF_REQUEST)
        self._groups = {
            "template": self._templates,
            "error": self._errors,
            "slowest": self._slowest,
            "bucket": self._buckets,
            "shape": self._shapes,
            "request": self._requests,
        }
        self._error_of: dict[int, int] = {}
        self._bucket_of: dict[int, int] = {}
        self._shape_of: dict[int, int] = {}
        self._shape_numbers = Numbers()  # the same
        self._shape_limit = NEVER  # a hash from there on has no stratum

    def kept(self) -> tuple[Ints, Weights]:
        """The units that stay, by number, and their weights."""
        parts = [
            group.certain(TIE_BITS) if group is self._slowest else group.kept()
            for group in self._groups.values()
        ]
        return weights_of(parts)

    def places(self) -> Iterator[tuple[str, Mapping[int, tuple[int, ...]] | None, Places]]:
        """By group the places, whose units are numbers, and what its strata stand for.

        A stratum is a template, if nothing else is said; a template and an SQLSTATE, a time bucket,
        a shape's hash, or a request's priority.
        """
        strata: dict[str, Mapping[int, tuple[int, ...]]] = {
            "error": {s: (key >> 20, key & 0xFFFFF) for key, s in self._error_of.items()},
            "bucket": {s: (number,) for number, s in self._bucket_of.items()},
            "shape": {s: (shape,) for shape, s in self._shape_of.items()},
            "request": {s: (one,) for s, one in enumerate(self._request_priorities)},
        }
        for name, group in sorted(self._groups.items()):
            yield name, strata.get(name), group.places()

    def held(self) -> int:
        """How many places there are."""
        return sum(group.held() for group in self._groups.values())

    def put(
        self, name: str, strata: Sequence[tuple[int, ...]], ranks: Priorities, units: Ints
    ) -> None:
        """Take places of one group as another's `places` gave them; buckets are of this width."""
        group = self._groups[name]
        if name == "shape":
            numbers = self._strata_of_shapes(np.array(strata, np.uint64)[:, 0])
        elif name == "request":
            place_of = {one: place for place, one in enumerate(self._request_priorities)}
            numbers = np.array([place_of.get(one, -1) for (one,) in strata], np.int64)
        else:
            keys: Ints = np.array(strata, np.int64)
            numbers = keys[:, 0]
            if name == "error":
                numbers = self._strata_of_errors(numbers, keys[:, 1])
            elif name == "bucket":
                numbers = self._strata_of_buckets(numbers)
        stays = np.flatnonzero(numbers >= 0)
        group.offer(numbers[stays], ranks[stays], units[stays])
        group.settle()
        self._coarsen()

    def widen(self, bucket_s: int) -> None:
        """Make time buckets as wide as that at least."""
        while self.bucket_s < bucket_s:
            self._double()

    def _strata_of_errors(self, template: Ints, state: Ints) -> Ints:
        return _numbers(template << 20 | state, self._error_of)

    def _strata_of_buckets(self, buckets: Ints) -> Ints:
        return _numbers(buckets, self._bucket_of)

    def _strata_of_shapes(self, hashes: Priorities) -> Ints:
        """Strata of shapes; -1 for those of large hashes when there are too many."""
        known = self._shape_of
        strata = self._shape_numbers.of(hashes)
        unknown = (strata < 0) & (hashes < self._shape_limit)
        if not unknown.any():
            return strata
        for shape in np.unique(hashes[unknown]).tolist():
            known[shape] = self._shapes.new_stratum()
        if len(known) > SHAPES_AT_MOST:
            gone = sorted(known)[SHAPES_AT_MOST:]
            self._shape_limit = np.uint64(gone[0])
            self._shapes.drop([known.pop(shape) for shape in gone])
        self._shape_numbers = Numbers()
        self._shape_numbers.put(np.array([*known], np.uint64), np.array([*known.values()]))
        return self._shape_numbers.of(hashes)

    def _coarsen(self) -> None:
        while len(self._bucket_of) > BUCKETS_AT_MOST:
            self._double()

    def _double(self) -> None:
        self.bucket_s *= 2
        numbers = self._bucket_of
        halves = {number // 2 for number in numbers}
        of_half = {half: place for place, half in enumerate(sorted(halves))}
        new = np.zeros(max(numbers.values(), default=-1) + 1, np.int64)
        for number, stratum in numbers.items():
            new[stratum] = of_half[number // 2]
        self._buckets.renumber(new)
        self._bucket_of = of_half


class Sampler(Strata):
    """Takes units in any order; `kept` gives those that stay."""

    def __init__(self, *, k: int, store: Store, requests: Sequence[int] = ()) -> None:
        super().__init__(k=k, requests=requests)
        self._store = store

    def take(self, units: Units, identities: Priorities, request: Ints | None = None) -> None:
        """Take units; `identities` are the templates' ids as numbers.

        `request` is the place of the kept request that ran each, as far as that is known; else -1.
        """
        if not len(units):
            return
        found, of_unit = units.executions, _of_unit(units)
        priority = units.priority[of_unit]
        wanted = np.zeros(len(units), np.bool_)
        offers: list[tuple[BottomK, Ints, Priorities, Ints]] = []

        def want(group: BottomK, strata: Ints, ranks: Priorities, unit: Ints) -> None:
            below = group.wanted(strata, ranks, unit)
            if below.size:
                wanted[unit[below]] = True
                offers.append((group, strata[below], ranks[below], unit[below]))

        want(self._templates, found.template, priority, of_unit)
        want(self._slowest, found.template, slowness(found.spent_us, priority), of_unit)
        failed = np.flatnonzero(found.state >= 0)
        if failed.size:
            strata = self._strata_of_errors(found.template[failed], found.state[failed])
            want(self._errors, strata, priority[failed], of_unit[failed])
        every = np.arange(len(units))
        buckets = found.start_us[units.first] // 1_000_000 // self.bucket_s
        want(self._buckets, self._strata_of_buckets(buckets), units.priority, every)
        shaped = self._strata_of_shapes(shapes(found, units.first, identities))
        in_shape = np.flatnonzero(shaped >= 0)
        want(self._shapes, shaped[in_shape], units.priority[in_shape], in_shape)
        if request is not None:
            linked = np.flatnonzero(request >= 0)
            want(self._requests, request[linked], units.priority[linked], linked)
        chosen = np.flatnonzero(wanted)
        numbers = np.full(len(units), -1)
        numbers[chosen] = self._store.add(units, chosen)
        for group, strata, ranks, unit in offers:
            group.offer(strata, ranks, numbers[unit])
        self._settle()

    def kept(self) -> tuple[Ints, Weights]:
        """The units that stay, by number in the store and in order of start, and their weights."""
        numbers, weights = super().kept()
        order = self._store.in_order(numbers)
        return numbers[order], weights[order]

    def _settle(self) -> None:
        self._coarsen()
        for group in self._groups.values():
            group.settle_if_due()
        if self._store.is_loose():
            units = [group.units() for group in self._groups.values()]
            self._store.keep(np.unique(np.concatenate(units)))


def shape_id(templates: Sequence[str]) -> str:
    """16 hex digits over a sequence of template ids."""
    return hashlib.blake2b(",".join(templates).encode(), digest_size=8).hexdigest()


def _of_unit(units: Units) -> Ints:
    sizes = np.diff(np.append(units.first, len(units.executions)))
    return np.repeat(np.arange(len(units)), sizes)


def _numbers(values: Ints, known: dict[int, int]) -> Ints:
    """Strata of values, new ones numbered on."""
    distinct, places = np.unique(values, return_inverse=True)
    strata = [known.setdefault(value, len(known)) for value in distinct.tolist()]
    return np.array(strata, np.int64)[places]
