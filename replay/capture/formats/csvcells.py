"""csvlog's fields found in two passes over a block, where every record is as it should be.

The first finds what separates fields, sixty-four bytes at once: what is inside quotes is told by the
parity of the quotes before. The second takes the fields that are wanted.
"""

import numpy as np

from replay.capture.formats.cells import FIELDS, MORE, WRONG, Cells, Places, code
from replay.capture.formats.figures import STAMPED, local_us, number, zone_at
from replay.capture.formats.texts import DOUBLED, PLAIN
from replay.capture.kernels import ONE, Bytes, Number, as_bytes, compiled, inlined, place
from replay.capture.words import AT_ONCE, count_of_bits, first_of_bits, holds, running, within

MOST = 26  # columns
_AT = {
    "user": 1,
    "database": 2,
    "session": 5,
    "severity": 11,
    "sqlstate": 12,
    "message": 13,
    "detail": 14,
    "context": 18,
    "statement": 19,
    "application": 22,
    "backend_type": 23,
}
_LINE, _STARTED, _QUERY_ID = 6, 8, 25
# Columns of fields that are wanted, and which fields those are.
_COLUMNS = np.array([*_AT.values()], np.uint64)
_FIELDS = np.array([FIELDS.index(name) for name in _AT], np.uint64)
_LAST_BIT = place(63)


def split(block: memoryview, columns: int) -> tuple[Cells, int] | None:
    """The fields, and the number of records; None where one is not as it should be, or there is none."""
    data = as_bytes(block)
    separators = np.empty(data.size + 1, np.uint32)
    records = _separate(data, columns, separators) // columns
    if records <= 0:
        return None
    found = Cells.room(records)
    count = _take(data, columns, separators, found)
    if count == MORE:
        found = Cells.more_room(records)
        count = _take(data, columns, separators, found)
    return None if count == WRONG else (found, count)


@compiled
def _separate(data: Bytes, columns: Number, separators: Places) -> Number:
    """Find the places behind all fields, as many as there are columns in every line."""
    size = place(data.size)
    if size == 0:
        return 0
    ended = data[size - ONE] == 10
    stop = size if ended else size + ONE  # where a line break is missing there
    once = np.uint8(1)
    quote, comma, line = np.uint8(34), np.uint8(44), np.uint8(10)
    window = np.zeros(64, np.uint8)
    at, count, line_end = place(0), place(0), place(columns - 1)
    inside = place(0)  # all bits of the last byte
    may_open, must_end = ONE, place(0)
    while at < stop:
        if at + AT_ONCE <= size:
            quotes = within(data, at, quote, once)
            commas = within(data, at, comma, once)
            lines = within(data, at, line, once)
        else:
            window[:] = 0
            for step in range(size - at):
                window[step] = data[at + step]
            quotes = within(window, place(0), quote, once)
            commas = within(window, place(0), comma, once)
            lines = within(window, place(0), line, once)
            if not ended:
                lines |= ONE << (size - at)
        quoted = running(quotes) ^ inside
        inside = place(np.int64(quoted) >> 63)
        opens, closes = quotes & quoted, quotes & ~quoted
        found, lines = (commas | lines) & ~quoted, lines & ~quoted
        before = found | closes
        if opens & ~((before << ONE) | may_open):
            return WRONG
        if ((closes << ONE) | must_end) & ~(found | opens):
            return WRONG
        may_open, must_end = before >> _LAST_BIT, closes >> _LAST_BIT
        while lines:
            bit = lines & (~lines + ONE)
            if count + count_of_bits(found & (bit - ONE)) != line_end:
                return WRONG
            line_end += place(columns)
            lines ^= bit
        while found:
            separators[count] = at + first_of_bits(found)
            count += ONE
            found &= found - ONE
        at += AT_ONCE
    if inside or count + place(columns - 1) != line_end:
        return WRONG
    return np.int64(count)


@compiled
def _take(data: Bytes, columns: Number, separators: Places, found: Cells) -> Number:
    """Take the fields that are wanted; how many records there are, or WRONG, or MORE."""
    at, known, first = place(0), 0, place(0)
    minute = np.zeros(3, np.uint64)
    for record in range(found.last.size):
        row = place(record)
        last = first + place(columns - 1)
        found.records[0, row] = at
        found.numbers[0, row] = local_us(data, at, minute)
        zone = zone_at(data, at + STAMPED, place(separators[first]), found.zones, known)
        if found.numbers[0, row] < 0 or zone < 0:
            return WRONG
        found.numbers[1, row] = zone
        known = max(known, zone + 1)
        for step in range(place(_COLUMNS.size)):
            column = _COLUMNS[step]
            if column >= place(columns):
                continue
            begin = place(separators[first + column - ONE]) + ONE
            end = place(separators[first + column])
            field = _FIELDS[step]
            if begin < end and data[begin] == 34:
                begin += ONE
                end -= ONE
                found.marks[field, row] = DOUBLED if holds(data, begin, end, 34) else PLAIN
            found.begins[field, row], found.ends[field, row] = begin, end
        found.numbers[2, row], right = _number(data, separators, first, _LINE)
        if columns == MOST:
            found.numbers[3, row], also_right = _number(data, separators, first, _QUERY_ID)
            right &= also_right
        if not right:
            return WRONG
        found.started[0, row] = separators[first + place(_STARTED - 1)] + 1
        found.started[1, row] = separators[first + place(_STARTED)]
        right = code(
            data,
            found.begins,
            found.ends,
            found.codes,
            found.firsts,
            found.counts,
            found.table,
            found.last,
            row,
        )
        if not right:
            return MORE
        at = min(place(separators[last]) + ONE, place(data.size))
        found.records[1, row] = at
        first = last + ONE
    return found.last.size


@inlined
def _number(
    data: Bytes, separators: Places, first: np.uint64, column: Number
) -> tuple[Number, bool]:
    begin = place(separators[first + place(column - 1)]) + ONE
    return number(data, begin, place(separators[first + place(column)]))
