"""How many statements were in flight at once: a sweep over starts and ends, in bounded memory."""

import numpy as np
import numpy.typing as npt

from replay.capture.kernels import Number, compiled

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
        return self._peak_with(*self._all())

    def _all(self) -> tuple[Times, Times]:
        """The starts and the ends that wait."""
        return np.concatenate([_NONE, *self._starts]), np.concatenate([_NONE, *self._ends])

    def _sweep(self, until_us: int) -> None:
        """Count up to a moment."""
        starts, ends = self._all()
        started, ended = starts <= until_us, ends <= until_us
        self._peak = self._peak_with(starts[started], ends[ended])
        self._starts, self._ends = [starts[~started]], [ends[~ended]]
        self._waiting = max(self._starts[0].size, self._ends[0].size)
        self._running += int(started.sum()) - int(ended.sum())
        self._swept_us = max(self._swept_us, until_us)

    def _peak_with(self, starts: Times, ends: Times) -> int:
        """The peak, with these; one that ends when another starts is not in flight with it."""
        if not starts.size:
            return self._peak
        starts, ends = np.sort(starts), np.sort(ends)
        return max(self._peak, self._running + int(_most(starts, ends)))


@compiled
def _most(starts: Times, ends: Times) -> Number:
    """The most that had started, and not ended, when another one did; both are in order."""
    most, ended = -ends.size, 0
    for started in range(starts.size):
        while ended < ends.size and ends[ended] <= starts[started]:
            ended += 1
        most = max(most, started + 1 - ended)
    return most
