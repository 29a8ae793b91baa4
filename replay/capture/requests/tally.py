"""Exact figures of every request, sampled or not, by route."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from replay.capture.concurrency import Concurrency
from replay.capture.formats.columns import Ints
from replay.capture.requests.columns import UNTIMED, Requests
from replay.capture.requests.routes import Routes

SLICES_AT_MOST = 128
_STATUSES = 1 << 12
_SLICE_BITS = 38
_BUCKETS = 1 << 10
_NEVER = np.iinfo(np.int64).max


@dataclass(slots=True)
class Figures:
    """What is known exactly of one route."""

    statuses: Counter[int] = field(default_factory=Counter)
    histogram: Counter[int] = field(default_factory=Counter)
    slices: Counter[int] = field(default_factory=Counter)
    total_us: int = 0
    timed: int = 0
    size: int = 0
    first_us: int = _NEVER
    last_us: int = -1

    @property
    def calls(self) -> int:
        """All requests."""
        return self.statuses.total()


class Tally:
    """Counts requests; `take` is called once for each."""

    def __init__(self) -> None:
        self._statuses: Counter[int] = Counter()
        self._histogram: Counter[int] = Counter()
        self._slices: Counter[int] = Counter()
        self._sums: dict[int, list[int]] = {}
        self._concurrency = Concurrency()
        self._sessions: Ints = np.empty(0, np.uint64).view(np.int64)
        self.slice_s = 1  # a power of two
        self.requests = 0
        self.timed = 0
        self.begin_us = _NEVER
        self.end_us = 0

    def take(self, found: Requests, routes: Ints, sessions: Ints) -> None:
        """Count requests of those routes and sessions."""
        if not len(found):
            return
        timed = found.duration_us != UNTIMED
        took_us = np.where(timed, found.duration_us, 0)
        self.requests += len(found)
        self.timed += int(timed.sum())
        self.begin_us = min(self.begin_us, int(found.at_us.min()))
        self.end_us = max(self.end_us, int((found.at_us + took_us).max()))
        self._concurrency.add(found.at_us, found.at_us + took_us)
        self._sessions = np.union1d(self._sessions, sessions)
        _add(self._statuses, routes * _STATUSES + np.clip(found.status, 0, _STATUSES - 1))
        _add(self._histogram, (routes * _BUCKETS + duration_buckets(took_us))[timed])
        self._slice(routes, found.at_us // 1_000_000)
        self._sum(found, routes, timed, took_us)

    def by_route(self, routes: Routes) -> dict[int, Figures]:
        """Every route's figures, by its number now."""
        found: dict[int, Figures] = {}

        def of(number: int) -> Figures:
            return found.setdefault(int(routes.now(np.array([number]))[0]), Figures())

        for number, sums in self._sums.items():
            figures = of(number)
            figures.total_us += sums[0]
            figures.timed += sums[1]
            figures.size += sums[2]
            figures.first_us = min(figures.first_us, sums[3])
            figures.last_us = max(figures.last_us, sums[4])
        for counted, unit, name in (
            (self._statuses, _STATUSES, "statuses"),
            (self._histogram, _BUCKETS, "histogram"),
            (self._slices, 1 << _SLICE_BITS, "slices"),
        ):
            for key, count in counted.items():
                getattr(of(key // unit), name)[key % unit] += count
        return found

    def slices(self) -> Iterator[int]:
        """Numbers of the slices of the window, from the first to the last."""
        first = self.begin_us // 1_000_000 // self.slice_s
        yield from range(first, self.end_us // 1_000_000 // self.slice_s + 1)

    @property
    def sessions(self) -> int:
        """How many different ones."""
        return int(self._sessions.size)

    def peak_concurrency(self) -> int:
        """The most requests in flight at once."""
        return self._concurrency.peak()

    def _slice(self, routes: Ints, seconds: Ints) -> None:
        while (self.end_us - self.begin_us) // 1_000_000 // self.slice_s >= SLICES_AT_MOST:
            self.slice_s *= 2
            halved: Counter[int] = Counter()
            for key, count in self._slices.items():
                route, number = divmod(key, 1 << _SLICE_BITS)
                halved[(route << _SLICE_BITS) + number // 2] += count
            self._slices = halved
        _add(self._slices, (routes << _SLICE_BITS) + seconds // self.slice_s)

    def _sum(self, found: Requests, routes: Ints, timed: Ints, took_us: Ints) -> None:
        order = np.argsort(routes, kind="stable")
        numbers, first = np.unique(routes[order], return_index=True)
        columns = (
            np.add.reduceat(took_us[order], first),
            np.add.reduceat(timed[order].astype(np.int64), first),
            np.add.reduceat(found.size[order], first),
            np.minimum.reduceat(found.at_us[order], first),
            np.maximum.reduceat(found.at_us[order], first),
        )
        for number, *values in zip(numbers.tolist(), *(c.tolist() for c in columns), strict=True):
            sums = self._sums.setdefault(number, [0, 0, 0, _NEVER, -1])
            for place in range(3):
                sums[place] += values[place]
            sums[3], sums[4] = min(sums[3], values[3]), max(sums[4], values[4])


def duration_buckets(duration_us: Ints) -> Ints:
    """`replay.workload.duration_bucket` of each."""
    value = np.maximum(duration_us, 1)
    whole = np.frexp(value.astype(np.float64))[1].astype(np.int64) - 1
    return whole * 8 + ((value << 3) >> whole) - 8


def _add(counted: Counter[int], keys: Ints) -> None:
    distinct, counts = np.unique(keys, return_counts=True)
    for key, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        counted[key] += count
