"""csvlog's fields found in two passes over a block, where every record is as it should be.

The first finds what separates fields, sixty-four bytes at once: what is inside quotes is told by the
parity of the quotes before. The second takes the fields that are wanted. Names that stand near one
another are compared at once with those of the session's record before, which mostly has the same.
"""

import numpy as np

from replay.capture.formats.cells import (
    FIELDS,
    MORE,
    NAMED,
    WRONG,
    Cells,
    before_in,
    name,
    name_some,
)
from replay.capture.formats.figures import STAMPED, local_us, number, zone_at
from replay.capture.formats.texts import DOUBLED, PLAIN
from replay.capture.kernels import ONE, ZERO, Bytes, Number, as_bytes, compiled, inlined, place
from replay.capture.words import (
    AT_ONCE,
    Places,
    count_of_bits,
    holds,
    places_in,
    put_bits,
    running,
    same,
    within,
)

MOST = 26  # columns
_AT = {
    "session": 5,
    "user": 1,
    "database": 2,
    "application": 22,
    "backend_type": 23,
    "severity": 11,
    "sqlstate": 12,
    "message": 13,
    "detail": 14,
    "context": 18,
    "statement": 19,
}
_LINE, _STARTED, _QUERY_ID = 6, 8, 25
_COLUMNS = np.array([_AT[field] for field in FIELDS], np.uint64)
_MESSAGE, _DETAIL, _CONTEXT, _STATEMENT = (
    place(FIELDS.index(field)) for field in ("message", "detail", "context", "statement")
)
_PAIRS = (len(NAMED) - 1) // 2  # of names behind the session's
# The separators ahead of each pair and behind it, or behind what else is alike in all of a session.
_FROM, _TO = np.array([0, 21, 10], np.uint64), np.array([5, 23, 12], np.uint64)
_BETWEEN = place(5)  # separators from the end of the detail to that of the statement
_LAST_BIT = place(63)


def split(block: memoryview, columns: int) -> tuple[Cells, int, int] | None:
    """The fields, and the numbers of records and of lines; None where one is not as it should be, or there is none."""
    data = as_bytes(block)
    separators, window = places_in(data), np.zeros(int(AT_ONCE), np.uint8)
    count, lines = _separate(data, columns, separators, window)
    if count == MORE:
        separators = places_in(data, each=True)
        count, lines = _separate(data, columns, separators, window)
    if count <= 0:
        return None
    records = count // columns
    found = Cells.room(records)
    taken = _take(data, columns, separators, found)
    if taken == MORE:
        found = Cells.more_room(records)
        taken = _take(data, columns, separators, found)
    return None if taken == WRONG else (found, taken, lines)


@compiled
def _separate(
    data: Bytes, columns: Number, separators: Places, window: Bytes
) -> tuple[Number, Number]:
    """Find the places behind all fields, as many as there are columns in every line; or WRONG, or MORE.

    And how many line breaks there are, those in texts included.
    """
    size = place(data.size)
    if size == 0:
        return 0, 0
    ended = data[size - ONE] == 10
    stop = size if ended else size + ONE  # where a line break is missing there
    once = np.uint8(1)
    quote, comma, line = np.uint8(34), np.uint8(44), np.uint8(10)
    at, count, line_end = place(0), place(0), place(columns - 1)
    inside = place(0)  # all bits of the last byte
    may_open, must_end, breaks = ONE, place(0), place(0)
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
        breaks += count_of_bits(lines)
        if at + AT_ONCE > size and not ended:
            lines |= ONE << (size - at)
        quoted = running(quotes) ^ inside
        inside = place(np.int64(quoted) >> 63)
        opens, closes = quotes & quoted, quotes & ~quoted
        found, lines = (commas | lines) & ~quoted, lines & ~quoted
        before = found | closes
        if opens & ~((before << ONE) | may_open):
            return WRONG, 0
        if ((closes << ONE) | must_end) & ~(found | opens):
            return WRONG, 0
        may_open, must_end = before >> _LAST_BIT, closes >> _LAST_BIT
        while lines:
            bit = lines & (~lines + ONE)
            if count + count_of_bits(found & (bit - ONE)) != line_end:
                return WRONG, 0
            line_end += place(columns)
            lines ^= bit
        if count + AT_ONCE > place(separators.size):
            return MORE, 0
        count = put_bits(found, at, separators, count)
        at += AT_ONCE
    if inside or count + place(columns - 1) != line_end:
        return WRONG, 0
    return np.int64(count), np.int64(breaks)


