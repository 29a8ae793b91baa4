"""Which routes of the service ran a template, where its statements say so in a comment.

Comments are no part of a template, so they are read from the kept executions' records, each with its
unit's weight.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter

import numpy as np

from replay.capture.bottomk import Weights
from replay.capture.formats.columns import Ints
from replay.capture.kept import cuts
from replay.capture.store import Store
from replay.capture.stored import Batch
from replay.requests import BY_COMMENT
from replay.sql.comment import route_of

_ROUTES_AT_MOST = 100  # of a template


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """The routes that ran a template."""

    routes: tuple[tuple[str, float], ...]  # with the share of its executions, most first
    how: str = BY_COMMENT  # they are known: see replay.requests
    sure: float = 1.0


Origins = Mapping[int, Behind]
"""By a template's number the routes that ran it."""


def origins(kept: Store, numbers: Ints, weights: Weights) -> Origins:
    """The routes that the kept executions name; the store looks for `comment.MARKS`."""
    if not kept.is_marked():
        return {}
    named: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    whole: dict[int, float] = defaultdict(float)
    for begin, end in cuts(kept.sizes(numbers)):
        for template, route, weight in _told(kept.batch(numbers[begin:end]), weights[begin:end]):
            whole[template] += weight
            if route:
                named[template][route] += weight
    return {
        template: Behind(
            routes=tuple(
                (route, weight / whole[template])
                for route, weight in nlargest(_ROUTES_AT_MOST, routes.items(), key=itemgetter(1))
            )
        )
        for template, routes in named.items()
    }


def _told(batch: Batch, weights: Weights) -> Iterator[tuple[int, str, float]]:
    """Template, route and weight of each execution."""
    assert batch.texts is not None  # they were taken out of the vault
    texts = batch.texts.tobytes()
    places = batch.places.tolist()
    of_row = np.repeat(weights, batch.counts()).tolist()
    for row, (template, weight) in enumerate(zip(batch.columns[0].tolist(), of_row, strict=True)):
        yield template, route_of(texts[places[2 * row] : places[2 * row + 1]]), weight
