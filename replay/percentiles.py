"""Exact percentiles of more values than memory should hold: read twice, counted, never kept. Pure.

Numbers of 32 bits in the order of their size are numbers of 32 bits: the first reading counts by the
upper half of them, which tells in which half a percentile is; the second one counts the lower halves there.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

_HALF = 1 << 16


def percentiles(
    read: Callable[[], Iterable[np.ndarray]], percents: Sequence[float]
) -> tuple[float, ...]:
    """As numpy has them, linear between the two nearest; 0 where there are no values.

    `read` gives the values (float32) in blocks, the same ones each time.
    """
    upper = np.zeros(_HALF, np.int64)
    for values in read():
        upper += np.bincount(_ordered(values) >> 16, minlength=_HALF)
    below = np.cumsum(upper)
    if not below[-1]:
        return tuple(0.0 for _ in percents)
    at = np.asarray(percents) / 100 * (int(below[-1]) - 1)
    ranks = np.concatenate((np.floor(at), np.ceil(at))).astype(np.int64)
    halves = np.searchsorted(below, ranks, side="right")
    lower = {half: np.zeros(_HALF, np.int64) for half in halves.tolist()}
    for values in read():
        ordered = _ordered(values)
        for half, counts in lower.items():
            mine = ordered[ordered >> 16 == half]
            np.add(counts, np.bincount(mine & (_HALF - 1), minlength=_HALF), out=counts)
    found = []
    for rank, half in zip(ranks.tolist(), halves.tolist(), strict=True):
        within = rank - int(below[half] - upper[half])
        found.append(half << 16 | int(np.searchsorted(np.cumsum(lower[half]), within, "right")))
    low, high = np.split(_back(np.array(found, np.uint32)).astype(np.float64), 2)
    return tuple((low + (high - low) * (at - np.floor(at))).tolist())


def _ordered(values: np.ndarray) -> np.ndarray:
    """The bits of float32 as whole numbers that are in the same order."""
    bits = values.astype(np.float32, copy=False).view(np.uint32)
    negative = bits >> 31 == 1
    return np.where(negative, ~bits, bits | 0x80000000).astype(np.int64)


def _back(ordered: np.ndarray) -> np.ndarray:
    positive = ordered >> 31 == 1
    bits = np.where(positive, ordered & 0x7FFFFFFF, ~ordered).astype(np.uint32)
    values: np.ndarray = bits.view(np.float32)
    return values
