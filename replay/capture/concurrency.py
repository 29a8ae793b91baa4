"""How many statements were in flight at once: a sweep over starts and ends, in bounded memory."""

import numpy as np
import numpy.typing as npt

_BEHIND_US = 60_000_000
Times = npt.NDArray[np.int64]


class Concurrency:
    """Takes executions about in order of their ends.

    The sweep stays a minute behind the last end seen; of a statement that took longer, the part
    before is not counted, so that the peak may be missed by statements that began and ended apart.
    """

    def __init__(self) -> None:
        self._starts: Times = np.empty(0, np.int64)
        self._ends: Times = np.empty(0, np.int64)
        self._swept_us = np.iinfo(np.int64).min
        self._running = 0
        self._peak = 0

    def add(self, starts: Times, ends: Times) -> None:
        """Take executions, by their starts and ends in epoch µs."""
        self._starts = np.concatenate((self._starts, np.maximum(starts, self._swept_us)))
        self._ends = np.concatenate((self._ends, np.maximum(ends, self._swept_us)))
        self._sweep(int(self._ends.max(initial=self._swept_us)) - _BEHIND_US)

    def peak(self) -> int:
        """The most that were in flight at once, over all that was added."""
        self._sweep(np.iinfo(np.int64).max)
        return self._peak

    def _sweep(self, until_us: int) -> None:
        """Count up to a moment; one that ends when another starts is not in flight with it."""
        started, ended = self._starts <= until_us, self._ends <= until_us
        starts, ends = np.sort(self._starts[started]), np.sort(self._ends[ended])
        self._starts, self._ends = self._starts[~started], self._ends[~ended]
        if starts.size:
            in_flight = np.arange(1, starts.size + 1) - np.searchsorted(ends, starts, side="right")
            self._peak = max(self._peak, self._running + int(in_flight.max()))
        self._running += starts.size - ends.size
        self._swept_us = max(self._swept_us, until_us)
