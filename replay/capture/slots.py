"""Memory that all processes of a capture see, in slots: a block is read into one, its digest lies behind.

So neither is copied from process to process. Who reads gets memory of its own where no slot is free.
"""

import mmap
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

NOWHERE = -1
"""The slot of what lies in this process's own memory."""

_BLOCK = 17 << 20  # bytes: a block, and what was left of the one before
_BEHIND = 12 << 20
_ALIGNED = 64


class Slots:
    """So many slots; none is taken.

    Those that are not shared lie in the large pages that numpy asks for, which are quicker.
    """

    def __init__(self, count: int, *, shared: bool = True) -> None:
        self._slots = [
            memoryview(mmap.mmap(-1, _BLOCK + _BEHIND))
            if shared
            else np.empty(_BLOCK, np.uint8).data
            for _ in range(count)
        ]
        self._free = list(range(count))

    def take(self, size: int) -> tuple[memoryview, int]:
        """Memory of so many bytes, and its slot."""
        if size > _BLOCK or not self._free:
            return np.empty(size, np.uint8).data, NOWHERE
        slot = self._free.pop()
        return self._slots[slot][:size], slot

    def give_back(self, slot: int) -> None:
        """Let others take it: what lay there is not needed any more."""
        if slot != NOWHERE:
            self._free.append(slot)

    def block(self, slot: int, size: int) -> memoryview:
        """What was read into a slot."""
        return self._slots[slot][:size]

    def put(self, slot: int, value: Any) -> tuple[bytes, list[tuple[int, int]]]:
        """Lay a value's arrays behind the block; what tells another process how to `get` it."""
        arrays: list[pickle.PickleBuffer] = []
        told = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
        places, at = [], _BLOCK
        for array in arrays:
            raw = array.raw()
            places.append((at, at + raw.nbytes))
            at += -(-raw.nbytes // _ALIGNED) * _ALIGNED
        if at > _BLOCK + _BEHIND:
            return pickle.dumps(value), []
        for array, (begin, end) in zip(arrays, places, strict=True):
            self._slots[slot][begin:end] = array.raw()
        return told, places

    def get(self, slot: int, told: bytes, places: list[tuple[int, int]]) -> Any:
        """The value; its arrays stay where they are, until the slot is given back."""
        return ForkingPickler.loads(told, buffers=[self._slots[slot][b:e] for b, e in places])
