"""Requests of several workloads into one: what a capture of all their logs together would have given.

Counts add up, and samples merge by their places, as those of transactions do (`capture.merge`). Not exact
are, and are said to be: sessions, of which one may have come to several hosts, and the most requests at
once; and routes with `{name}` where another part has words at the same place.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from replay.capture import rarity
from replay.capture.bottomk import BUCKETS_AT_MOST, BottomK, weights_of
from replay.capture.conflicts import epoch_us
from replay.capture.ranks import TIE_BITS
from replay.capture.requests.sample import BUCKET, SLOWEST_OF, STATUS, groups
from replay.capture.requests.tally import SLICES_AT_MOST
from replay.errors import InputError
from replay.requests import BY_TIME, Request, RequestLog, Requests, Route
from replay.workload import Place, Skip

_MERGED = (
    "requests were merged: sessions that came to several hosts are counted by each, and the most requests "
    "at once is the sum of theirs"
)


@dataclass(frozen=True, slots=True)
class _Unit:
    at_us: int  # epoch
    part: int
    request: Request


def merge_requests(parts: Mapping[str, Requests | None], *, per_stratum: int) -> Requests | None:
    """The requests of all, without links; None where no part has any. Parts are given by their names.

    Raises InputError where two hold the same requests.
    """
    named = {name: part for name, part in parts.items() if part is not None}
    if not named:
        return None
    ordered = sorted(named.items(), key=lambda item: (item[1].log.begin, item[0]))
    held = [part for _, part in ordered]
    log = _log(held, [name for name in parts if name not in named])
    routes = _routes(held, log)
    units = _units(ordered)
    kept, places, bucket_s = _sample(held, units, per_stratum)
    kept = _calibrated(kept, routes)
    number = Counter(request.route for request in kept)
    return Requests(
        log=replace(log, bucket_s=bucket_s),
        routes=tuple(replace(route, kept=number[route.id]) for route in routes),
        kept=kept,
        places=places,
    )


def identity(at_us: int, request: Request) -> tuple[int, int, str]:
    """What tells one request from all others, whichever part holds it; `at_us` is epoch."""
    return at_us, request.priority, request.target


def begins_us(part: Requests) -> Iterator[tuple[int, Request]]:
    """A part's requests, each with its begin in epoch µs."""
    begin_us = epoch_us(part.log.begin)
    return ((begin_us + request.start_us, request) for request in part.kept)


def _log(parts: Sequence[Requests], without: Sequence[str]) -> RequestLog:
    logs = [part.log for part in parts]
    begin, end = min(log.begin for log in logs), max(log.end for log in logs)
    skipped: dict[str, Skip] = {}
    for skip in chain.from_iterable(log.skipped for log in logs):
        before = skipped.get(skip.reason)
        skipped[skip.reason] = replace(before, count=before.count + skip.count) if before else skip
    notes = [*chain.from_iterable(log.notes for log in logs), *([_MERGED] * (len(logs) > 1))]
    notes += [f"{name} holds no requests" for name in without]
    if any(one.how == BY_TIME for part in parts for one in part.ran):
        notes.append(
            "what routes run is known by time: found in each workload by itself, and summed"
        )
    names = [{route.route for route in part.routes if "{name}" in route.route} for part in parts]
    if any(found != names[0] for found in names):
        notes.append(
            "{name} stands in routes of some of the merged workloads and not of others: words that it "
            "would have covered there stay routes; capture the logs together, or name the routes"
        )
    return RequestLog(
        format=", ".join(
            dict.fromkeys(chain.from_iterable(log.format.split(", ") for log in logs))
        ),
        inputs=tuple(name for log in logs for name in log.inputs),
        begin=begin,
        end=end,
        slice_s=_slice_s(epoch_us(begin), epoch_us(end), max(int(log.slice_s) for log in logs)),
        requests=sum(log.requests for log in logs),
        sessions=sum(log.sessions for log in logs),
        peak_concurrency=max(
            sum(one.peak_concurrency for one in logs if one.begin <= log.begin <= one.end)
            for log in logs
        ),
        skipped=tuple(skip for _, skip in sorted(skipped.items())),
        complete=all(log.complete for log in logs),
        interrupted=any(log.interrupted for log in logs),
        notes=tuple(dict.fromkeys(notes)),
        hosts=tuple(sorted({host for log in logs for host in log.hosts})),
        salt=logs[0].salt,
    )


def _slice_s(begin_us: int, end_us: int, width: int) -> float:
    while (end_us - begin_us) // 1_000_000 // width >= SLICES_AT_MOST:
        width *= 2
    return float(width)


def _routes(parts: Sequence[Requests], log: RequestLog) -> list[Route]:
    grouped: dict[str, list[tuple[Route, RequestLog]]] = defaultdict(list)
    for part in parts:
        for route in part.routes:
            grouped[route.id].append((route, part.log))
    first = epoch_us(log.begin) // 1_000_000 // int(log.slice_s)
    slices = epoch_us(log.end) // 1_000_000 // int(log.slice_s) - first + 1
    routes = [_route(found, log, first, slices) for found in grouped.values()]
    return sorted(routes, key=lambda route: (-route.calls, route.id))


