"""Requests in whose time a transaction ran, compiled: all that were in flight from its begin to its end."""

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.kernels import Number, compiled, making

FINE_US = 2_000
"""By how much stamps are blurred at least: they are cut to milliseconds."""
LONGEST_US = 120_000_000
"""Of a request that is a candidate; longer ones wait for events, and are in flight whatever runs."""
_LOOKED_AT_MOST = 4096  # requests
NONE, SEVERAL = -1, -2


@compiled
def alone(begins: Ints, ends: Ints, starts: Ints, stops: Ints, latest: Ints, found: Ints) -> None:
    """The only request in whose time each transaction ran; NONE, SEVERAL.

    Requests are given by start, with their stops and the latest stop up to each.
    """
    for row in range(begins.size):
        found[row] = NONE
        at = np.searchsorted(starts, begins[row], side="right") - 1
        looked = 0
        while at >= 0 and latest[at] >= ends[row]:
            looked += 1
            if looked > _LOOKED_AT_MOST:
                found[row] = SEVERAL
                break
            if stops[at] >= ends[row]:
                if found[row] >= 0:
                    found[row] = SEVERAL
                    break
                found[row] = at
            at -= 1


@making
def of_each(
    begins: Ints,
    ends: Ints,
    starts: Ints,
    stops: Ints,
    latest: Ints,
    at_most: Number,
) -> tuple[Ints, Ints]:
    """Transactions and their candidates, as pairs of places; of those with more than `at_most` none."""
    units, requests = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    for row in range(begins.size):
        at = np.searchsorted(starts, begins[row], side="right") - 1
        before = len(units)
        looked = 0
        while at >= 0 and latest[at] >= ends[row]:
            looked += 1
            if looked > _LOOKED_AT_MOST or len(units) - before > at_most:
                while len(units) > before:
                    units.pop()
                    requests.pop()
                break
            if stops[at] >= ends[row]:
                units.append(np.int64(row))
                requests.append(at)
            at -= 1
    return np.array(units, np.int64), np.array(requests, np.int64)
