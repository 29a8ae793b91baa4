"""A column's statistics as a spread: its rows shared out over common values and histogram.

Whole numbers of rows, which in sum are what they should be, of fractions that were estimated.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from data_gen.spread import Spread

_FILL_TURNS = 4


def shared(
    rows: int,
    *,
    common: Sequence[tuple[int, float]],
    bounds: Sequence[int],
    distinct: int,
    most: int | None = None,
    scatter: int | None = None,
) -> Spread:
    """Rows over common points at their fractions, the rest evenly between the bounds.

    `distinct` counts the common points too; where rows are left over for no other point they go to
    the common ones in proportion. `most` caps the rows of any one point.
    """
    points, counts = _common(rows, common)
    lows, widths, weights = _buckets(points, bounds)
    tail_rows = rows - sum(counts)
    if points and (not lows or distinct <= len(points)):
        counts, tail_rows = _apportioned(counts, rows), 0
    if most is not None and lows:
        counts = _capped(counts, most, rows - most * sum(widths))
        tail_rows = rows - sum(counts)
    tail_counts = _apportioned(weights, tail_rows)
    if most is not None and any(n > most * w for n, w in zip(tail_counts, widths, strict=True)):
        tail_counts = _apportioned(widths, tail_rows)
    tail_distinct = _filled(distinct - len(points), tail_counts, widths, most or tail_rows)
    ranks = np.cumsum([len(points), *tail_distinct])[:-1]
    holes = [point - number for number, point in enumerate(sorted(points))]
    placed = [
        (point, (count, 1, point, 1, rank, False))
        for rank, (point, count) in enumerate(zip(points, counts, strict=True))
    ]
    placed += [
        (low + bisect_right(holes, low), (count, number, low, width, rank, True))
        for count, number, low, width, rank in zip(
            tail_counts, tail_distinct, lows, widths, ranks, strict=True
        )
        if count
    ]
    return Spread.of([segment for _, segment in sorted(placed)], holes=holes, scatter=scatter)


def _common(rows: int, common: Sequence[tuple[int, float]]) -> tuple[list[int], list[int]]:
    """Common points that get a row at all, most common first, and their rows."""
    fractions: dict[int, float] = {}
    for point, fraction in common:
        fractions[point] = fractions.get(point, 0.0) + fraction
    total = sum(fractions.values())
    points = sorted(fractions, key=lambda point: (-fractions[point], point))
    counts = _apportioned([fractions[point] for point in points], round(rows * min(total, 1.0)))
    kept = [(point, count) for point, count in zip(points, counts, strict=True) if count]
    return [point for point, _ in kept], [count for _, count in kept]


def _buckets(
    points: Sequence[int], bounds: Sequence[int]
) -> tuple[list[int], list[int], list[float]]:
    """First point, width and weight of each bucket, counted without the common points."""
    if not bounds:
        return [], [], []
    holes = sorted(points)
    ends = [*bounds[: max(len(bounds) - 1, 1)], bounds[-1] + 1]  # the last bound is met, too
    edges = [end - bisect_left(holes, end) for end in ends]
    lows, widths, weights = [], [], []
    carried = 0.0  # buckets without a point of their own give their rows to the next
    for low, high in pairwise(edges):
        carried += 1.0
        if high > low:
            lows.append(low)
            widths.append(high - low)
            weights.append(carried)
            carried = 0.0
    if weights:
        weights[-1] += carried
    return lows, widths, weights


def _capped(counts: Sequence[int], most: int, needed: int) -> list[int]:
    """Rows of the common points, none above the cap, and together at least what is needed."""
    capped = []
    lacking = needed - sum(min(count, most) for count in counts)
    for count in counts:
        more = max(min(most - count, lacking), 0)
        lacking -= more
        capped.append(min(count, most) + more)
    return capped


def _apportioned(weights: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to the weights, with exactly that sum."""
    if not weights:
        return []
    sums = np.cumsum([0.0, *(weights if any(weights) else [1.0] * len(weights))])
    cuts = np.rint(sums / sums[-1] * total).astype(np.int64)
    return [int(count) for count in np.diff(cuts)]


def _filled(wanted: int, counts: Sequence[int], widths: Sequence[int], most: int) -> list[int]:
    """Distinct points of each bucket, in proportion to its rows, as far as it has room."""
    rows = np.array(counts, np.int64)
    limits = np.minimum(rows, np.array(widths, np.int64))
    least = np.minimum(-(-rows // max(most, 1)), limits)
    numbers = least.copy()
    for _ in range(_FILL_TURNS):
        missing = wanted - int(numbers.sum())
        open_rows = np.where(numbers < limits, rows, 0)
        if missing <= 0 or not open_rows.any():
            break
        more = np.array(_apportioned(open_rows.tolist(), missing), np.int64)
        numbers = np.minimum(numbers + more, limits)
    return [int(number) for number in numbers]
