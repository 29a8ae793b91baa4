"""Whether latency grows while the load stands still: the sign that a queue builds up. Pure.

Just past the knee the queue grows slowly, and no threshold is crossed within a short trial; but it
grows steadily. So time is cut into pieces, the median of each taken, and a line laid through them by
Theil and Sen (the median of all pairs' slopes, which single outliers do not move).
"""

from itertools import combinations

import numpy as np

_PIECES = 8
_LEAST = 5  # transactions in a piece
_GROWTH_MS = 20.0  # over the trial: less is noise on any machine
_TIMES = 2.0  # and by so much more than what it began with
_RISING = 0.75  # of all pairs of pieces


def grows(due_s: np.ndarray, latency_ms: np.ndarray, duration_s: float) -> bool:
    """Whether latency from due rises through the trial, by what cannot be chance."""
    medians = _medians(due_s, latency_ms, duration_s)
    if len(medians) < _PIECES // 2:
        return False
    pairs = list(combinations(range(len(medians)), 2))
    slopes = np.array([(medians[j] - medians[i]) / (j - i) for i, j in pairs])
    growth = float(np.median(slopes)) * (len(medians) - 1)
    first = float(np.median(medians[: max(len(medians) // 4, 1)]))
    return (
        growth > _GROWTH_MS
        and growth > (_TIMES - 1) * first
        and float((slopes > 0).mean()) >= _RISING
    )


def _medians(due_s: np.ndarray, latency_ms: np.ndarray, duration_s: float) -> list[float]:
    pieces = np.minimum((due_s / duration_s * _PIECES).astype(int), _PIECES - 1)
    return [
        float(np.median(latency_ms[pieces == piece]))
        for piece in range(_PIECES)
        if (pieces == piece).sum() >= _LEAST
    ]
