"""When a capture is saved on the way, so that what was read outlives a kill: at a small share of the time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FIRST = ((1.0, 0.9), (3.0, 0.5))  # after so many seconds, if such a share is to come
_EVERY_S = 10.0  # at least
_SHARE = 0.05  # of the time, at most


class Saves:
    """Tells when one is due, from how long the last one took and how much is to come."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet; `clock` tells seconds."""
        self._clock = clock
        self._began = self._saved_at = clock()
        self._every_s = 0.0  # 0: there was none yet
        self._left = 1.0

    def read(self, done: int, total: int) -> None:
        """So many bytes are read, of so many; 0 of them where nobody knows."""
        self._left = 1.0 - done / total if total else 1.0

    def is_due(self) -> bool:
        """Whether to save now; not where the end is so near that it saves soon anyway."""
        now = self._clock()
        so_far = now - self._began
        if not self._every_s:
            return any(so_far >= s and self._left >= share for s, share in _FIRST)
        if now - self._saved_at < self._every_s:
            return False
        return so_far * self._left >= (1.0 - self._left) * self._every_s / 2

    @contextmanager
    def timed(self) -> Iterator[None]:
        """While it is saved."""
        began = self._clock()
        yield
        self._saved_at = self._clock()
        self._every_s = max(_EVERY_S, (self._saved_at - began) / _SHARE)
