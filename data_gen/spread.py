"""How the rows of a column share out over the values that it may take.

A column's values are *points*: integers in the column's order (the integer itself, microseconds,
a number in a list, a key's position). Its rows, sorted by point, are *slots* 0 … rows-1. A common
value is a segment of one point; between two bounds of the histogram lies a segment whose rows fall
evenly on some of its points. So fractions, histogram and number of distinct values hold exactly,
for every slot alone. `occurrence` counts a slot among those of its point: (point, occurrence) is
unique, from which unique keys of several columns are made.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from data_gen.shuffle import Flags, Ints
from data_gen.steps import Steps

_FILL_TURNS = 4
_Segment = tuple[int, int, int, int, int, bool]  # rows, distinct, low, width, rank, tail


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Spread:
    """Segments in the order of their points; built by `shared` or `ladder`."""

    starts: Ints  # first slot of each segment
    counts: Ints  # its rows
    distinct: Ints  # its points in use, at most its rows and its width
    low: Ints  # its first point; in a segment of the tail, counted without the common points
    width: Ints  # how many points it could use
    rank: Ints  # number of its first point in `by_rank`
    tail: Flags  # not a common point
    holes: Ints  # the j-th common point in order, less j: they are left out of the tail
    scatter: int | None = None  # key: where inside its share of the width a tail point lies
    _starts: Steps = field(init=False)
    _holes: Steps = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", Steps.of(self.starts))
        object.__setattr__(self, "_holes", Steps.of(self.holes))

    @property
    def rows(self) -> int:
        """Number of slots."""
        return int(self.counts.sum())

    @property
    def values(self) -> int:
        """Number of distinct points."""
        return int(self.distinct.sum())

    @property
    def most(self) -> int:
        """Rows of the point that has most."""
        return int((-(-self.counts // self.distinct)).max(initial=0))

    def strength(self, correlation: float | None) -> float:
        """How far rows must follow slots, -1 … 1, to show that correlation in pg_stats.

        ANALYZE breaks ties by physical order (compute_scalar_stats), so equal values add to the
        correlation by themselves: rows in no order at all show Σ p², rows in reverse 2 Σ p³ - 1, p
        being each value's share of the rows.
        """
        if correlation is None or not self.rows:
            return 0.0
        shares = self.counts / self.distinct / self.rows
        none = float((self.distinct * shares**2).sum())
        reverse = 2 * float((self.distinct * shares**3).sum()) - 1
        span = 1 - none if correlation > none else none - reverse
        return max(-1.0, min((correlation - none) / max(span, 1e-9), 1.0))

    def points(self, slots: Ints) -> Ints:
        """The point of each slot."""
        from data_gen.loops import points_of  # noqa: PLC0415 - the compiler, by who needs it

        out = np.empty(slots.shape, np.int64)
        starts = self._starts
        own = (starts.places, starts.guide, starts.shift, self.counts)
        points_of(out, slots, *own, *self._segments())
        return out

    def occurrences(self, slots: Ints) -> Ints:
        """How many earlier slots have the same point."""
        segment, share = self._share(slots)
        before = -(-share * self.counts[segment] // self.distinct[segment])
        return slots - self.starts[segment] - before

    def ranks(self, slots: Ints) -> Ints:
        """The number of each slot's point in `by_rank`."""
        segment, share = self._share(slots)
        return self.rank[segment] + share

    def by_rank(self, ranks: Ints) -> Ints:
        """Distinct points by number: common ones first, most common leading, then the tail."""
        order = np.argsort(self.rank)
        segment = order[np.searchsorted(self.rank[order], ranks, side="right") - 1]
        return self._point(segment, ranks - self.rank[segment])

    def slot_of(self, point: int) -> int:
        """The slot of a point, or of the nearest below: for a ladder, where a point is one slot."""
        segment = max(int(np.searchsorted(self.low, point, side="right")) - 1, 0)
        low, width = int(self.low[segment]), int(self.width[segment])
        within = min(max(point - low, 0), width - 1)
        share = ((within + 1) * int(self.distinct[segment]) - 1) // width
        return int(self.starts[segment]) + share

    def _share(self, slots: Ints) -> tuple[Ints, Ints]:
        from data_gen.loops import shares  # noqa: PLC0415 - the compiler is loaded by who needs it

        segment, share = np.empty(slots.shape, np.int64), np.empty(slots.shape, np.int64)
        starts = self._starts
        own = (starts.places, starts.guide, starts.shift, self.counts, self.distinct)
        shares(segment, share, slots, *own)
        return segment, share

    def _point(self, segment: Ints, share: Ints) -> Ints:
        from data_gen.loops import place  # noqa: PLC0415 - as above

        point = np.empty(segment.shape, np.int64)
        place(point, segment, share, *self._segments())
        return point

    def _segments(self) -> tuple[Any, ...]:
        holes = self._holes
        own = (self.distinct, self.low, self.width, self.tail)
        scattered = (self.scatter is not None, np.uint64(self.scatter or 0))
        return (*own, holes.places, holes.guide, holes.shift, *scattered)


