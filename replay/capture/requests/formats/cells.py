"""The lines of a log cut into fields, and what is wanted of them taken, in one loop.

How a log's lines look is data: what stands between fields, and which field says what. So one loop reads
them all, and nothing of a line becomes an object of its own.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from replay.capture.formats.texts import Spans
from replay.capture.kernels import ONE, TWO, Bytes, Hashes, Ints, Number, compiled, inlined, place
from replay.capture.requests.formats.moments import decimal, instant
from replay.capture.words import (
    AT_ONCE,
    EIGHT,
    count_of_bits,
    find,
    first_of_bits,
    within,
    word_at,
)

NONE = -1
"""In the place of a field: the log has none."""
TIME, LINE, METHOD, TARGET, STATUS, SIZE, DURATION, DURATION_2, DURATION_3 = range(9)
"""Roles of fields. A log has either whole request lines, or methods and targets."""
TIME_UNIT, DURATION_UNIT, QUOTES, IS_BEGIN, DASHES = range(5)
"""Rules: µs that the time counts (0: it is a text), µs of the duration, quotes of a line (NONE: any
number), whether the time is the request's begin, whether `-` is nothing."""
AT, TOOK, SENT, CODE, BEGIN = range(5)
"""Numbers of a request: epoch µs of its begin, µs it took, bytes sent, status, where its line begins."""
NOT_SO, NO_REQUEST = range(2)
"""What is odd about a line: it is cut otherwise, or is no request."""

Places = npt.NDArray[np.uint64]
_QUOTE, _ESCAPE, _DASH = 34, 92, 45


class Shape(NamedTuple):
    """How the lines of a log look."""

    literals: Bytes  # what stands ahead of each field, and behind the last
    bounds: Ints  # literal n is [n, n + 1)
    roles: Ints  # the field of each
    kept: Ints  # fields whose texts are wanted
    rules: Ints


class Room(NamedTuple):
    """Where what is taken is put."""

    begins: Spans  # of method, target, and the kept fields, by request
    ends: Spans
    numbers: Ints  # by request
    odd: Ints  # by odd line: where it begins and ends, what is odd
    counts: Ints  # requests, odd lines, targets that do not begin with a slash
    fields: Places  # of a line: begin and end
    minute: Hashes  # see `moments.instant`


@compiled
def take(data: Bytes, shape: Shape, room: Room) -> None:
    """Take the requests of whole lines, for all of which there must be room."""
    size, at = place(data.size), place(0)
    row, odd, elsewhere = 0, 0, 0
    fields, numbers = room.fields, room.numbers
    while at < size:
        line = at
        end, quotes = _line(data, at, shape.rules[QUOTES] != NONE)
        at = end + ONE
        if end == line:
            continue
        stop = end - ONE if data[end - ONE] == 13 else end
        code = NOT_SO
        at_us = np.int64(-1)
        if _split(data, line, stop, quotes, shape, fields):
            at_us = _time(data, shape, fields, room.minute)
            if at_us >= 0:
                code = NO_REQUEST
        asked = False
        if code == NO_REQUEST:
            asked = _asked(data, shape, fields, room.begins, room.ends, row)
        if not asked:
            room.odd[0, odd], room.odd[1, odd], room.odd[2, odd] = line, end, code
            odd += 1
            continue
        elsewhere += data[place(room.begins[1, row])] != 47
        took_us = _duration(data, shape, fields)
        if not shape.rules[IS_BEGIN]:
            at_us -= max(took_us, np.int64(0))
        numbers[AT, row], numbers[TOOK, row], numbers[BEGIN, row] = at_us, took_us, line
        numbers[SENT, row] = max(_number(data, shape, fields, SIZE), np.int64(0))
        numbers[CODE, row] = max(_number(data, shape, fields, STATUS), np.int64(0))
        for column in range(shape.kept.size):
            begin, end = fields[0, shape.kept[column]], fields[1, shape.kept[column]]
            if shape.rules[DASHES] and end - begin == ONE and data[begin] == _DASH:
                end = begin
            room.begins[column + 2, row], room.ends[column + 2, row] = begin, end
        row += 1
    room.counts[0], room.counts[1], room.counts[2] = row, odd, elsewhere


@inlined
def _line(data: Bytes, at: np.uint64, are_counted: Number) -> tuple[np.uint64, Number]:
    """Where a line ends, and how many quotes it has: -1 where it has an escape; 0 unless they count."""
    quotes, escapes = place(0), place(0)
    size, once = place(data.size), np.uint8(1)
    while at < size:
        if at + AT_ONCE <= size:
            ends = within(data, at, np.uint8(10), once)
            inside = (
                ends & (~ends + ONE)
            ) - ONE  # all before the first one; all where there is none
            if are_counted:
                quotes += count_of_bits(within(data, at, np.uint8(_QUOTE), once) & inside)
                escapes |= within(data, at, np.uint8(_ESCAPE), once) & inside
            if ends:
                at += first_of_bits(ends)
                break
            at += AT_ONCE
        else:
            byte = data[at]
            if byte == 10:
                break
            quotes += place(byte == _QUOTE)
            escapes |= place(byte == _ESCAPE)
            at += ONE
    return at, np.int64(-1) if escapes else np.int64(quotes)


