"""A sample that loses no route: coordinated bottom-k over requests.

Every request has one priority, hashed from where it stands in its log. Strata overlap: every route
and class of status, the slowest few of a route, every bucket of time; each keeps its k smallest, and
weights are those of the SQL sample (`capture.sample`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from replay.capture.bottomk import BUCKETS_AT_MOST, SLOWEST, BottomK, Weights, weights_of
from replay.capture.formats.columns import Ints
from replay.capture.kernels import Number, compiled
from replay.capture.priority import NEVER, Priorities
from replay.capture.ranks import TIE_BITS, rank_of, slowness
from replay.capture.requests.columns import Requests
from replay.capture.requests.routes import Routes
from replay.workload import Place

BODY_AT_MOST = 16 << 10  # bytes; a longer one is not kept
_CLASSES = 10  # of status: 2 for 204
STATUS, SLOWEST_OF, BUCKET = "status", "slowest", "bucket"
"""Names of the strata's groups: a route and a class of status, a route, a bucket of time."""
_ENOUGH = 8  # times as many as a bucket keeps are looked at
_LOOSE = 2  # kept rows are this many times what is needed, at most


class Kept(NamedTuple):
    """A request as it stands in the log."""

    route: int  # as numbered when it was read
    at_us: int
    duration_us: int
    status: int
    size: int
    method: bytes
    target: bytes
    agent: bytes
    session: int
    trace: bytes
    request_id: bytes
    priority: int
    content_type: bytes
    body: bytes
    headers: bytes


