"""Links units of the SQL log with the requests that ran them, while they stream by, and those that stay."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from replay.capture.bottomk import Weights
from replay.capture.formats.columns import Ints
from replay.capture.formats.texts import Texts
from replay.capture.kept import Kept
from replay.capture.kernels import Bytes
from replay.capture.links import candidates
from replay.capture.links.flights import Flights, Sky, joined
from replay.capture.links.found import (
    TEMPLATES,
    Count,
    Found,
    Linked,
    Routed,
    batches,
    spans,
    times,
)
from replay.capture.links.ids import NO_ID, Wanted, hashes
from replay.capture.links.words import Words
from replay.capture.requests.sample import Kept as KeptRequest
from replay.capture.requests.shapes import worded_hashes
from replay.capture.units import Units
from replay.requests import BY_REQUEST_ID, BY_TRACE

_SHARED_AT_MOST = 16  # requests of one id; what more have is no id
_COARSE_US = 1_000_000
_REQUEST_ID_SURE = 0.95  # it may be passed on to other requests
_SURE = 0.5  # a request is more likely meant than all others
_BY_CHANCE = 0.01  # of the units


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Units and requests that their records name, and the chance of each to be meant."""

    unit: Ints
    flight: Ints
    chance: Weights
    is_trace: np.ndarray

    def of(self, places: Ints) -> "Pairs":
        """Some of them."""
        return Pairs(
            unit=self.unit[places],
            flight=self.flight[places],
            chance=self.chance[places],
            is_trace=self.is_trace[places],
        )