def _route(
    found: Sequence[tuple[Route, RequestLog]], log: RequestLog, first: int, slices: int
) -> Route:
    several = [route for route, _ in found]
    calls = sum(route.calls for route in several)
    of_slices: Counter[int] = Counter()
    for route, of in found:
        begin = epoch_us(of.begin) // 1_000_000 // int(of.slice_s)
        for number, more in route.calls_per_slice:
            of_slices[(begin + number) * int(of.slice_s) // int(log.slice_s) - first] += more
    return replace(
        several[0],
        given=any(route.given for route in several),
        calls=calls,
        statuses=_summed(route.statuses for route in several),
        total_ms=sum(round(route.total_ms * 1000) for route in several) / 1000,
        timed=sum(route.timed for route in several),
        size=sum(route.size for route in several),
        histogram=_summed(route.histogram for route in several),
        calls_per_slice=tuple(sorted(of_slices.items())),
        first_seen=min(route.first_seen for route in several),
        last_seen=max(route.last_seen for route in several),
        rare=rarity.is_rare_share(
            calls=calls, of=log.requests, slices_seen=len(of_slices), slices=slices
        ),
    )


def _summed(parts: Iterable[tuple[tuple[int, int], ...]]) -> tuple[tuple[int, int], ...]:
    counted: Counter[int] = Counter()
    for part in parts:
        counted.update(dict(part))
    return tuple(sorted(counted.items()))


def _units(ordered: Sequence[tuple[str, Requests]]) -> list[_Unit]:
    units, seen = [], dict[tuple[int, int, str], str]()
    for number, (name, part) in enumerate(ordered):
        for at_us, request in begins_us(part):
            before = seen.setdefault(identity(at_us, request), name)
            if before != name:
                raise InputError(
                    f"{name}: holds requests that {before} holds too, and they would count twice; "
                    "capture logs that overlap together, in one call"
                )
            units.append(_Unit(at_us, number, request))
    return sorted(units, key=lambda unit: (unit.at_us, unit.request.priority))


def _sample(
    parts: Sequence[Requests], units: Sequence[_Unit], per_stratum: int
) -> tuple[tuple[Request, ...], tuple[Place, ...], int]:
    bucket_s = _bucket_s(parts)
    of_group, strata = groups(per_stratum), defaultdict[str, dict[str, int]](dict)
    number_of = {(unit.part, unit.request.id): number for number, unit in enumerate(units)}
    unknown = len(units)
    for number, part in enumerate(parts):
        for place in part.places:
            name = place.stratum
            if place.group == BUCKET:
                name = str(int(name) * part.log.bucket_s // bucket_s)
            known = strata[place.group]
            unit = unknown if place.transaction is None else number_of[number, place.transaction]
            unknown += place.transaction is None
            of_group[place.group].offer(
                np.array([known.setdefault(name, len(known))]),
                np.array([place.rank], np.uint64),
                np.array([unit], np.int64),
            )
    numbers, weights = weights_of(
        [
            of_group[STATUS].kept(),
            of_group[SLOWEST_OF].certain(TIE_BITS),
            of_group[BUCKET].kept(),
        ]
    )
    begin_us = min(epoch_us(part.log.begin) for part in parts)
    kept = tuple(
        replace(
            units[number].request,
            id=place,
            start_us=units[number].at_us - begin_us,
            weight=float(weight),
        )
        for place, (number, weight) in enumerate(zip(numbers.tolist(), weights, strict=True))
    )
    place_of = {number: place for place, number in enumerate(numbers.tolist())}
    return kept, tuple(_places(of_group, strata, place_of)), bucket_s


def _bucket_s(parts: Sequence[Requests]) -> int:
    """As wide as the widest, and wider where there would be too many."""
    width = max(part.log.bucket_s for part in parts)
    buckets = {
        (int(place.stratum), part.log.bucket_s)
        for part in parts
        for place in part.places
        if place.group == BUCKET
    }
    while len({number * was // width for number, was in buckets}) > BUCKETS_AT_MOST:
        width *= 2
    return width


def _places(
    of_group: Mapping[str, BottomK],
    strata: Mapping[str, Mapping[str, int]],
    place_of: Mapping[int, int],
) -> Iterator[Place]:
    for group, bottom in sorted(of_group.items()):
        names = {number: name for name, number in strata[group].items()}
        found = bottom.places()
        for number, begin, end in sorted(found.strata, key=lambda stratum: names[stratum[0]]):
            for at in range(begin, end):
                yield Place(
                    group=group,
                    stratum=names[number],
                    rank=int(found.ranks[at]),
                    transaction=place_of.get(int(found.units[at])),
                )


def _calibrated(kept: tuple[Request, ...], routes: Sequence[Route]) -> tuple[Request, ...]:
    exact: Counter[tuple[str, int]] = Counter()
    for route in routes:
        for status, calls in route.statuses:
            exact[route.id, status // 100] += calls
    held: dict[tuple[str, int], float] = defaultdict(float)
    for request in kept:
        held[request.route, request.status // 100] += request.weight
    return tuple(
        replace(request, weight=request.weight * exact[group] / held[group])
        for request in kept
        for group in [(request.route, request.status // 100)]
    )
