"""How many statements were in flight at once: a sweep over starts and ends, in bounded memory."""

from copy import copy

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]

_BEHIND_US = 60_000_000
_WAITING_AT_LEAST = 1 << 16  # executions
_NONE: Times = np.empty(0, np.int64)


class Concurrency:
    """Takes executions about in order of their ends.

    The sweep stays a minute behind the last end seen; of a statement that took longer, the part
    before is not counted, so that the peak may be missed by statements that began and ended apart.
    """

    def __init__(self) -> None:
        self._starts: list[Times] = []
        self._ends: list[Times] = []
        self._waiting, self._waits_at_most = 0, 0  # executions, until they are swept
        self._swept_us = np.iinfo(np.int64).min
        self._running = 0
        self._peak = 0

    def add(self, starts: Times, ends: Times) -> None:
        """Take executions, by their starts and ends in epoch µs."""
        self._starts.append(np.maximum(starts, self._swept_us))
        self._ends.append(np.maximum(ends, self._swept_us))
        self._waiting += starts.size
        if self._waiting > self._waits_at_most:
            last_us = max(int(one.max(initial=self._swept_us)) for one in self._ends)
            self._sweep(last_us - _BEHIND_US)
            # So that what stays is not looked at again with every few that come.
            self._waits_at_most = 2 * self._waiting + _WAITING_AT_LEAST

    def peak(self) -> int:
        """The most that were in flight at once, over all that was added; more may be added after it."""
        to_the_end = copy(self)
        to_the_end._sweep(np.iinfo(np.int64).max)
        return to_the_end._peak

    def _sweep(self, until_us: int) -> None:
        """Count up to a moment; one that ends when another starts is not in flight with it."""
        all_starts, all_ends = (np.concatenate([_NONE, *p]) for p in (self._starts, self._ends))
        started, ended = all_starts <= until_us, all_ends <= until_us
        starts, ends = np.sort(all_starts[started]), np.sort(all_ends[ended])
        self._starts, self._ends = [all_starts[~started]], [all_ends[~ended]]
        self._waiting = max(self._starts[0].size, self._ends[0].size)
        if starts.size:
            in_flight = np.arange(1, starts.size + 1) - np.searchsorted(ends, starts, side="right")
            self._peak = max(self._peak, self._running + int(in_flight.max()))
        self._running += starts.size - ends.size
        self._swept_us = max(self._swept_us, until_us)