class Linker:
    """Takes units; `linked` tells what was found."""

    def __init__(
        self, sky: Sky, rows: Sequence[KeptRequest], now: Ints, routes: Sequence[Routed]
    ) -> None:
        """`rows` are the kept requests; `now` says what numbers of `routes` theirs have become."""
        flights, self.kept = _with_kept(sky.flights(), rows)
        flights.route = now[flights.route]
        self.flights, self.sky, self.routes = flights, sky, routes
        self.requests = np.array([row.priority for row in rows], np.uint64)
        self.early_us = _COARSE_US if sky.is_coarse else candidates.FINE_US
        held = flights.rank < sky.limit
        self.counted = held & sky.is_chosen(flights.start_us)
        self._by_id()
        took_us = flights.end_us - flights.start_us
        self.timed = np.flatnonzero(held & (took_us >= 0) & (took_us <= candidates.LONGEST_US))
        self.starts_us = flights.start_us[self.timed] - candidates.FINE_US
        self.stops_us = flights.end_us[self.timed] + self.early_us
        self.latest_us = np.maximum.accumulate(self.stops_us)
        self.words = Words(flights.worded, flights.route, routes)
        self._counts: dict[tuple[int, int], Count] = {}
        self._hits = self._units = 0

    def take(self, units: Units) -> Ints:
        """Count what the units' requests ran; the kept request that each may be linked to, or -1."""
        found = units.executions
        bounds = np.append(units.first, len(found))
        begins_us, ends_us = spans(bounds, found.start_us, found.spent_us)
        wanted = np.full(len(units), -1, np.int64)
        if not len(units):
            return wanted
        self._units += len(units)
        at = self.alone(begins_us, ends_us)
        wanted[at >= 0] = self.kept[self.timed[at[at >= 0]]]
        if self._groups.size > 1:
            texts, places = units.sources.gathered(found.source)
            pairs = self.pairs(texts, places, bounds, begins_us, ends_us)
            self._count(pairs, bounds, found.template)
            wanted[pairs.unit] = -1
            best = np.flatnonzero(self.kept[pairs.flight] >= 0)
            wanted[pairs.unit[best]] = self.kept[pairs.flight[best]]
        return wanted

    def linked(self, kept: Kept, numbers: Ints) -> Linked:
        """What ids tell: the links of the kept units, and all counts."""
        looked = self.counted & ((self.flights.trace != NO_ID) | (self.flights.request_id != NO_ID))
        return Linked(
            found=list(self._links(kept, numbers)),
            counts=self._counts,
            requests=np.bincount(self.flights.route[looked], minlength=len(self.routes)),
        )

    @property
    def is_told(self) -> bool:
        """Whether ids tell of the units, and not of a few by chance alone."""
        return self._hits > _BY_CHANCE * self._units

    def pairs(
        self, texts: Bytes, places: Ints, bounds: Ints, begins_us: Ints, ends_us: Ints
    ) -> Pairs:
        """Requests that the units' records name: those whose time holds the unit's, if any does."""
        group = self._wanted.first(texts, places)
        hits = np.flatnonzero(group >= 0)
        unit, first = np.unique(np.searchsorted(bounds, hits, "right") - 1, return_index=True)
        group = group[hits[first]]
        begin, size = self._groups[group], np.diff(self._groups)[group]
        place = np.repeat(np.arange(unit.size), size)
        within = np.arange(place.size) - np.repeat(np.cumsum(size) - size, size)
        flight = self._members[begin[place] + within]
        holds = self._holds(flight, begins_us[unit[place]], ends_us[unit[place]])
        any_holds = np.bincount(place, holds, unit.size)[place] > 0
        stays = np.flatnonzero(holds | ~any_holds)
        place, flight = place[stays], flight[stays]
        return Pairs(
            unit=unit[place],
            flight=flight,
            chance=1.0 / np.bincount(place, minlength=unit.size)[place],
            is_trace=self._is_trace[group[place]],
        )

    def alone(self, begins_us: Ints, ends_us: Ints) -> Ints:
        """The only request in whose time each unit ran, by place in `timed`; below 0 for none."""
        found = np.empty(begins_us.size, np.int64)
        candidates.alone(begins_us, ends_us, self.starts_us, self.stops_us, self.latest_us, found)
        found[~self.sky.is_chosen(begins_us)] = candidates.NONE
        return found

    def candidates(self, begins_us: Ints, ends_us: Ints, at_most: int) -> tuple[Ints, Ints]:
        """Units and the requests in whose time they ran, by place in `timed`: all pairs."""
        times_us = self.starts_us, self.stops_us, self.latest_us
        return candidates.of_each(begins_us, ends_us, *times_us, at_most)

    def _holds(self, flight: Ints, begins_us: Ints, ends_us: Ints) -> np.ndarray:
        starts_us, stops_us = self.flights.start_us[flight], self.flights.end_us[flight]
        holds: np.ndarray = (starts_us - candidates.FINE_US <= begins_us) & (
            ends_us <= stops_us + self.early_us
        )
        return holds

    def _by_id(self) -> None:
        """Requests by their ids: a trace's, and their own."""
        flights = self.flights
        count = len(flights)
        of_id = np.concatenate((flights.trace, flights.request_id))
        flight = np.tile(np.arange(count), 2)
        own = np.repeat([0, 1], count)
        told = np.flatnonzero(of_id != NO_ID)
        told = told[np.lexsort((own[told], flight[told], of_id[told]))]
        of_id, flight, own = of_id[told], flight[told], own[told]
        again = np.zeros(told.size, np.bool_)
        again[1:] = (of_id[1:] == of_id[:-1]) & (flight[1:] == flight[:-1])
        of_id, flight, own = of_id[~again], flight[~again], own[~again]
        distinct, first, size = np.unique(of_id, return_index=True, return_counts=True)
        few = np.flatnonzero(size <= _SHARED_AT_MOST)
        rows = np.repeat(first[few] - np.cumsum(size[few]) + size[few], size[few])
        self._groups = np.concatenate(([0], np.cumsum(size[few])))
        self._members = flight[rows + np.arange(rows.size)]
        self._is_trace = own[first[few]] == 0
        self._wanted = Wanted(distinct[few], np.arange(few.size))

    def _count(self, pairs: Pairs, bounds: Ints, template: Ints) -> None:
        self._hits += np.unique(pairs.unit).size
        sure = pairs.of(np.flatnonzero(pairs.chance >= _SURE))
        pair, row = _executions(sure, bounds)
        self.words.take(sure.flight[pair], template[row])
        pairs = pairs.of(np.flatnonzero(self.counted[pairs.flight]))
        pair, row = _executions(pairs, bounds)
        key = self.flights.route[pairs.flight][pair] * TEMPLATES + template[row]
        distinct, first, place = np.unique(key, return_index=True, return_inverse=True)
        calls = np.bincount(place, pairs.chance[pair], distinct.size)
        squares = np.bincount(place, pairs.chance[pair] ** 2, distinct.size)
        traced = pairs.is_trace[pair[first]]
        columns = distinct.tolist(), calls.tolist(), squares.tolist(), traced.tolist()
        for number, more, square, is_trace in zip(*columns, strict=True):
            one = self._counts.setdefault(divmod(number, TEMPLATES), Count())
            one.calls += more
            one.squares += square * (1.0 if is_trace else _REQUEST_ID_SURE)
            one.how = one.how or (BY_TRACE if is_trace else BY_REQUEST_ID)

    def _links(self, kept: Kept, numbers: Ints) -> Iterator[Found]:
        for begin, batch in batches(kept, numbers):
            begins_us, ends_us = times(batch)
            assert batch.texts is not None  # they were taken out of the vault
            pairs = self.pairs(batch.texts, batch.places[::2], batch.first, begins_us, ends_us)
            request = self.kept[pairs.flight]
            for at in np.flatnonzero(request >= 0).tolist():
                is_trace = bool(pairs.is_trace[at])
                yield Found(
                    request=int(request[at]),
                    unit=begin + int(pairs.unit[at]),
                    how=BY_TRACE if is_trace else BY_REQUEST_ID,
                    sure=float(pairs.chance[at]) * (1.0 if is_trace else _REQUEST_ID_SURE),
                )


