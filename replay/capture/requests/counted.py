"""Tables by hash that grow: what a route's requests are counted by, and which hashes there were."""

import numpy as np

from replay.capture.kernels import ONE, ZERO, Hashes, Ints, Number, compiled, inlined, place
from replay.capture.priority import mixed

_SLOTS = 1 << 10


def roomy(held: int, more: int) -> int:
    """How many slots a table needs that has so many keys and may get so many more: a power of two."""
    return max(_SLOTS, 1 << (2 * (held + more)).bit_length())


class Counts:
    """How often each key was counted; keys are not below 0."""

    def __init__(self) -> None:
        self.keys: Ints = np.full(_SLOTS, -1, np.int64)
        self.counts: Ints = np.zeros(_SLOTS, np.int64)
        self.held = 0

    def room(self, more: int) -> None:
        """See to it that so many more keys find room."""
        slots = roomy(self.held, more)
        if slots > self.keys.size:
            self._take(*self.items(), slots)

    def items(self) -> tuple[Ints, Ints]:
        """All keys and their counts."""
        held = np.flatnonzero(self.counts)
        return self.keys[held], self.counts[held]

    def rekeyed(self, keys: Ints, counts: Ints) -> None:
        """Hold these instead; a key may stand there several times."""
        self._take(keys, counts, roomy(0, keys.size))

    def _take(self, keys: Ints, counts: Ints, slots: int) -> None:
        self.keys, self.counts = np.full(slots, -1, np.int64), np.zeros(slots, np.int64)
        self.held = int(_add(keys, counts, self.keys, self.counts))


@inlined
def count(key: Number, more: Number, keys: Ints, counts: Ints) -> Number:
    """Count a key, for which there must be room; how many are there for the first time, 1 or 0."""
    mask = place(keys.size - 1)
    slot = mixed(place(key)) & mask
    while keys[slot] != key and counts[slot] != 0:
        slot = (slot + ONE) & mask
    news = np.int64(counts[slot] == 0)
    keys[slot] = key
    counts[slot] += more
    return news


@compiled
def _add(new: Ints, times: Ints, keys: Ints, counts: Ints) -> Number:
    news = np.int64(0)
    for row in range(new.size):
        news += count(new[row], times[row], keys, counts)
    return news


class Seen:
    """Which hashes there were."""

    def __init__(self) -> None:
        self._held: Hashes = np.zeros(_SLOTS, np.uint64)
        self.count = 0

    def add(self, hashes: Hashes) -> None:
        """Take note of hashes; 0 and 1 are one."""
        slots = roomy(self.count, hashes.size)
        if slots > self._held.size:
            held = self._held[self._held != ZERO]
            self._held = np.zeros(slots, np.uint64)
            _note(held, self._held)
        self.count += int(_note(hashes, self._held))


@compiled
def _note(hashes: Hashes, held: Hashes) -> Number:
    """How many of the hashes were not there."""
    mask, new = place(held.size - 1), 0
    for row in range(hashes.size):
        key = max(hashes[row], ONE)
        slot = key & mask
        while held[slot] != ZERO and held[slot] != key:
            slot = (slot + ONE) & mask
        if held[slot] == ZERO:
            held[slot] = key
            new += 1
    return new


class Numbers:
    """Hashes, each with a number that somebody gives to it once."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most  # hashes; then all are let go of
        self._clear()

    def _clear(self) -> None:
        self._keys: Hashes = np.zeros(_SLOTS, np.uint64)
        self._numbers: Ints = np.zeros(_SLOTS, np.int64)
        self._held = 0

    def find(self, hashes: Hashes) -> tuple[Ints, Ints]:
        """The number of each, and the first rows of those that have none: -1 for the first of these, and so on."""
        if self._held > self._at_most:
            self._clear()
        slots = roomy(self._held, hashes.size)
        if slots > self._keys.size:
            held = self._keys != ZERO
            keys, numbers = self._keys[held], self._numbers[held]
            self._keys, self._numbers = np.zeros(slots, np.uint64), np.zeros(slots, np.int64)
            self.give(keys, numbers)
        found, unknown = np.empty(hashes.size, np.int64), np.empty(hashes.size, np.int64)
        count = _find(hashes, self._keys, self._numbers, found, unknown)
        self._held += count
        return found, unknown[:count]

    def give(self, hashes: Hashes, numbers: Ints) -> None:
        """Give numbers to hashes, for which there is room."""
        _give(hashes, numbers, self._keys, self._numbers)


@inlined
def _slot(key: np.uint64, keys: Hashes) -> np.uint64:
    """Where a key stands, or would stand."""
    mask = place(keys.size - 1)
    slot = key & mask
    while keys[slot] != ZERO and keys[slot] != key:
        slot = (slot + ONE) & mask
    return slot


@compiled
def _find(hashes: Hashes, keys: Hashes, numbers: Ints, found: Ints, unknown: Ints) -> Number:
    news = 0
    for row in range(hashes.size):
        key = max(hashes[row], ONE)
        slot = _slot(key, keys)
        if keys[slot] == ZERO:
            unknown[news] = row
            news += 1
            keys[slot], numbers[slot] = key, -news
        found[row] = numbers[slot]
    return news


@compiled
def _give(hashes: Hashes, given: Ints, keys: Hashes, numbers: Ints) -> None:
    for row in range(hashes.size):
        key = max(hashes[row], ONE)
        slot = _slot(key, keys)
        keys[slot], numbers[slot] = key, given[row]
