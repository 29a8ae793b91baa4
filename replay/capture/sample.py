"""Coordinated bottom-k over whole units: a sample that never loses a rare path.

Every unit has one priority, hashed from its session and line. Strata overlap: every template, every
time bucket, (template, error), (template, slowest few), every shape. Each keeps its k units of
smallest priority, and a unit stays while any stratum wants it. With τ the (k+1)-th smallest
priority of a stratum, a unit's weight is 1 / max τ over the strata that kept it (rank conditioning:
Cohen and Kaplan 2009, "Leveraging discarded samples"); the slowest are kept for certain, so theirs
is 1. Estimates are unbiased, a template in n units keeps min(n, k) of them whole, the sample does
not depend on the order of the input, and samples of parts merge into the sample of the whole.
"""

import hashlib
import heapq
from collections.abc import Iterator
from itertools import count, groupby
from typing import TypeVar

from replay.capture.units import PRIORITIES, Unit

_SLOWEST = 4  # units a template
_BUCKETS_AT_MOST = 128  # time buckets: their width doubles when there are more
_SHAPES_AT_MOST = 1024  # shapes with a stratum: those of the smallest hashes
_SHAPES_CACHED = 65_536
_ties = count()
K = TypeVar("K")


class _Stratum:
    """The k smallest priorities seen, and the next one, which is τ."""

    __slots__ = ("entries", "k", "limit")

    def __init__(self, k: int) -> None:
        self.k = k
        self.limit = PRIORITIES  # τ: a unit whose priority is not below it is not wanted
        self.entries: list[tuple[int, int, Unit]] = []  # heap, largest priority first

    def offer(self, unit: Unit) -> None:
        """Take a unit whose priority is below the limit."""
        entry = (-unit.priority, next(_ties), unit)
        if len(self.entries) > self.k:
            heapq.heapreplace(self.entries, entry)  # τ so far goes: it is larger
            self.limit = -self.entries[0][0]
            return
        heapq.heappush(self.entries, entry)
        if len(self.entries) > self.k:
            self.limit = -self.entries[0][0]

    def merge(self, other: "_Stratum") -> None:
        for _, _, unit in other.entries:
            if unit.priority < self.limit:
                self.offer(unit)

    def kept(self) -> Iterator[Unit]:
        return (unit for _, _, unit in self.entries if unit.priority < self.limit)


_NOTHING = _Stratum(0)
_NOTHING.limit = 0  # the stratum of a shape that has none


class _Slowest:
    """The few units in which a template took longest."""

    __slots__ = ("entries", "floor_us")

    def __init__(self) -> None:
        self.floor_us = -1
        self.entries: list[tuple[int, int, int, Unit]] = []  # heap, shortest first

    def offer(self, duration_us: int, unit: Unit) -> None:
        heapq.heappush(self.entries, (duration_us, unit.priority, next(_ties), unit))
        if len(self.entries) > _SLOWEST:
            heapq.heappop(self.entries)
        if len(self.entries) == _SLOWEST:
            self.floor_us = self.entries[0][0] - 1  # equal durations: the priority decides


class _Wanted:
    """Where the units of one sequence of templates may be wanted."""

    __slots__ = ("limit", "slowest", "strata")

    def __init__(self, strata: tuple[_Stratum, ...], slowest: tuple[_Slowest, ...]) -> None:
        self.strata = strata
        self.slowest = slowest  # one an execution
        self.limit = PRIORITIES  # no stratum wants a priority from here on; limits only fall

    def offer(self, unit: Unit) -> None:
        priority, limit = unit.priority, 0
        for stratum in self.strata:
            if priority < stratum.limit:
                stratum.offer(unit)
            if stratum.limit > limit:
                limit = stratum.limit
        self.limit = limit