def _executions(pairs: Pairs, bounds: Ints) -> tuple[Ints, Ints]:
    """The executions of the pairs' units: the pair and the row of each."""
    size = np.diff(bounds)[pairs.unit]
    pair = np.repeat(np.arange(size.size), size)
    row = np.arange(pair.size) + np.repeat(bounds[pairs.unit] - np.cumsum(size) + size, size)
    return pair, row


def _with_kept(flights: Flights, rows: Sequence[KeptRequest]) -> tuple[Flights, Ints]:
    """The flights with the kept requests that are not among them, by start; the place of each kept one."""
    priority = np.array([row.priority for row in rows], np.uint64)
    place_of = {int(value): place for place, value in enumerate(priority.tolist())}
    is_kept = np.isin(flights.priority, priority)
    others = np.flatnonzero(~np.isin(priority, flights.priority)).tolist()
    more = [rows[place] for place in others]
    part = Flights(
        start_us=np.array([row.at_us for row in more], np.int64),
        end_us=np.array([row.at_us + row.duration_us for row in more], np.int64),
        route=np.array([row.route for row in more], np.int64),
        priority=priority[others],
        trace=hashes(Texts.holding([row.trace for row in more])),
        request_id=hashes(Texts.holding([row.request_id for row in more])),
        worded=worded_hashes(
            Texts.holding([row.method for row in more]),
            Texts.holding([row.target for row in more]),
        ),
        rank=np.full(len(more), np.iinfo(np.uint64).max),
    )
    whole = joined([flights, part])
    kept = np.full(len(whole), -1, np.int64)
    for at in [*np.flatnonzero(is_kept).tolist(), *range(len(flights), len(whole))]:
        kept[at] = place_of[int(whole.priority[at])]
    order = np.lexsort((whole.priority, whole.start_us))
    return whole.taken(order), kept[order]
