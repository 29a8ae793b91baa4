"""Compiled moves of what keeps its order: whole numbers, decimals, dates and timestamps as whole values."""

from typing import Any

import numpy as np

from replay.capture.kernels import Bytes, Number, compiled
from replay.capture.tokens import CELLS, PARTS, SEGMENTS, SHORT, SMALL

_DIGITS_AT_MOST = 13  # before the point: more may be a card's number
_PLACES_AT_MOST = 18  # behind it
_FRACTION_AT_MOST = 9  # of a second
_FIRST_YEAR = 100  # 0001-01-01 says "never": it is nobody's date
_RECENT = 60  # days
_LAST_ORDINAL = 3_652_059  # 9999-12-31
_LEFT = -1
_BEFORE_MONTH = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365])
_UP_TO = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])  # days of a month


@compiled
def numbered(data: Bytes, at: Number, end: Number, maps: Any, out: Bytes, to: Number) -> Number:
    """Put a number's token at a place of `out`; says where it ends, or _LEFT where the value is none."""
    begin = at + 1 if at < end and data[at] == 45 else at
    point = _after_digits(data, begin, end)
    count = point - begin
    if count > _DIGITS_AT_MOST or (count > 1 and data[begin] == 48):
        return _LEFT
    if point == end and count == 0:
        return _LEFT
    if point < end and (data[point] != 46 or point + 1 == end):
        return _LEFT
    if _after_digits(data, point + 1, end) < end:
        return _LEFT
    told = end
    while told > point + 1 and data[told - 1] == 48:
        told -= 1
    if told - point - 1 > _PLACES_AT_MOST:
        return _LEFT
    value = 0
    for place in range(begin, point):
        value = value * 10 + data[place] - 48
    moved = _moved(value, maps)
    to = _copied(data, at, begin, out, to)
    if count:
        to = _written(moved, 1, out, to)
    if told - point - 1 > SHORT:
        to = _copied(data, point, point + 2, out, to)
        to = _written(_behind(data, point + 1, told, value, maps), told - point - 2, out, to)
        point = told
    return _copied(data, point, end, out, to)


@compiled
def _behind(data: Bytes, at: Number, end: Number, whole: Number, maps: Any) -> Number:
    """What follows the first place of Tokens.fraction."""
    cell = (whole * 10 + data[at] - 48) % CELLS
    place, size = np.int64(0), np.int64(1)
    for digit in range(at + 1, end):
        place, size = place * 10 + data[digit] - 48, size * 10
    part, within = place * PARTS // size, place * PARTS % size
    begin, behind = maps.knots[cell, part], maps.knots[cell, part + 1]
    return max(_scaled(size, begin) + _scaled(within, behind - begin), 1)


@compiled
def _scaled(number: Number, share: Number) -> Number:
    """The number times a share in units of 2**-16, where the product takes more than 64 bits."""
    return (number >> 16) * share + ((number & 0xFFFF) * share >> 16)


@compiled
def _moved(size: Number, maps: Any) -> Number:
    """Tokens.integer."""
    if size <= SMALL:
        return size
    octave = 0
    while size >> (octave + 1):
        octave += 1
    width = (1 << octave) // SEGMENTS
    segment, within = (size - (1 << octave)) // width, (size - (1 << octave)) % width
    steps = maps.sums[octave, segment] * width + maps.slopes[octave, segment] * within
    return size + ((maps.added[octave] + steps) >> 16)