@compiled
def _take(data: Bytes, columns: Number, separators: Places, found: Cells) -> Number:
    """Take the fields that are wanted; how many records there are, or WRONG, or MORE."""
    records, numbers, started, zones = found.records, found.numbers, found.started, found.zones
    begins, ends, marks = found.begins, found.ends, found.marks
    codes, firsts, counts = found.codes, found.firsts, found.counts
    table, lasts = found.table, found.last
    at, known, first, minute = ZERO, 0, ZERO, found.minute
    for record in range(lasts.size):
        row = place(record)
        last = first + place(columns - 1)
        records[0, row] = at
        numbers[0, row] = local_us(data, at, minute)
        zone = zone_at(data, at + STAMPED, place(separators[first]), zones, known)
        if numbers[0, row] < 0 or zone < 0:
            return WRONG
        numbers[1, row] = zone
        known = max(known, zone + 1)
        numbers[2, row], right = _number(data, separators, first, _LINE)
        if columns == MOST:
            numbers[3, row], also_right = _number(data, separators, first, _QUERY_ID)
            right &= also_right
        if not right:
            return WRONG
        started[0, row] = place(separators[first + place(_STARTED - 1)]) + ONE
        started[1, row] = separators[first + place(_STARTED)]
        begins[0, row], ends[0, row], marks[0, row] = _field(data, separators, first, _COLUMNS[0])
        if not name(data, begins, ends, codes, firsts, counts, table, ZERO, row):
            return MORE
        before = before_in(codes, firsts, lasts, row)
        for pair in range(_PAIRS):
            one = place(1 + 2 * pair)
            begin = place(separators[first + _FROM[pair]]) + ONE
            to = min(_TO[pair], place(columns - 1))
            if before >= 0:
                base = place(before) * place(columns)
                size = place(separators[first + to]) - begin
                there = place(separators[base + _FROM[pair]]) + ONE
                if place(separators[base + to]) - there == size and same(data, there, begin, size):
                    codes[one, row] = codes[one, before]
                    codes[one + ONE, row] = codes[one + ONE, before]
                    continue
            for step in range(2):
                field = one + place(step)
                if _COLUMNS[field] < place(columns):
                    begins[field, row], ends[field, row], marks[field, row] = _field(
                        data, separators, first, _COLUMNS[field]
                    )
                else:
                    begins[field, row] = ends[field, row] = 0
            if not name_some(data, begins, ends, codes, firsts, counts, table, one, row):
                return MORE
        begins[_MESSAGE, row], ends[_MESSAGE, row], marks[_MESSAGE, row] = _field(
            data, separators, first, _COLUMNS[_MESSAGE]
        )
        begins[_DETAIL, row], ends[_DETAIL, row], marks[_DETAIL, row] = _field(
            data, separators, first, _COLUMNS[_DETAIL]
        )
        # Mostly neither is there: nothing but their separators.
        behind = first + _COLUMNS[_STATEMENT]
        if separators[behind] - separators[behind - _BETWEEN] == _BETWEEN:
            begins[_CONTEXT, row] = ends[_CONTEXT, row] = 0
            begins[_STATEMENT, row] = ends[_STATEMENT, row] = 0
        else:
            begins[_CONTEXT, row], ends[_CONTEXT, row], marks[_CONTEXT, row] = _field(
                data, separators, first, _COLUMNS[_CONTEXT]
            )
            begins[_STATEMENT, row], ends[_STATEMENT, row], marks[_STATEMENT, row] = _field(
                data, separators, first, _COLUMNS[_STATEMENT]
            )
        at = min(place(separators[last]) + ONE, place(data.size))
        records[1, row] = at
        first = last + ONE
    return lasts.size


@inlined
def _field(
    data: Bytes, separators: Places, first: np.uint64, column: np.uint64
) -> tuple[np.uint64, np.uint64, Number]:
    """Where a field of a record begins and ends, without the quotes around it, and how it is written."""
    begin = place(separators[first + column - ONE]) + ONE
    end = place(separators[first + column])
    mark = PLAIN
    if begin < end and data[begin] == 34:
        begin += ONE
        end -= ONE
        mark = DOUBLED if holds(data, begin, end, 34) else PLAIN
    return begin, end, mark


@inlined
def _number(
    data: Bytes, separators: Places, first: np.uint64, column: Number
) -> tuple[Number, bool]:
    begin = place(separators[first + place(column - 1)]) + ONE
    return number(data, begin, place(separators[first + place(column)]))
