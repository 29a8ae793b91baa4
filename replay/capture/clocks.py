"""What a log's own clock does: it goes back, or hours are missing."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from replay.capture.blocks import Block
from replay.capture.formats.columns import Columns

_BACK_US = 10_000_000  # sessions' lines come in order but for less
_SILENT_US = 3_600_000_000
_SILENT_MEANS = 1000  # times the mean from record to record

PlaceOf = Callable[[Block, int], str]
"""`file:line` of an offset in a block."""


class Steps(NamedTuple):
    """How a block's records follow one another; moments are of the epoch."""

    records: int
    first_us: int
    last_us: int
    backs: int  # how often the clock went back
    back_at: int  # offset of the first record behind
    gap_us: int  # the longest between two records
    gap_at: int  # offset of the record behind it


def steps_of(columns: Columns) -> Steps:
    """The steps of a block's records."""
    if not len(columns):
        return Steps(0, 0, 0, 0, 0, 0, 0)
    steps = np.diff(columns.at_us)
    backs = np.flatnonzero(steps < -_BACK_US) + 1
    longest = int(np.argmax(steps)) if steps.size else 0
    return Steps(
        records=len(columns),
        first_us=int(columns.at_us[0]),
        last_us=int(columns.at_us[-1]),
        backs=backs.size,
        back_at=int(columns.begin[backs[0]]) if backs.size else 0,
        gap_us=int(steps[longest]) if steps.size else 0,
        gap_at=int(columns.begin[longest + 1]) if steps.size else 0,
    )


class Clocks:
    """The clocks of all inputs, block by block of each in its order."""

    def __init__(self, place_of: PlaceOf) -> None:
        self._place_of = place_of
        self._reached_us: dict[Path, int] = {}  # by input: its last record so far
        self._records: Counter[Path] = Counter()
        self._spent_us: Counter[Path] = Counter()
        self._gaps: dict[Path, tuple[int, str]] = {}  # by input: the longest, and where it ends
        self._backs, self._first_back = 0, ""

    def take(self, block: Block, steps: Steps) -> None:
        """The next block of an input."""
        if not steps.records:
            return
        path = block.input.path
        before_us = self._reached_us.get(path, steps.first_us)
        backs, back_at = steps.backs, steps.back_at
        if steps.first_us < before_us - _BACK_US:
            backs, back_at = backs + 1, 0
        if backs and not self._first_back:
            self._first_back = self._place_of(block, back_at)
        self._backs += backs
        between = steps.first_us - before_us, 0
        longest_us, gap_at = max(between, (steps.gap_us, steps.gap_at))
        if longest_us > max(self._gaps.get(path, (0, ""))[0], _SILENT_US):
            self._gaps[path] = longest_us, self._place_of(block, gap_at)
        self._records[path] += steps.records
        self._spent_us[path] += max(steps.last_us - before_us, 0)
        self._reached_us[path] = steps.last_us

    def notes(self) -> Iterator[str]:
        """What a reader of the workload should know of it."""
        if self._backs:
            yield (
                f"the log's clock goes back {self._backs} time{'s' * (self._backs > 1)}, first at "
                f"{self._first_back}: what ran behind it seems to have run before"
            )
        for path, (gap_us, place) in self._gaps.items():
            rest_us = self._spent_us[path] - gap_us
            if gap_us * self._records[path] > _SILENT_MEANS * rest_us:
                yield (
                    f"nothing is logged for {gap_us / _SILENT_US:.3g} h before {place}: a pause, or the "
                    "clock was set forward; rates count that time"
                )
