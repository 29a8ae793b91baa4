"""Fit the sample's weights to the exact calls of every template."""

import numpy as np
import numpy.typing as npt

from replay.capture.formats.columns import Ints

_ROUNDS = 30
Weights = npt.NDArray[np.float64]


def calibrate(weights: Weights, unit: Ints, template: Ints, exact: Weights) -> Weights:
    """Weights whose sums over a template come to its calls, as near as they can.

    `unit` and `template` are the kept executions', by number; `exact` are the templates' calls.
    Generalised raking (Deville, Särndal 1993) in its multiplicative form: each round multiplies a
    unit's weight by the geometric mean, over its executions, of exact to estimated calls. A weight
    never falls under 1: a unit stands for itself at least. Wholly kept templates stay exact.
    """
    if not weights.size:
        return weights
    share = 1.0 / np.bincount(unit, minlength=weights.size)[unit]
    for _ in range(_ROUNDS):
        estimated = np.bincount(template, weights[unit], exact.size)
        with np.errstate(divide="ignore"):
            ratio = np.log(exact / np.where(estimated > 0, estimated, 1.0))
        moved = np.bincount(unit, share * ratio[template], weights.size)
        weights = np.maximum(weights * np.exp(moved), 1.0)
    return weights
