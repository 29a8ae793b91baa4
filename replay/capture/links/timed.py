"""Links by time, and by the route that a comment names: of the kept units, weighed as they are."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replay.capture.bottomk import Weights
from replay.capture.executions import Mask
from replay.capture.formats.columns import Ints
from replay.capture.kept import Kept
from replay.capture.links.found import TEMPLATES, Count, Found, Linked, Routed, batches, times
from replay.capture.links.linker import Linker
from replay.capture.links.superposed import chances
from replay.capture.stored import Batch
from replay.requests import BY_COMMENT, BY_TIME
from replay.sql.comment import MARKS, route_of, shape_of

_UNITS_AT_MOST = 50_000  # those of the smallest priorities
_CANDIDATES_AT_MOST = 64  # of a unit
_SURE_ENOUGH = 0.5  # of a link between two that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Units that ran in chosen slots."""

    unit: Ints  # place among the kept ones
    begins_us: Ints
    ends_us: Ints
    kind: Ints  # the template that each begins with
    weight: Weights
    comments: Mapping[int, str]  # by place here: shape of the route that a comment names
    bounds: Ints  # of the units' executions
    template: Ints


def by_time(
    linker: Linker, kept: Kept, numbers: Ints, weights: Weights, is_control: Mask
) -> Linked:
    """What is known of the kept units by the requests that were in flight while they ran."""
    flights = linker.flights
    requests = np.bincount(
        flights.route[linker.timed[linker.counted[linker.timed]]], minlength=len(linker.routes)
    )
    if not (linker.timed.size and numbers.size):
        return Linked(requests=requests)
    seen = _seen(linker, kept, numbers, weights, is_control)
    if not seen.unit.size:
        return Linked(requests=requests)
    unit, request = linker.candidates(seen.begins_us, seen.ends_us, _CANDIDATES_AT_MOST)
    flight = linker.timed[request]
    route = flights.route[flight]
    commented = _fitting(seen, linker.routes, unit, route)
    stays = np.flatnonzero(commented >= 0)
    unit, flight, route, commented = (a[stays] for a in (unit, flight, route, commented))
    begin_us, end_us = flights.start_us[linker.timed[0]], int(linker.latest_us[-1])
    chance = chances(
        unit=unit,
        route=route,
        took_s=(flights.end_us[flight] - flights.start_us[flight]) / 1e6,
        kind=seen.kind,
        weight=seen.weight,
        requests=requests.astype(np.float64),
        seconds=max((end_us - begin_us) / 1e6 * linker.sky.share, 1.0),
    )
    sure = chance * _seen_often(route, seen.kind[unit], chance)
    how = [BY_TIME, BY_COMMENT]
    return Linked(
        found=[
            Found(
                request=int(linker.kept[flight[at]]),
                unit=int(seen.unit[unit[at]]),
                how=how[int(commented[at])],
                sure=float(sure[at]),
            )
            for at in _best(unit, sure).tolist()
            if linker.kept[flight[at]] >= 0 and sure[at] >= _SURE_ENOUGH
        ],
        counts=_counts(seen, unit, route, chance, sure, commented),
        requests=requests,
    )


def _seen(linker: Linker, kept: Kept, numbers: Ints, weights: Weights, is_control: Mask) -> _Seen:
    parts = [*_parts(linker, kept, numbers, is_control)]
    unit, begins_us, ends_us, kind, priority = (
        np.concatenate([np.empty(0, np.int64), *column])
        for column in zip(*(part[:5] for part in parts), strict=True)
    )
    comments = {place: shape for part in parts for place, shape in part[5].items()}
    sizes = np.concatenate([part[6] for part in parts])
    template = np.concatenate([part[7] for part in parts])
    few = np.sort(np.argsort(priority.view(np.uint64), kind="stable")[:_UNITS_AT_MOST])
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    rows = np.repeat(bounds[few] - np.cumsum(sizes[few]) + sizes[few], sizes[few])
    return _Seen(
        unit=unit[few],
        begins_us=begins_us[few],
        ends_us=ends_us[few],
        kind=kind[few],
        weight=weights[unit[few]],
        comments={at: comments[n] for at, n in enumerate(unit[few].tolist()) if n in comments},
        bounds=np.concatenate(([0], np.cumsum(sizes[few]))),
        template=template[rows + np.arange(rows.size)],
    )


