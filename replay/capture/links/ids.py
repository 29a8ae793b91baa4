"""Ids of traces and requests, wherever they stand: in a comment, in application_name, in a header.

An id is a run of letters, digits and dashes, so long that nothing else is it by chance; case and dashes
do not count, as one writes a UUID with them and another without. Of a traceparent
(`00-<trace>-<span>-<flags>`, W3C Trace Context) the trace is the id.
"""

import numpy as np

from replay.capture.formats.texts import Spans, Texts
from replay.capture.kernels import ONE, Bytes, Hashes, Ints, Number, as_bytes, compiled

NO_ID = np.uint64(0)
_AT_LEAST = 12  # letters and digits
_TRACEPARENT = 55  # letters
_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_SHIFT = np.uint64(29)
_CLASS = np.zeros(256, np.uint8)  # 0: no part of an id, 1: a letter, 2: a digit, 3: a dash
_CLASS[[*range(65, 91), *range(97, 123)]] = 1
_CLASS[48:58] = 2
_CLASS[45] = 3


class Wanted:
    """Ids that are looked for, each with a number."""

    def __init__(self, ids: Hashes, numbers: Ints) -> None:
        size = 1 << max(4, int(2 * ids.size).bit_length())
        self._keys = np.zeros(size, np.uint64)
        self._numbers = np.zeros(size, np.int64)
        _fill(ids, numbers, self._keys, self._numbers)

    def first(self, texts: Bytes, places: Ints) -> Ints:
        """The number of the first id in each text, which ends where the next begins; -1 for none."""
        found = np.empty(places.size - 1, np.int64)
        _first(as_bytes(texts), places, self._keys, self._numbers, found)
        return found


def hashes(texts: Texts) -> Hashes:
    """The id in each text: the longest run that can be one; NO_ID where there is none."""
    found = np.empty(len(texts), np.uint64)
    _hashes(texts.data, texts.begins, texts.ends, found)
    return found


@compiled
def _hashes(data: Bytes, begins: Spans, ends: Spans, found: Hashes) -> None:
    for row in range(found.size):
        place, end = np.uint64(begins[row]), np.uint64(ends[row])
        longest = np.uint64(0)
        found[row] = NO_ID
        while place < end:
            stop = _run(data, place, end)
            if stop - place > longest:
                value = _id(data, place, stop)
                if value != NO_ID:
                    longest = stop - place
                    found[row] = value
            place = stop + ONE


@compiled
def _first(texts: Bytes, places: Ints, keys: Hashes, numbers: Ints, found: Ints) -> None:
    for row in range(found.size):
        place, end = np.uint64(places[row]), np.uint64(places[row + 1])
        number = np.int64(-1)
        while place < end and number < 0:
            stop = _run(texts, place, end)
            if stop - place >= np.uint64(_AT_LEAST):
                number = _looked_up(_id(texts, place, stop), keys, numbers)
                dashes = 0
                # A name may stand ahead of an id: web-7f3a9c…
                while number < 0 and dashes < 2:
                    while place < stop and texts[place] != 45:
                        place += ONE
                    place += ONE
                    dashes += 1
                    if place + np.uint64(_AT_LEAST) > stop:
                        break
                    number = _looked_up(_id(texts, place, stop), keys, numbers)
            place = stop + ONE
        found[row] = number


@compiled
def _run(data: Bytes, at: Number, end: Number) -> Number:
    while at < end and _CLASS[data[at]] != 0:
        at += ONE
    return at


@compiled
def _id(data: Bytes, at: Number, end: Number) -> Number:
    """The hash of a run; NO_ID where it can be none."""
    if end - at == np.uint64(_TRACEPARENT):
        dash = np.uint64(2)
        behind = np.uint64(35)
        if data[at + dash] == 45 and data[at + behind] == 45:
            end = at + behind
            at += dash + ONE
    elif end - at > np.uint64(2) and data[at] == 49 and data[at + ONE] == 45:
        at += np.uint64(2)  # X-Ray's version; the rest is the trace as others write it
    value, count, digits = _OFFSET, np.int64(0), np.int64(0)
    while at < end:
        byte = data[at]
        if byte != 45:
            value = (value ^ np.uint64(byte | 32)) * _PRIME
            count += 1
            digits += np.int64(byte < 58)
        at += ONE
    if count < _AT_LEAST or digits == 0:
        return NO_ID
    value ^= value >> _SHIFT
    return value if value != NO_ID else ONE


@compiled
def _looked_up(value: Number, keys: Hashes, numbers: Ints) -> Number:
    if value == NO_ID:
        return np.int64(-1)
    mask = np.uint64(keys.size - 1)
    slot = value & mask
    while keys[slot] != NO_ID:
        if keys[slot] == value:
            return numbers[slot]
        slot = (slot + ONE) & mask
    return np.int64(-1)


@compiled
def _fill(ids: Hashes, of_ids: Ints, keys: Hashes, numbers: Ints) -> None:
    mask = np.uint64(keys.size - 1)
    for row in range(ids.size):
        slot = ids[row] & mask
        while keys[slot] != NO_ID:
            slot = (slot + ONE) & mask
        keys[slot], numbers[slot] = ids[row], of_ids[row]
