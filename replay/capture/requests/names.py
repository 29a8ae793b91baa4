"""Which texts of a column are the same: a number for each different one, without an object for any."""

import numpy as np
import numpy.typing as npt

from replay.capture.formats.texts import Spans, Texts
from replay.capture.kernels import ONE, Bytes, Ints, Number, compiled, inlined, place
from replay.capture.words import EIGHT, same, up_to, word_at

_SLOTS = 1 << 12  # room for half as many different ones, nearly always enough
_PRIME, _ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_SHIFT = np.uint64(32)
_FULL = -1

Codes = npt.NDArray[np.int32]


def codes(texts: Texts) -> tuple[Codes, Ints]:
    """A number for each text, in order of appearance, and the first row of each."""
    found, firsts = (np.empty(len(texts), np.int32) for _ in range(2))
    slots, count = _SLOTS, _FULL
    while count == _FULL:
        table = np.full(slots, -1, np.int32)
        count = _codes(texts.data, texts.begins, texts.ends, table, found, firsts)
        slots *= 8
    return found, firsts[:count].astype(np.int64)


@compiled
def _codes(
    data: Bytes, begins: Spans, ends: Spans, table: Codes, found: Codes, firsts: Codes
) -> Number:
    mask, count = place(table.size - 1), 0
    for row in range(found.size):
        begin, end = place(begins[row]), place(ends[row])
        slot = (hashed(data, begin, end) * _PRIME >> _SHIFT) & mask
        while table[slot] >= 0:
            first = firsts[table[slot]]
            at = place(begins[first])
            if place(ends[first]) - at == end - begin and same(data, at, begin, end - begin):
                break
            slot = (slot + ONE) & mask
        if table[slot] < 0:
            if 2 * count >= table.size:
                return _FULL
            table[slot] = count
            firsts[count] = row
            count += 1
        found[row] = table[slot]
    return count


@inlined
def hashed(data: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    """Of eight bytes at a time, each times a factor of its own, so that none waits for another."""
    value, factor = end - at, _PRIME
    while at + EIGHT <= end:
        value += (word_at(data, at) ^ factor) * factor
        factor += _ODD + _ODD
        at += EIGHT
    if at < end:
        value += (up_to(data, at, end) ^ factor) * factor
    return value ^ (value >> _SHIFT)