@compiled
def dated(data: Bytes, at: Number, end: Number, maps: Any, out: Bytes, to: Number) -> Number:
    """The same for a date or a timestamp."""
    if not _is_dated(data, at, end):
        return _LEFT
    year, month, day = (
        _two(data, at) * 100 + _two(data, at + 2),
        _two(data, at + 5),
        _two(data, at + 8),
    )
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not (1 <= month <= 12 and 1 <= day <= _UP_TO[month]) or year == 0:
        return _LEFT
    if month == 2 and day == 29 and not leap:
        return _LEFT
    if year < _FIRST_YEAR:
        return _copied(data, at, end, out, to)
    ordinal = _days_before(year) + _BEFORE_MONTH[month] + (leap and month > 2) + day
    moved = ordinal + maps.days
    if moved < 1:
        return _LEFT
    if abs(ordinal - maps.today) > _RECENT:
        moved += maps.further if ordinal > maps.today else -maps.further
    if not 1 <= moved <= _LAST_ORDINAL:
        return _LEFT
    year = moved * 400 // 146_097 + 1
    while _days_before(year) >= moved:
        year -= 1
    while _days_before(year + 1) < moved:
        year += 1
    rest = moved - _days_before(year)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    month = 12
    while _BEFORE_MONTH[month] + (leap and month > 2) >= rest:
        month -= 1
    to = _written(year, 4, out, to)
    out[to] = 45
    to = _written(month, 2, out, to + 1)
    out[to] = 45
    to = _written(rest - _BEFORE_MONTH[month] - (leap and month > 2), 2, out, to + 1)
    return _copied(data, at + 10, end, out, to)


@compiled
def _is_dated(data: Bytes, at: Number, end: Number) -> bool:
    """Whether the value is a day, perhaps with a time and a zone."""
    if not (_is_day(data, at, end)):
        return False
    at += 10
    if at == end:
        return True
    if data[at] not in (32, 84) or not _is_pair(data, at + 1, end):
        return False
    at += 3
    for part in range(2):
        if at < end and data[at] == 58 and _is_pair(data, at + 1, end):
            at += 3
        elif part == 0:
            return False
        else:
            return _is_zone(data, at, end)
    if at < end and data[at] == 46:
        behind = _after_digits(data, at + 1, end)
        if not 1 < behind - at <= _FRACTION_AT_MOST + 1:
            return False
        at = behind
    return _is_zone(data, at, end)


@compiled
def _is_day(data: Bytes, at: Number, end: Number) -> bool:
    return bool(
        at + 10 <= end
        and _is_pair(data, at, end)
        and _is_pair(data, at + 2, end)
        and data[at + 4] == 45
        and _is_pair(data, at + 5, end)
        and data[at + 7] == 45
        and _is_pair(data, at + 8, end)
    )


@compiled
def _is_zone(data: Bytes, at: Number, end: Number) -> bool:
    """Whether nothing is left, or Z, +01, +0100, +01:00 or +01:00:00."""
    if at == end or (data[at] == 90 and at + 1 == end):
        return True
    if data[at] not in (43, 45) or not _is_pair(data, at + 1, end):
        return False
    at += 3
    for _ in range(2):
        pair = at + 1 if at < end and data[at] == 58 else at
        if _is_pair(data, pair, end):
            at = pair + 2
    return bool(at == end)


@compiled
def _days_before(year: Number) -> Number:
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400


@compiled
def _is_pair(data: Bytes, at: Number, end: Number) -> bool:
    """Whether two digits stand there."""
    return bool(at + 2 <= end and 48 <= data[at] <= 57 and 48 <= data[at + 1] <= 57)


@compiled
def _two(data: Bytes, at: Number) -> Number:
    return np.int64(data[at]) * 10 + np.int64(data[at + 1]) - 528


@compiled
def _after_digits(data: Bytes, at: Number, end: Number) -> Number:
    while at < end and 48 <= data[at] <= 57:
        at += 1
    return at


@compiled
def _copied(data: Bytes, at: Number, end: Number, out: Bytes, to: Number) -> Number:
    """Copy a piece; says where the copy ends."""
    for place in range(at, end):
        out[to] = data[place]
        to += 1
    return to


@compiled
def _written(value: Number, width: Number, out: Bytes, to: Number) -> Number:
    """Write a number in decimals, so many at least; says where it ends."""
    size, rest = 1, value // 10
    while rest:
        size, rest = size + 1, rest // 10
    size = max(size, width)
    for place in range(to + size - 1, to - 1, -1):
        out[place] = 48 + value % 10
        value //= 10
    return to + size