def ladder(rows: int, bounds: Sequence[int]) -> Spread:
    """Every slot a point of its own, strictly ascending: a unique column or a key.

    The bounds (equal-height, ascending) are met exactly where there is room; where a bucket is too
    narrow for its rows, what follows is pushed up.
    """
    edges = sorted(set(bounds)) or [1]
    if rows and (len(edges) == 1 or edges[-1] - edges[0] == rows - 1):  # every point from here on
        return _spread([(rows, rows, edges[0], rows, 0, True)], holes=())
    last = min(len(edges), rows) - 1  # of no more bounds than rows, so that each is met
    edges = [edges[round(k * (len(edges) - 1) / max(last, 1))] for k in range(last + 1)]
    places = [round(k * (rows - 1) / max(last, 1)) for k in range(last + 1)]
    segments = []
    floor = min(bounds, default=1)
    for k, (here, there) in enumerate(pairwise([*places, rows])):
        if there > here:
            low = max(edges[k], floor)
            floor = max(edges[k + 1] if k < last else low, low + there - here)
            segments.append((there - here, there - here, low, floor - low, here, True))
    return _spread(segments, holes=())


def joined(parts: Sequence[Spread]) -> Spread:
    """Ladders that follow one another: slots of the second behind those of the first."""
    counts = np.concatenate([part.counts for part in parts])
    before = np.cumsum([0, *(part.values for part in parts)])[:-1]
    return Spread(
        starts=np.cumsum(counts) - counts,
        counts=counts,
        distinct=np.concatenate([part.distinct for part in parts]),
        low=np.concatenate([part.low for part in parts]),
        width=np.concatenate([part.width for part in parts]),
        rank=np.concatenate([part.rank + at for part, at in zip(parts, before, strict=True)]),
        tail=np.concatenate([part.tail for part in parts]),
        holes=np.array([], np.int64),
    )


def counted(counts: Ints) -> Spread:
    """So many rows for each point, the first of which is 0."""
    points = np.flatnonzero(counts)
    rows = counts[points]
    rank = np.empty_like(points)
    rank[np.argsort(-rows, kind="stable")] = np.arange(points.size)
    return Spread(
        starts=np.cumsum(rows) - rows,
        counts=rows,
        distinct=np.ones_like(rows),
        low=points,
        width=np.ones_like(rows),
        rank=rank,
        tail=np.zeros(points.size, bool),
        holes=np.empty(0, np.int64),
    )


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
    return _spread([segment for _, segment in sorted(placed)], holes=holes, scatter=scatter)


def _spread(
    segments: Sequence[_Segment], *, holes: Sequence[int], scatter: int | None = None
) -> Spread:
    columns = np.array(segments, np.int64).reshape(len(segments), 6)
    counts = columns[:, 0].copy()
    return Spread(
        starts=np.cumsum(counts) - counts,
        counts=counts,
        distinct=columns[:, 1].copy(),
        low=columns[:, 2].copy(),
        width=columns[:, 3].copy(),
        rank=columns[:, 4].copy(),
        tail=columns[:, 5].astype(bool),
        holes=np.array(holes, np.int64),
        scatter=scatter,
    )


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
