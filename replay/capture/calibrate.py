"""Fit the sample's weights to the exact calls of every template."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from replay.capture.units import Unit

_ROUNDS = 30


def calibrate(
    kept: Sequence[tuple[Unit, float]], calls: Mapping[str, int]
) -> list[tuple[Unit, float]]:
    """Units with weights whose sums over a template come to its calls, as near as they can.

    Generalised raking (Deville, Särndal 1993) in its multiplicative form: each round multiplies a
    unit's weight by the geometric mean, over its executions, of exact to estimated calls. A weight
    never falls under 1: a unit stands for itself at least. Wholly kept templates stay exact.
    """
    if not kept:
        return []
    numbers = {template: number for number, template in enumerate(calls)}
    cells = [
        (number, numbers[template], times)
        for number, (unit, _) in enumerate(kept)
        for template, times in Counter(e.template for e in unit.executions).items()
    ]
    unit, template, times = np.array(cells, np.int64).T
    exact = np.fromiter(calls.values(), np.float64)
    share = times / np.bincount(unit, times)[unit]
    weights = np.array([weight for _, weight in kept])
    for _ in range(_ROUNDS):
        estimated = np.bincount(template, weights[unit] * times, exact.size)
        with np.errstate(divide="ignore"):
            ratio = np.log(exact / np.where(estimated > 0, estimated, 1.0))
        weights = np.maximum(weights * np.exp(np.bincount(unit, share * ratio[template])), 1.0)
    return [(unit, float(weight)) for (unit, _), weight in zip(kept, weights, strict=True)]