def groups(k: int) -> dict[str, BottomK]:
    """The groups of strata of a sample, by name."""
    return {STATUS: BottomK(k), SLOWEST_OF: BottomK(SLOWEST), BUCKET: BottomK(max(1, k // 4))}


class Sample:
    """Takes requests in any order; `kept` gives those that stay."""

    def __init__(self, *, k: int) -> None:
        self._groups = groups(k)
        self._routes, self._slowest = self._groups[STATUS], self._groups[SLOWEST_OF]
        self._buckets = self._groups[BUCKET]
        self._bucket_of: dict[int, int] = {}
        self._rows: dict[int, Kept] = {}
        self._count = 0
        self.bucket_s = 1  # a power of two

    def take(self, found: Requests, routes: Ints, sessions: Ints, priorities: Priorities) -> None:
        """Offer requests to all strata."""
        count = len(found)
        if not count:
            return
        units = np.arange(self._count, self._count + count)
        self._count += count
        buckets, sizes = self._numbered(found.at_us)
        wanted = np.zeros(count, np.bool_)
        some = self._maybe(found, routes, priorities, buckets, sizes)
        for group, rows in zip((self._routes, self._slowest, self._buckets), some, strict=True):
            ranks, strata = priorities[rows], routes[rows]
            if group is self._routes:
                strata = strata * _CLASSES + found.status[rows] // 100 % _CLASSES
            elif group is self._slowest:
                ranks = slowness(found.duration_us[rows], ranks)
            else:
                strata = buckets[rows]
            below = group.wanted(strata, ranks, units[rows])
            if below.size:
                wanted[rows[below]] = True
                group.offer(strata[below], ranks[below], units[rows[below]])
        self._hold(found, routes, sessions, priorities, np.flatnonzero(wanted))
        self._settle()

    def _maybe(
        self, found: Requests, routes: Ints, priorities: Priorities, buckets: Ints, sizes: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """For each group the rows that it may want: nearly none, once there were many.

        A bucket is new with nearly every block, and comes with many rows, so its limit is first set to what
        lets several times as many by as it keeps.
        """
        k, strata = self._buckets.k, int(routes.max()) + 1
        own = self._buckets.limits(sizes.size)[: sizes.size]
        enough = np.maximum(sizes // (_ENOUGH * (k + 1)), 1).astype(np.uint64)
        limit = np.minimum(own, NEVER // enough)
        limits = self._routes.limits(strata * _CLASSES), self._slowest.limits(strata), limit
        rows, counts = np.empty((3, routes.size), np.int64), np.zeros(3, np.int64)
        columns = routes, found.status, found.duration_us, buckets
        _below(columns, priorities, limits, rows, counts)
        by_bucket = np.bincount(buckets[rows[2, : counts[2]]], minlength=sizes.size)
        too_few = (by_bucket <= k) & (limit < own)
        if too_few.any():
            limit[too_few] = own[too_few]
            _below(columns, priorities, limits, rows, counts)
        one, two, three = (of[:count] for of, count in zip(rows, counts.tolist(), strict=True))
        return one, two, three

    def moved(self, routes: Routes) -> None:
        """Follow routes that have become others."""
        count = len(routes.keys)
        now = routes.now(np.arange(count))
        by_class = (now[:, None] * _CLASSES + np.arange(_CLASSES)).ravel()
        self._routes.renumber(by_class)
        self._slowest.renumber(now)

    def places(self, ids: Sequence[str], rows: Sequence[Kept]) -> Iterator[Place]:
        """All places; `ids` are the routes' by number, `rows` the kept ones in their order."""
        place_of = {unit: place for place, unit in enumerate(self._units_of(rows))}
        bucket_of = {stratum: number for number, stratum in self._bucket_of.items()}
        name: dict[str, Callable[[int], str]] = {
            STATUS: lambda stratum: f"{ids[stratum // _CLASSES]} {stratum % _CLASSES}",
            SLOWEST_OF: lambda stratum: ids[stratum],
            BUCKET: lambda stratum: str(bucket_of[stratum]),
        }
        for group, bottom in sorted(self._groups.items()):
            found = bottom.places()
            strata = sorted(
                (name[group](number), begin, end) for number, begin, end in found.strata
            )
            for stratum, begin, end in strata:
                for at in range(begin, end):
                    yield Place(
                        group=group,
                        stratum=stratum,
                        rank=int(found.ranks[at]),
                        transaction=place_of.get(int(found.units[at])),
                    )

    def _units_of(self, rows: Sequence[Kept]) -> Iterator[int]:
        unit_of = {id(row): unit for unit, row in self._rows.items()}
        return (unit_of[id(row)] for row in rows)

    def kept(self) -> tuple[Sequence[Kept], Weights]:
        """The requests that stay, in order of their begin, and their weights."""
        parts = [self._routes.kept(), self._slowest.certain(TIE_BITS), self._buckets.kept()]
        units, weights = weights_of(parts)
        rows = [self._rows[unit] for unit in units.tolist()]
        order = sorted(range(len(rows)), key=lambda at: (rows[at].at_us, rows[at].priority))
        return [rows[at] for at in order], weights[order]

    def _hold(
        self,
        found: Requests,
        routes: Ints,
        sessions: Ints,
        priorities: Priorities,
        places: Ints,
    ) -> None:
        def told(*names: str) -> Iterator[list[bytes]]:
            return (getattr(found, name).only(places).to_pylist() for name in names)

        columns = (
            routes[places].tolist(),
            *(
                getattr(found, n)[places].tolist()
                for n in ("at_us", "duration_us", "status", "size")
            ),
            *told("method", "target", "agent"),
            sessions[places].tolist(),
            *told("trace", "request_id"),
            priorities[places].tolist(),
            *told("content_type"),
            *([body if len(body) <= BODY_AT_MOST else b"" for body in b] for b in told("body")),
            *told("headers"),
        )
        first = self._count - len(found)
        for place, *row in zip(places.tolist(), *columns, strict=True):
            self._rows[first + place] = Kept._make(row)

    def _numbered(self, at_us: Ints) -> tuple[Ints, Ints]:
        """The stratum of each moment's bucket, and how many each has; all become wider where there are many."""
        known = self._bucket_of
        distinct, places = np.empty(BUCKETS_AT_MOST, np.int64), np.empty_like(at_us)
        while True:
            count = _buckets(at_us, self.bucket_s * 1_000_000, distinct, places)
            buckets = distinct[:count].tolist()
            if count >= 0 and len(known.keys() | set(buckets)) <= BUCKETS_AT_MOST:
                break
            known = self._coarsen(known)
        strata = [known.setdefault(bucket, len(known)) for bucket in buckets]
        found: Ints = np.array(strata, np.int64)[places]
        return found, np.bincount(found, minlength=len(known))

    def _settle(self) -> None:
        for group in (self._routes, self._slowest, self._buckets):
            group.settle_if_due()
        needed = sum(group.units().size for group in (self._routes, self._slowest, self._buckets))
        if len(self._rows) > _LOOSE * needed + 1:
            units = [group.units() for group in (self._routes, self._slowest, self._buckets)]
            self._rows = {
                unit: self._rows[unit] for unit in np.unique(np.concatenate(units)).tolist()
            }

    def _coarsen(self, numbers: Mapping[int, int]) -> dict[int, int]:
        self.bucket_s *= 2
        halves = {half: at for at, half in enumerate(sorted({number // 2 for number in numbers}))}
        new = np.zeros(max(numbers.values(), default=-1) + 1, np.int64)
        for number, stratum in numbers.items():
            new[stratum] = halves[number // 2]
        self._buckets.renumber(new)
        self._bucket_of = halves
        return halves


@compiled
def _buckets(at_us: Ints, width_us: Number, distinct: Ints, places: Ints) -> Number:
    """How many buckets there are, and which each moment is of; below 0 where there is no room for all."""
    count, place = 0, 0
    begin_us, end_us = np.int64(0), np.int64(0)
    for row in range(at_us.size):
        moment_us = at_us[row]
        if moment_us < begin_us or moment_us >= end_us:
            bucket = moment_us // width_us
            begin_us, end_us = bucket * width_us, (bucket + 1) * width_us
            place = count - 1  # most come about in order
            while place >= 0 and distinct[place] != bucket:
                place -= 1
            if place < 0:
                if count == distinct.size:
                    return -1
                distinct[count] = bucket
                place = count
                count += 1
        places[row] = place
    return count


@compiled
def _below(
    columns: tuple[Ints, Ints, Ints, Ints],
    priorities: Priorities,
    limits: tuple[Priorities, Priorities, Priorities],
    rows: Ints,
    counts: Ints,
) -> None:
    """Rows whose ranks are below the limits of their strata, by group."""
    routes, status, durations_us, buckets = columns
    one, two, three = 0, 0, 0
    for row in range(priorities.size):
        route, priority = routes[row], priorities[row]
        if priority < limits[0][route * _CLASSES + status[row] // 100 % _CLASSES]:
            rows[0, one] = row
            one += 1
        if rank_of(durations_us[row], priority) < limits[1][route]:
            rows[1, two] = row
            two += 1
        if priority < limits[2][buckets[row]]:
            rows[2, three] = row
            three += 1
    counts[0], counts[1], counts[2] = one, two, three
