"""Samples of several workloads merged: the places of all strata, and the units that they keep.

Whatever is among the k smallest ranks of a stratum of the whole is among those of a part that saw
it, and the next rank, τ, is a place of a part too; so nothing is missing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from replay.capture.assemble import calibrated
from replay.capture.bottomk import Weights
from replay.capture.conflicts import epoch_us
from replay.capture.places import build_places
from replay.capture.registry import Registry
from replay.capture.sample import Strata
from replay.requests import Request
from replay.workload import Place, Transaction, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The sample of the whole."""

    transactions: tuple[Transaction, ...]
    places: tuple[Place, ...]
    kept: Counter[int]  # executions, by template number
    bucket_s: int


@dataclass(frozen=True, slots=True)
class _Unit:
    start_us: int  # epoch
    part: int
    transaction: Transaction

    @property
    def templates(self) -> Iterator[str]:
        """Of all its executions, told or not."""
        yield from (statement.template for statement in self.transaction.statements)
        yield from self.transaction.untold

    def session_us(self, begin_us: int) -> int | None:
        """When its session began, since that moment."""
        one = self.transaction
        if one.session_us is None:
            return None
        return self.start_us - begin_us - (one.start_us - one.early_us - one.session_us)


def starts_us(part: Workload) -> Iterator[tuple[int, Transaction]]:
    """A workload's transactions, each with its start in epoch µs."""
    begin_us = epoch_us(part.manifest.begin)
    for transaction in part.transactions:
        yield begin_us + transaction.start_us - transaction.early_us, transaction


def merged_sample(
    registry: Registry,
    parts: Sequence[Workload],
    calls: Weights,
    begin_us: int,
    requests: Sequence[Request] = (),
) -> Merged:
    """The sample of the whole; `calls` are exact, by template number, `requests` the kept ones."""
    units = [_Unit(at, n, t) for n, part in enumerate(parts) for at, t in starts_us(part)]
    units.sort(key=lambda u: (u.start_us, u.transaction.priority, u.transaction.session))
    strata = _strata(registry, parts, units, [request.priority for request in requests])
    numbers, weights = strata.kept()
    kept = [units[number] for number in numbers.tolist()]
    number_of = {found.id: number for number, found in enumerate(registry.templates)}
    templates = [[number_of[template] for template in unit.templates] for unit in kept]
    flat = np.array([number for of in templates for number in of], np.int64)
    unit = np.repeat(np.arange(weights.size), list(map(len, templates)))
    weights = calibrated(registry, weights, unit, flat, calls)
    transactions = [
        replace(
            unit.transaction,
            id=place,
            start_us=max(unit.start_us - begin_us, 0),
            early_us=max(begin_us - unit.start_us, 0),
            session_us=unit.session_us(begin_us),
            weight=float(weights[place]) / unit.transaction.logged,
        )
        for place, unit in enumerate(kept)
    ]
    return Merged(
        transactions=tuple(transactions),
        places=tuple(build_places(registry, strata, numbers)),
        kept=Counter(flat.tolist()),
        bucket_s=strata.bucket_s,
    )


def _strata(
    registry: Registry, parts: Sequence[Workload], units: Sequence[_Unit], requests: Sequence[int]
) -> Strata:
    """All parts' places together; a place's unit that no part holds has a number past all units."""
    number_of = {(unit.part, unit.transaction.id): number for number, unit in enumerate(units)}
    strata = Strata(k=parts[0].manifest.per_stratum, requests=requests)
    strata.widen(max(part.manifest.bucket_s for part in parts))
    unknown = len(units)
    key = _Keys(registry)
    for number, part in enumerate(parts):
        for group, places in groupby(part.places, key=lambda place: place.group):
            found = list(places)
            widths = part.manifest.bucket_s, strata.bucket_s
            numbers = []
            for place in found:
                if place.transaction is None:
                    numbers.append(unknown)
                    unknown += 1
                else:
                    numbers.append(number_of[number, place.transaction])
            strata.put(
                group,
                [key.of(place, widths) for place in found],
                np.array([place.rank for place in found], np.uint64),
                np.array(numbers, np.int64),
            )
    return strata


class _Keys:
    """Strata as `Strata` knows them, from their names."""

    def __init__(self, registry: Registry) -> None:
        self._templates = {found.id: number for number, found in enumerate(registry.templates)}
        self._registry = registry

    def of(self, place: Place, widths: tuple[int, int]) -> tuple[int, ...]:
        """A place's stratum; `widths` are those of the buckets that it was and is to be in."""
        match place.group:
            case "error":
                template, _, state = place.stratum.partition(" ")
                return self._templates[template], self._registry.state(state)
            case "bucket":
                was, is_now = widths
                return (int(place.stratum) * was // is_now,)
            case "shape" | "request":
                return (int(place.stratum, 16),)
            case _:
                return (self._templates[place.stratum],)
