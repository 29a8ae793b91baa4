"""What linking gives, and what it looks at: kept units, batch after batch."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.kept import Kept, cuts
from replay.capture.stored import Batch

TEMPLATES = 1 << 32
"""A route and a template are one number: route * TEMPLATES + template."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A route as it is linked."""

    id: str
    name: str  # method and path
    shape: str  # of the path: see sql.comment
    calls: int  # exact


@dataclass(slots=True)
class Count:
    """What a route's requests ran of a template."""

    calls: float = 0.0
    squares: float = 0.0  # of each call's chance
    how: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A kept unit's link to a kept request."""

    request: int  # place among the kept ones
    unit: int  # the same
    how: str
    sure: float


@dataclass(slots=True, kw_only=True)
class Linked:
    """What came of it all; counts are by route and template, by number."""

    found: list[Found] = field(default_factory=list)
    counts: dict[tuple[int, int], Count] = field(default_factory=dict)
    requests: Ints  # looked at, by route


def batches(kept: Kept, numbers: Ints) -> Iterator[tuple[int, Batch]]:
    """Kept units, and where each batch begins."""
    for begin, end in cuts(kept.sizes(numbers)):
        yield begin, kept.batch(numbers[begin:end])


def times(batch: Batch) -> tuple[Ints, Ints]:
    """Begin and end of each unit, epoch µs."""
    return spans(batch.first, batch.columns[1], batch.columns[2])


def spans(bounds: Ints, starts_us: Ints, spent_us: Ints) -> tuple[Ints, Ints]:
    """Begin and end of units whose executions stand together."""
    if bounds.size < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return starts_us[bounds[:-1]], np.maximum.reduceat(starts_us + spent_us, bounds[:-1])
