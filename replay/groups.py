"""Values by group, each group's together on disk: percentiles of many groups in bounded memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from replay import ondisk
from replay.percentiles import percentiles


class Groups:
    """Values (float32) of groups that are numbered from 0."""

    def __init__(self, most: np.ndarray, directory: Path | None = None) -> None:
        """`most` has how many values each group may have; they stand in the directory, or ondisk's."""
        self._begin = np.cumsum(most) - most
        self._end = self._begin.copy()
        self._values = ondisk.zeros(directory, int(most.sum()), np.float32)

    def add(self, groups: np.ndarray, values: np.ndarray) -> None:
        """Add some values, each to its group."""
        order, to = ondisk.dealt(self._end, groups)
        self._values[to] = values[order]

    def count(self, group: int) -> int:
        """How many values a group has."""
        return int(self._end[group] - self._begin[group])

    def highest(self, group: int) -> float:
        """The largest value of a group; 0 where it has none."""
        return float(self.of(group).max(initial=0.0))

    def percentiles(self, group: int, percents: Sequence[float]) -> tuple[float, ...]:
        """Of a group's values, as numpy has them; 0 where it has none."""
        values = self.of(group)
        if 0 < len(values) <= ondisk.BLOCK:
            return tuple(np.percentile(values.astype(np.float64), percents).tolist())
        return percentiles(lambda: _blocks(values), percents)

    def of(self, group: int) -> np.ndarray:
        """A group's values, in the order in which they came."""
        return self._values[self._begin[group] : self._end[group]]


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    for begin in range(0, len(values), ondisk.BLOCK):
        yield values[begin : begin + ondisk.BLOCK]
