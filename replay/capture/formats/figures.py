"""Numbers and time stamps in a block's bytes, compiled."""

import numpy as np

from replay.capture.formats.texts import Spans
from replay.capture.kernels import ONE, TWO, Bytes, Hashes, Number, compiled, inlined, place
from replay.capture.words import EIGHT, below_ten, digits, eight, number_of, same

STAMPED = place(24)
"""Bytes of `2026-01-31 23:59:59.123 `, before the zone."""

_FOUR = place(4)
_DIGITS_AT_MOST = place(19)  # so that no overflow is missed
_LARGEST = np.uint64((1 << 63) - 1)
_SECONDS = np.uint64(int.from_bytes(b":00.000 ", "little"))
_NO_DIGITS = np.uint64(0xFF000000FF0000FF)
_LOW = np.uint64(0x0F)


@compiled
def local_us(data: Bytes, at: np.uint64, minute: Hashes) -> Number:
    """Epoch µs of `2026-01-31 23:59:59.123 ` as if it were UTC; -1 where there is none.

    `minute` remembers the last one: sixteen bytes, and what they mean.
    """
    day, clock = eight(data, at), eight(data, at + EIGHT)
    if day != minute[0] or clock != minute[1]:
        found = _minute_us(data, at)
        if found < 0:
            return -1
        minute[0], minute[1], minute[2] = day, clock, found
    second = eight(data, at + EIGHT + EIGHT)
    bare = second ^ _SECONDS
    if bare & _NO_DIGITS or not below_ten(bare):
        return -1
    seconds = _digit(bare, 1) * 10 + _digit(bare, 2)
    if seconds > 60:
        return -1
    thousandths = _digit(bare, 4) * 100 + _digit(bare, 5) * 10 + _digit(bare, 6)
    return np.int64(minute[2]) + seconds * 1_000_000 + thousandths * 1000


@inlined
def _digit(word: np.uint64, byte: Number) -> Number:
    return np.int64((word >> place(8 * byte)) & _LOW)


@compiled
def _minute_us(data: Bytes, at: np.uint64) -> Number:
    """Epoch µs of `2026-01-31 23:59`; -1 where there is none."""
    if at + EIGHT + EIGHT > place(data.size):
        return -1
    for step in range(16):
        byte = data[at + place(step)]
        if step in (4, 7):
            right = byte == 45
        elif step == 10:
            right = byte == 32
        elif step == 13:
            right = byte == 58
        else:
            right = 48 <= byte <= 57
        if not right:
            return -1
    year = _two(data, at) * 100 + _two(data, at + TWO)
    month, day = _two(data, at + _FOUR + ONE), _two(data, at + EIGHT)
    hour, minute = _two(data, at + place(11)), _two(data, at + place(14))
    if month < 1 or month > 12 or day < 1 or day > 31 or hour > 24 or minute > 59:
        return -1
    # Days from civil: years begin in March, so that the leap day comes last.
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return ((days * 24 + hour) * 60 + minute) * 60_000_000


@compiled
def _two(data: Bytes, at: np.uint64) -> Number:
    """The number that two digits make."""
    return (np.int64(data[at]) - 48) * 10 + np.int64(data[at + ONE]) - 48


@compiled
def number(data: Bytes, at: np.uint64, end: np.uint64) -> tuple[Number, bool]:
    """The whole number that stands there, 0 where nothing does; and whether nothing else stands there."""
    none = np.int64(0)
    negative = at < end and data[at] == 45
    if negative:
        at += ONE
        if at == end:
            return none, False
    while end - at > _DIGITS_AT_MOST:
        if data[at] != 48:
            return none, False
        at += ONE
    value = place(0)
    while end - at >= EIGHT:
        word = eight(data, at)
        if not digits(word):
            return none, False
        value = value * place(100_000_000) + number_of(word)
        at += EIGHT
    while at < end:
        if not 48 <= data[at] <= 57:
            return none, False
        value = value * place(10) + place(data[at] - 48)
        at += ONE
    if value > _LARGEST + place(negative):
        return none, False
    return np.int64(place(0) - value if negative else value), True


@compiled
def zone_at(data: Bytes, at: np.uint64, end: np.uint64, zones: Spans, known: Number) -> Number:
    """The number of a zone's name among those known, or the next one; -1 where there are too many."""
    for zone in range(known - 1, -1, -1):
        begin, size = place(zones[0, zone]), place(zones[1, zone] - zones[0, zone])
        if size == end - at and same(data, begin, at, size):
            return zone
    if known >= zones.shape[1]:
        return -1
    zones[0, known], zones[1, known] = at, end
    return known
