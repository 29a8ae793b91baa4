"""Who of all that were in flight ran a transaction, where nothing but time can tell.

Each route is taken to run each kind of transaction at some rate while one of its requests is in flight,
and something that is no request (jobs, other services) at a rate of its own, so that transactions are the
superposition of Poisson processes. Rates and the candidates' chances are found in turns (the EM algorithm,
Dempster, Laird, Rubin 1977; for superposed processes Marsan, Lengliné 2008): what only ever runs while one
route is in flight becomes that route's, however many others are beside it.
"""

import numpy as np

from replay.capture.bottomk import Weights
from replay.capture.formats.columns import Ints

_ROUNDS = 60
_OTHERS = 0.1  # share of the transactions that are no request's, to begin with


def chances(
    *,
    unit: Ints,
    route: Ints,
    took_s: Weights,
    kind: Ints,
    weight: Weights,
    requests: Weights,
    seconds: float,
) -> Weights:
    """The chance of each candidate to have run its unit.

    `unit`, `route` and `took_s` are the candidates', by row; `kind` and `weight` the units', and `requests`
    says how many each route has in the time, so many `seconds`, that the units were taken from.
    """
    if not unit.size:
        return np.empty(0)
    kinds = int(kind.max()) + 1
    _, pair = np.unique(route * kinds + kind[unit], return_inverse=True)
    of_pair = np.zeros(int(pair.max()) + 1)
    of_pair[pair] = requests[route]
    density = 1.0 / np.maximum(took_s, 1e-3)
    of_kind = np.bincount(kind, weight, kinds)
    runs = (of_kind[kind[unit]] / max(requests.sum(), 1.0))[_last(pair, of_pair.size)]
    others = _OTHERS * of_kind / seconds
    for _ in range(_ROUNDS):
        told = runs[pair] * density
        whole = np.bincount(unit, told, kind.size) + others[kind]
        chance = told / whole[unit]
        weighed = chance * weight[unit]
        runs = np.bincount(pair, weighed, of_pair.size) / np.maximum(of_pair, 1.0)
        nobody = weight * (1.0 - np.bincount(unit, chance, kind.size))
        others = np.bincount(kind, np.maximum(nobody, 0.0), kinds) / seconds
    return np.asarray(chance)


def _last(pair: Ints, count: int) -> Ints:
    """A row of each pair."""
    rows = np.zeros(count, np.int64)
    rows[pair] = np.arange(pair.size)
    return rows