@inlined
def _split(
    data: Bytes, at: np.uint64, end: np.uint64, quotes: Number, shape: Shape, fields: Places
) -> bool:
    """Find a line's fields: each ends where the literal behind it first stands unescaped.

    The last one ends with its line, and so does a line that has more fields than are known; but not
    where quotes are counted: nothing may be other than in all lines there, and no bare value null.
    """
    literals, bounds = shape.literals, shape.bounds
    last = bounds.size - 3
    is_strict = shape.rules[QUOTES] != NONE
    if end == at or (is_strict and quotes != shape.rules[QUOTES]):
        return False
    first, stop = place(bounds[0]), place(bounds[1])
    if not _stands(data, at, end, literals, first, stop):
        return False
    at += stop - first
    for field in range(last + 1):
        first, stop = place(bounds[field + 1]), place(bounds[field + 2])
        fields[0, field] = at
        if is_strict and literals[first - ONE] != _QUOTE and at < end and data[at] == 110:
            return False
        if first == stop:
            at = find(data, at, end, 32) if field == last else end
        else:
            at = _until(data, at, end, literals, first, stop)
            if at >= end:
                return False
        fields[1, field] = at
        at += stop - first
    return at == end or not is_strict


@inlined
def _until(
    data: Bytes,
    at: np.uint64,
    end: np.uint64,
    literals: Bytes,
    first: np.uint64,
    stop: np.uint64,
) -> np.uint64:
    """Where a literal stands; the end where it does not. What a backslash precedes is text."""
    byte, once = literals[first], np.uint8(1)
    while at < end:
        if at + AT_ONCE <= place(data.size):
            found = within(data, at, byte, once) | within(data, at, np.uint8(_ESCAPE), once)
            if not found:
                at += AT_ONCE
                continue
            at += first_of_bits(found)
            if at >= end:
                return end
        if data[at] == _ESCAPE:
            at += TWO
        elif data[at] == byte and _stands(data, at, end, literals, first, stop):
            return at
        else:
            at += ONE
    return end


@inlined
def _stands(
    data: Bytes,
    at: np.uint64,
    end: np.uint64,
    literals: Bytes,
    first: np.uint64,
    stop: np.uint64,
) -> bool:
    if at + (stop - first) > end:
        return False
    while first + EIGHT <= stop:
        if word_at(data, at) != word_at(literals, first):
            return False
        at += EIGHT
        first += EIGHT
    while first < stop:
        if data[at] != literals[first]:
            return False
        at += ONE
        first += ONE
    return True


@inlined
def _time(data: Bytes, shape: Shape, fields: Places, minute: Hashes) -> Number:
    field, unit = shape.roles[TIME], shape.rules[TIME_UNIT]
    if unit == 0:
        return instant(data, fields[0, field], fields[1, field], minute)
    return decimal(data, fields[0, field], fields[1, field], unit)


@inlined
def _asked(
    data: Bytes, shape: Shape, fields: Places, begins: Spans, ends: Spans, row: Number
) -> bool:
    """Where a request's method and target stand; whether they do: `GET /a?b HTTP/1.1`."""
    if shape.roles[LINE] == NONE:
        for step, role in enumerate((METHOD, TARGET)):
            begins[step, row] = fields[0, shape.roles[role]]
            ends[step, row] = fields[1, shape.roles[role]]
        return bool(ends[0, row] > begins[0, row]) and bool(ends[1, row] > begins[1, row])
    begin, end = fields[0, shape.roles[LINE]], fields[1, shape.roles[LINE]]
    at = begin
    while at < end and 65 <= data[at] <= 90:
        at += ONE
    if at == begin or at + ONE >= end or data[at] != 32:
        return False
    stop = find(data, at + ONE, end, 32)
    begins[0, row], ends[0, row] = begin, at
    begins[1, row], ends[1, row] = at + ONE, stop
    return bool(stop > at + ONE)


@inlined
def _duration(data: Bytes, shape: Shape, fields: Places) -> Number:
    """µs; -1 where it is not told. Of a time in three parts the sum of those that are."""
    if shape.roles[DURATION] == NONE:
        return np.int64(-1)
    unit = shape.rules[DURATION_UNIT]
    if shape.roles[DURATION_3] == NONE:
        return _decimal(data, shape, fields, DURATION, unit)
    took_us = np.int64(-1)
    for role in (DURATION, DURATION_2, DURATION_3):
        part_us = _decimal(data, shape, fields, role, unit)
        if part_us >= 0:
            took_us = max(took_us, np.int64(0)) + part_us
    return took_us


@inlined
def _number(data: Bytes, shape: Shape, fields: Places, role: Number) -> Number:
    if shape.roles[role] == NONE:
        return np.int64(-1)
    return _decimal(data, shape, fields, role, 1)


@inlined
def _decimal(data: Bytes, shape: Shape, fields: Places, role: Number, unit: Number) -> Number:
    field = shape.roles[role]
    return decimal(data, fields[0, field], fields[1, field], unit)
