"""How many statements were in flight together, swept slice of time by slice of time."""

import numpy as np

from replay.groups import Groups
from replay.report.attempts import Attempts, Block
from replay.report.columns import Bools, Ints

_WIDEST_US = 1 << 23  # of a slice: twice a moment in it is exact as float32
_MOMENTS = 1 << 16  # in a slice, on average at most


class InFlight:
    """The statements of the chosen templates that were sent."""

    def __init__(self, attempts: Attempts, chosen: Bools) -> None:
        self._attempts = attempts
        self._chosen = chosen
        moments = 2 * int(attempts.sent[chosen].sum())
        length_us = attempts.last_us + 1
        slices = max(-(-moments // _MOMENTS), -(-length_us // _WIDEST_US))
        self._width_us = -(-length_us // slices)
        self._counts = np.zeros(slices, np.int64)
        self.total_us = 0  # of all together
        for block in attempts.blocks():
            began_us, ended_us = self._times(block)
            self.total_us += int((ended_us - began_us).sum())
            for moments_us in (began_us, ended_us):
                self._counts += np.bincount(moments_us // self._width_us, minlength=slices)

    def peak(self) -> int:
        """Most of them at once; one that begins when another ends meets it."""
        slices = Groups(self._counts)
        for block in self._attempts.blocks():
            for is_end, moments_us in enumerate(self._times(block)):
                place, within_us = np.divmod(moments_us, self._width_us)
                slices.add(place, within_us * 2 + is_end)
        most = under_way = 0
        for number in range(len(self._counts)):
            moments = np.sort(slices.of(number)).astype(np.int64)
            running = under_way + np.cumsum(1 - 2 * (moments & 1))
            most = max(most, int(running.max(initial=0)))
            under_way = int(running[-1]) if len(running) else under_way
        return most

    def _times(self, block: Block) -> tuple[Ints, Ints]:
        mine = block.sent & self._chosen[block.template]
        return block.began_us[mine], block.ended_us[mine]
