"""Counts and numbers by key, for millions of keys a second: open-addressed tables, compiled."""

import numpy as np

from replay.capture.kernels import Hashes, Ints, Number, compiled

_ROOM = 1 << 10
_FREE = -1


class Counts:
    """How often each key came; keys are whole numbers from 0 on."""

    def __init__(self) -> None:
        self._held = 0
        self._clear(_ROOM)

    def add(self, keys: Ints) -> None:
        """Count every key once more."""
        self._add(keys, np.ones(keys.size, np.int64))

    def arrays(self) -> tuple[Ints, Ints]:
        """Keys and their counts, in no order."""
        held = self._keys != _FREE
        return self._keys[held], self._counts[held]

    def moved(self, keys: Ints) -> "Counts":
        """The counts under new keys, in the order of `held`; equal ones are added."""
        moved = Counts()
        moved._add(keys, self._counts[self._keys != _FREE])
        return moved

    def held(self) -> Ints:
        """All keys."""
        keys: Ints = self._keys[self._keys != _FREE]
        return keys

    def _add(self, keys: Ints, counts: Ints) -> None:
        at = 0
        while at < keys.size:
            at, self._held = _count(keys, counts, at, self._keys, self._counts, self._held)
            if at < keys.size:
                held = self._keys != _FREE
                before = self._keys[held], self._counts[held]
                self._clear(2 * self._keys.size)
                self._add(*before)

    def _clear(self, room: int) -> None:
        self._keys: Ints = np.full(room, _FREE)
        self._counts: Ints = np.zeros(room, np.int64)
        self._held = 0


class Numbers:
    """A number for each of many hashes."""

    def __init__(self) -> None:
        self._held = 0
        self._clear(_ROOM)

    def of(self, hashes: Hashes) -> Ints:
        """The hashes' numbers; -1 for one that has none."""
        numbers = np.empty(hashes.size, np.int64)
        _find(hashes, numbers, self._hashes, self._numbers)
        return numbers

    def put(self, hashes: Hashes, numbers: Ints) -> None:
        """Give numbers, from 0 on, to hashes that have none."""
        room = self._numbers.size
        while 2 * (self._held + numbers.size) > room:
            room *= 2
        if room > self._numbers.size:
            held = self._numbers != _FREE
            before = self._hashes[held], self._numbers[held]
            self._clear(room)
            _put(*before, self._hashes, self._numbers)
            self._held = before[1].size
        _put(hashes, numbers, self._hashes, self._numbers)
        self._held += numbers.size

    def _clear(self, room: int) -> None:
        self._hashes: Hashes = np.zeros(room, np.uint64)
        self._numbers: Ints = np.full(room, _FREE)
        self._held = 0


@compiled
def _slot(key: np.uint64, room: Number) -> Number:
    mixed = (key ^ (key >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed >> np.uint64(32)) & np.uint64(room - 1))


@compiled
def _count(
    keys: Ints, counts: Ints, at: Number, held_keys: Ints, held_counts: Ints, held: Number
) -> tuple[Number, Number]:
    """Count from a place on, until the table is half full; where that was, and how many it holds."""
    room = held_keys.size
    while at < keys.size and 2 * held < room:
        slot = _slot(np.uint64(keys[at]), room)
        while held_keys[slot] != keys[at] and held_keys[slot] != _FREE:
            slot = (slot + 1) & (room - 1)
        if held_keys[slot] == _FREE:
            held_keys[slot] = keys[at]
            held += 1
        held_counts[slot] += counts[at]
        at += 1
    return at, held


@compiled
def _find(hashes: Hashes, numbers: Ints, held: Hashes, held_numbers: Ints) -> None:
    room = held.size
    for row in range(hashes.size):
        slot = _slot(hashes[row], room)
        while held_numbers[slot] != _FREE and held[slot] != hashes[row]:
            slot = (slot + 1) & (room - 1)
        numbers[row] = held_numbers[slot]


@compiled
def _put(hashes: Hashes, numbers: Ints, held: Hashes, held_numbers: Ints) -> None:
    room = held.size
    for row in range(hashes.size):
        slot = _slot(hashes[row], room)
        while held_numbers[slot] != _FREE:
            slot = (slot + 1) & (room - 1)
        held[slot], held_numbers[slot] = hashes[row], numbers[row]
