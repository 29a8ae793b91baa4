"""How the rows of a column share out over the values that it may take.

A column's values are *points*: integers in the column's order (the integer itself, microseconds,
a number in a list, a key's position). Its rows, sorted by point, are *slots* 0 … rows-1. A common
value is a segment of one point; between two bounds of the histogram lies a segment whose rows fall
evenly on some of its points. So fractions, histogram and number of distinct values hold exactly,
for every slot alone. `occurrences` counts a slot among those of its point: (point, occurrence) is
unique, from which unique keys of several columns are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from data_gen.shuffle import Flags, Ints
from data_gen.steps import Steps

Segment = tuple[int, int, int, int, int, bool]  # rows, distinct, low, width, rank, tail


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Spread:
    """Segments in the order of their points; see `ladder`, `counted` and `sharing`."""

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

    @classmethod
    def of(
        cls, segments: Sequence[Segment], *, holes: Sequence[int] = (), scatter: int | None = None
    ) -> "Spread":
        """Segments in the order of their points; where the slots of each begin follows from their rows."""
        columns = np.array(segments, np.int64).reshape(len(segments), 6)
        counts = columns[:, 0].copy()
        return cls(
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
        return Spread.of([(rows, rows, edges[0], rows, 0, True)])
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
    return Spread.of(segments)


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
