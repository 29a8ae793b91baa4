"""csvlog's fields found in two passes over a block, where every record is as it should be.

The first finds what separates fields, sixty-four bytes at once: what is inside quotes is told by the
parity of the quotes before. The second takes the fields that are wanted.
"""

import numpy as np

from replay.capture.formats.cells import FIELDS, WRONG, Cells, Places
from replay.capture.formats.figures import STAMPED, local_us, number, zone_at
from replay.capture.formats.texts import DOUBLED, PLAIN, Marks, Spans
from replay.capture.kernels import ONE, Bytes, Ints, Number, as_bytes, compiled, place
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
_FIELDS = np.array([FIELDS.index(name) for name in _AT])
_LAST_BIT = place(63)


def split(block: memoryview, columns: int) -> Cells | None:
    """The fields; None where a record is not as it should be, and where there is none."""
    data = as_bytes(block)
    separators = np.empty(data.size + 1, np.uint32)
    count = _separate(data, columns, separators)
    if count <= 0:
        return None
    found = Cells.room(count // columns)
    right = _take(
        data,
        columns,
        separators,
        found.records,
        found.numbers,
        found.begins,
        found.ends,
        found.marks,
        found.zones,
        found.started,
    )
    return found if right else None


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
def _take(
    data: Bytes,
    columns: Number,
    separators: Places,
    records: Spans,
    numbers: Ints,
    begins: Spans,
    ends: Spans,
    marks: Marks,
    zones: Spans,
    started: Spans,
) -> bool:
    """Take the fields that are wanted; says whether all are as they should be."""
    at, known, first = place(0), 0, place(0)
    minute = np.zeros(3, np.uint64)
    for row in range(records.shape[1]):
        last = first + place(columns - 1)
        numbers[0, row] = local_us(data, at, minute)
        if numbers[0, row] < 0:
            return False
        zone = zone_at(data, at + STAMPED, place(separators[first]), zones, known)
        if zone < 0:
            return False
        numbers[1, row] = zone
        known = max(known, zone + 1)
        for step in range(_COLUMNS.size):
            column = _COLUMNS[step]
            if column >= place(columns):
                continue
            begin = place(separators[first + column - ONE]) + ONE
            end = place(separators[first + column])
            field = _FIELDS[step]
            if begin < end and data[begin] == 34:
                begin += ONE
                end -= ONE
                marks[field, row] = DOUBLED if holds(data, begin, end, 34) else PLAIN
            begins[field, row], ends[field, row] = begin, end
        line, right = _number(data, separators, first, _LINE)
        if not right:
            return False
        numbers[2, row] = line
        if columns == MOST:
            query_id, right = _number(data, separators, first, _QUERY_ID)
            if not right:
                return False
            numbers[3, row] = query_id
        started[0, row] = separators[first + place(_STARTED - 1)] + 1
        started[1, row] = separators[first + place(_STARTED)]
        records[0, row] = at
        at = min(place(separators[last]) + ONE, place(data.size))
        records[1, row] = at
        first = last + ONE
    return True


@compiled
def _number(
    data: Bytes, separators: Places, first: np.uint64, column: Number
) -> tuple[Number, bool]:
    begin = place(separators[first + place(column - 1)]) + ONE
    return number(data, begin, place(separators[first + place(column)]))
