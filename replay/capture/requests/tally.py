"""Exact figures of every request, sampled or not, by route."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from replay.capture.concurrency import Concurrency
from replay.capture.formats.columns import Ints
from replay.capture.kernels import ONE, Number, compiled, inlined, place
from replay.capture.requests.columns import UNTIMED, Requests
from replay.capture.requests.counted import Counts, Seen, count
from replay.capture.requests.routes import Routes
from replay.capture.words import EIGHT, count_of_bits

SLICES_AT_MOST = 128
_STATUSES = 1 << 12
_SLICE_BITS = 38
_BUCKETS = 1 << 10
_NEVER = np.iinfo(np.int64).max
_ROUTES = 64  # room for as many, at first
_TOTAL, _TIMED, _SIZE, _FIRST, _LAST = range(5)  # sums of a route


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
        self._statuses, self._histogram, self._slices = Counts(), Counts(), Counts()
        self._sums: Ints = _no_sums(_ROUTES)
        self._concurrency = Concurrency()
        self._sessions = Seen()
        self.slice_s = 1  # a power of two
        self.requests = 0
        self.timed = 0
        self.begin_us = _NEVER
        self.end_us = 0

    def take(self, found: Requests, routes: Ints, sessions: Ints) -> None:
        """Count requests of those routes and sessions."""
        if not len(found):
            return
        self.requests += len(found)
        flown = np.empty((2, len(found)), np.int64)
        count, begin_us, end_us = _fly(found.at_us, found.duration_us, flown)
        self.begin_us, self.end_us = min(self.begin_us, begin_us), max(self.end_us, end_us)
        self._concurrency.add(flown[0, :count], flown[1, :count])
        self._sessions.add(sessions.view(np.uint64))
        self._widen()
        self._grow(int(routes.max()) + 1)
        tables = self._statuses, self._histogram, self._slices
        for counts in tables:
            counts.room(len(found))
        timed, *news = _count(
            routes,
            (found.at_us, found.duration_us, found.status, found.size),
            self.slice_s * 1_000_000,
            (self._statuses.keys, self._statuses.counts),
            (self._histogram.keys, self._histogram.counts),
            (self._slices.keys, self._slices.counts),
            self._sums,
        )
        self.timed += timed
        for counts, more in zip(tables, news, strict=True):
            counts.held += more

    def by_route(self, routes: Routes) -> dict[int, Figures]:
        """Every route's figures, by its number now."""
        found: dict[int, Figures] = {}
        now = routes.now(np.arange(len(routes.keys))).tolist()
        for number in np.flatnonzero(self._sums[:, _LAST] >= 0).tolist():
            figures = found.setdefault(now[number], Figures())
            total_us, timed, size, first_us, last_us = self._sums[number].tolist()
            figures.total_us += total_us
            figures.timed += timed
            figures.size += size
            figures.first_us = min(figures.first_us, first_us)
            figures.last_us = max(figures.last_us, last_us)
        for counted, unit, name in (
            (self._statuses, _STATUSES, "statuses"),
            (self._histogram, _BUCKETS, "histogram"),
            (self._slices, 1 << _SLICE_BITS, "slices"),
        ):
            keys, calls = counted.items()
            for key, more in zip(keys.tolist(), calls.tolist(), strict=True):
                getattr(found[now[key // unit]], name)[key % unit] += more
        return found

    def slices(self) -> Iterator[int]:
        """Numbers of the slices of the window, from the first to the last."""
        first = self.begin_us // 1_000_000 // self.slice_s
        yield from range(first, self.end_us // 1_000_000 // self.slice_s + 1)

    @property
    def sessions(self) -> int:
        """How many different ones."""
        return self._sessions.count

    def peak_concurrency(self) -> int:
        """The most requests in flight at once."""
        return self._concurrency.peak()

    def _widen(self) -> None:
        """Make slices as wide as they must be for there to be few."""
        slice_s = self.slice_s
        while (self.end_us - self.begin_us) // 1_000_000 // slice_s >= SLICES_AT_MOST:
            slice_s *= 2
        if slice_s > self.slice_s:
            keys, counts = self._slices.items()
            route, number = keys >> _SLICE_BITS, keys & (1 << _SLICE_BITS) - 1
            number //= slice_s // self.slice_s
            self._slices.rekeyed((route << _SLICE_BITS) + number, counts)
            self.slice_s = slice_s

    def _grow(self, routes: int) -> None:
        if routes > len(self._sums):
            self._sums = np.concatenate((self._sums, _no_sums(2 * routes - len(self._sums))))


def _no_sums(routes: int) -> Ints:
    """Of each route: total µs, how many are timed, bytes, first and last begin."""
    sums = np.zeros((routes, _LAST + 1), np.int64)
    sums[:, _FIRST], sums[:, _LAST] = _NEVER, -1
    return sums


@compiled
def _fly(begins_us: Ints, took_us: Ints, flown: Ints) -> tuple[Number, Number, Number]:
    """How many took time, the first begin and the last end; what took none was in flight with no other."""
    count, first_us, last_us = 0, begins_us[0], begins_us[0]
    for row in range(begins_us.size):
        end_us = begins_us[row] + max(took_us[row], np.int64(0))
        first_us, last_us = min(first_us, begins_us[row]), max(last_us, end_us)
        if end_us > begins_us[row]:
            flown[0, count], flown[1, count] = begins_us[row], end_us
            count += 1
    return count, first_us, last_us


@compiled
def _count(
    routes: Ints,
    columns: tuple[Ints, Ints, Ints, Ints],
    slice_us: Number,
    statuses: tuple[Ints, Ints],
    histogram: tuple[Ints, Ints],
    slices: tuple[Ints, Ints],
    sums: Ints,
) -> tuple[Number, Number, Number, Number]:
    """Count all that is counted by route; how many are timed, and how many keys of each are new."""
    begins_us, durations_us, status, sizes = columns
    all_timed, one, two, three = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for row in range(routes.size):
        route, at_us, took_us = routes[row], begins_us[row], durations_us[row]
        code = min(max(status[row], np.int64(0)), np.int64(_STATUSES - 1))
        one += count(route * _STATUSES + code, 1, statuses[0], statuses[1])
        three += count((route << _SLICE_BITS) + at_us // slice_us, 1, slices[0], slices[1])
        if took_us != UNTIMED:
            two += count(route * _BUCKETS + _bucket(took_us), 1, histogram[0], histogram[1])
            sums[route, _TOTAL] += took_us
            sums[route, _TIMED] += 1
            all_timed += 1
        sums[route, _SIZE] += sizes[row]
        sums[route, _FIRST] = min(sums[route, _FIRST], at_us)
        sums[route, _LAST] = max(sums[route, _LAST], at_us)
    return all_timed, one, two, three


@inlined
def _bucket(duration_us: Number) -> Number:
    """`replay.workload.duration_bucket`."""
    value = place(max(duration_us, np.int64(1)))
    bits = value
    for shift in (1, 2, 4, 8, 16, 32):
        bits |= bits >> place(shift)
    whole = count_of_bits(bits) - ONE
    return np.int64(whole * EIGHT + ((value << place(3)) >> whole) - EIGHT)