_Part = tuple[Ints, Ints, Ints, Ints, Ints, dict[int, str], Ints, Ints]


def _parts(linker: Linker, kept: Kept, numbers: Ints, is_control: Mask) -> Iterator[_Part]:
    """By batch: units, begins, ends, kinds, priorities, comments by unit, sizes, templates."""
    for at, batch in batches(kept, numbers):
        begins_us, ends_us = times(batch)
        chosen = np.flatnonzero(linker.sky.is_chosen(begins_us))
        template, counts = batch.columns[0], batch.counts()
        of_unit = np.repeat(np.arange(counts.size), counts)
        works = np.flatnonzero(~is_control[template])
        kind = template[batch.first[:-1]].copy()
        unit, first = np.unique(of_unit[works], return_index=True)
        kind[unit] = template[works[first]]
        comments = {at + place: shape for place, shape in _commented(batch).items()}
        yield (
            *(at + chosen, begins_us[chosen], ends_us[chosen], kind[chosen]),
            batch.priorities[chosen].view(np.int64),
            comments,
            counts[chosen],
            template[np.isin(of_unit, chosen)],
        )


def _commented(batch: Batch) -> dict[int, str]:
    """By unit the shape of the route that a comment names; the first of each."""
    assert batch.texts is not None  # they were taken out of the vault
    texts = batch.texts.tobytes()
    if not any(mark in texts for mark in MARKS):
        return {}
    found: dict[int, str] = {}
    places, of_row = (
        batch.places[::2].tolist(),
        np.repeat(np.arange(len(batch.sessions)), batch.counts()),
    )
    for row, unit in enumerate(of_row.tolist()):
        if unit not in found and (route := route_of(texts[places[row] : places[row + 1]])):
            found[unit] = shape_of(route)
    return found


def _fitting(seen: _Seen, routes: Sequence[Routed], unit: Ints, route: Ints) -> Ints:
    """Of candidates 1 where a comment names their route, 0 where none names any, -1: another one."""
    by_shape: dict[str, set[int]] = defaultdict(set)
    for number, one in enumerate(routes):
        by_shape[one.shape].add(number)
    fits = np.zeros(unit.size, np.int64)
    named = np.zeros(seen.unit.size, np.bool_)
    named[[at for at, shape in seen.comments.items() if shape in by_shape]] = True
    for at in np.flatnonzero(named[unit]).tolist():
        is_so = int(route[at]) in by_shape[seen.comments[int(unit[at])]]
        fits[at] = 1 if is_so else -1
    return fits


def _seen_often(route: Ints, kind: Ints, chance: Weights) -> Weights:
    """What is left of a chance where a route was seen with a kind but few times."""
    _, pair = np.unique(route * TEMPLATES + kind, return_inverse=True)
    times_seen = np.bincount(pair, chance)[pair] if pair.size else chance
    return np.asarray(times_seen / (times_seen + 1.0))


def _best(unit: Ints, sure: Weights) -> Ints:
    """The place of each unit's surest candidate."""
    order = np.lexsort((sure, unit))
    is_last = np.ones(order.size, np.bool_)
    is_last[:-1] = unit[order][1:] != unit[order][:-1]
    return np.sort(order[is_last])


def _counts(
    seen: _Seen, unit: Ints, route: Ints, chance: Weights, sure: Weights, commented: Ints
) -> dict[tuple[int, int], Count]:
    size = np.diff(seen.bounds)[unit]
    pair = np.repeat(np.arange(unit.size), size)
    row = np.arange(pair.size) + np.repeat(seen.bounds[unit] - np.cumsum(size) + size, size)
    key = route[pair] * TEMPLATES + seen.template[row]
    distinct, place = np.unique(key, return_inverse=True)
    weighed = (seen.weight[unit] * chance)[pair]
    columns = (
        distinct.tolist(),
        np.bincount(place, weighed, distinct.size).tolist(),
        np.bincount(place, weighed * sure[pair], distinct.size).tolist(),
        np.bincount(place, commented[pair], distinct.size).tolist(),
    )
    return {
        divmod(number, TEMPLATES): Count(calls, squares, BY_COMMENT if named else BY_TIME)
        for number, calls, squares, named in zip(*columns, strict=True)
    }