class Sampler:
    """Takes units in any order; `kept` gives those that stay, with their weights."""

    def __init__(self, *, k: int) -> None:
        self._k = k
        self._shape_k = max(1, k // 8)
        self._shape_limit = "g"  # above every hash
        self._wanted: dict[tuple[str, ...], _Wanted] = {}
        self.templates: dict[str, _Stratum] = {}
        self.errors: dict[tuple[str, str], _Stratum] = {}
        self.slowest: dict[str, _Slowest] = {}
        self.buckets: dict[int, _Stratum] = {}
        self.bucket_us = 1_000_000
        self.shapes: dict[str, _Stratum] = {}

    def offer(self, unit: Unit) -> None:
        """Take a unit."""
        executions = unit.executions
        priority = unit.priority
        templates = tuple([execution.template for execution in executions])
        wanted = self._wanted.get(templates) or self._want(templates)
        if priority < wanted.limit:
            wanted.offer(unit)
        number = executions[0].start_us // self.bucket_us
        bucket = self.buckets.get(number)
        if bucket is None:
            bucket = self.buckets[number] = _Stratum(self._k)
            bucket.offer(unit)
            self._coarsen()
        elif priority < bucket.limit:
            bucket.offer(unit)
        for execution, slowest in zip(executions, wanted.slowest, strict=True):
            if execution.duration_us > slowest.floor_us:
                slowest.offer(execution.duration_us, unit)
            if execution.sqlstate:
                self._failed((execution.template, execution.sqlstate), unit)

    def merge(self, other: "Sampler") -> None:
        """Take all that another sampler took; it must have the same k and seed of priorities."""
        while self.bucket_us < other.bucket_us:
            self._double()
        for number, bucket in other.buckets.items():
            ours = self.bucket_us // other.bucket_us
            _of(self.buckets, number // ours, self._k).merge(bucket)
        self._coarsen()
        for template, stratum in other.templates.items():
            _of(self.templates, template, self._k).merge(stratum)
        for key, stratum in other.errors.items():
            _of(self.errors, key, self._k).merge(stratum)
        for template, slow in other.slowest.items():
            slowest = self.slowest.setdefault(template, _Slowest())
            for duration_us, _, _, unit in slow.entries:
                slowest.offer(duration_us, unit)
        for name, stratum in other.shapes.items():
            self._shape(name).merge(stratum)

    def kept(self) -> list[tuple[Unit, float]]:
        """Units that stay and their weights, by start."""
        limits: dict[int, int] = {}
        units: dict[int, Unit] = {}
        groups = (self.templates, self.errors, self.buckets, self.shapes)
        for stratum in (stratum for group in groups for stratum in group.values()):
            for unit in stratum.kept():
                units[id(unit)] = unit
                limits[id(unit)] = max(limits.get(id(unit), 0), stratum.limit)
        for slowest in self.slowest.values():
            for *_, unit in slowest.entries:
                units[id(unit)] = unit
                limits[id(unit)] = PRIORITIES
        weighted = [(unit, PRIORITIES / limits[key]) for key, unit in units.items()]
        return sorted(weighted, key=lambda kept: (kept[0].start_us, kept[0].priority))

    def _failed(self, key: tuple[str, str], unit: Unit) -> None:
        stratum = _of(self.errors, key, self._k)
        if unit.priority < stratum.limit and all(unit is not u for *_, u in stratum.entries):
            stratum.offer(unit)

    def _want(self, templates: tuple[str, ...]) -> _Wanted:
        """The strata of a sequence of templates: each template's, and its shape's."""
        for template in templates:
            self.slowest.setdefault(template, _Slowest())
        # Loops of different lengths are one shape.
        shape = self._shape(shape_id([name for name, _ in groupby(templates)]))
        strata = [_of(self.templates, name, self._k) for name in dict.fromkeys(templates)]
        wanted = _Wanted((*strata, shape), tuple(self.slowest[name] for name in templates))
        if len(self._wanted) >= _SHAPES_CACHED:
            self._wanted.clear()
        self._wanted[templates] = wanted
        return wanted

    def _shape(self, name: str) -> _Stratum:
        stratum = self.shapes.get(name)
        if stratum is not None:
            return stratum
        if name >= self._shape_limit:
            return _NOTHING
        self.shapes[name] = _Stratum(self._shape_k)
        if len(self.shapes) > _SHAPES_AT_MOST:
            self._shape_limit = max(self.shapes)
            del self.shapes[self._shape_limit]
            self._wanted.clear()
        return self.shapes.get(name, _NOTHING)

    def _coarsen(self) -> None:
        while len(self.buckets) > _BUCKETS_AT_MOST:
            self._double()

    def _double(self) -> None:
        self.bucket_us *= 2
        narrow, self.buckets = self.buckets, {}
        for number, bucket in narrow.items():
            _of(self.buckets, number // 2, self._k).merge(bucket)


def shape_id(templates: list[str]) -> str:
    """16 hex digits over a sequence of template ids."""
    return hashlib.blake2b(",".join(templates).encode(), digest_size=8).hexdigest()


def _of(strata: dict[K, _Stratum], key: K, k: int) -> _Stratum:
    stratum = strata.get(key)
    if stratum is None:
        stratum = strata[key] = _Stratum(k)
    return stratum
