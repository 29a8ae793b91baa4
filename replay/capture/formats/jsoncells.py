"""Fields of one JSON object a line, found in one pass, where every line is as it should be."""

import numpy as np

from replay.capture.formats.cells import (
    ESCAPED,
    FIELDS,
    MORE,
    PLAIN,
    STAMPED,
    WRONG,
    Cells,
    Marks,
    Spans,
    cells_of,
    local_us,
    number,
    zone_at,
)
from replay.capture.kernels import ONE, TWO, ZERO, Bytes, Ints, Number, compiled, place

_SHORTEST = 192  # bytes a record, nearly always
_STAMPED = place(STAMPED)
# jsonlog's names of the fields that are wanted, and of what else is; each with its number.
_NAMES = {
    "session": "session_id",
    "user": "user",
    "database": "dbname",
    "application": "application_name",
    "backend_type": "backend_type",
    "severity": "error_severity",
    "sqlstate": "state_code",
    "message": "message",
    "detail": "detail",
    "context": "context",
    "statement": "statement",
}
_OTHERS = ("timestamp", "line_num", "query_id", "session_start")
_KEYS = [*(_NAMES[field] for field in FIELDS), *_OTHERS]
_TIMESTAMP, _LINE, _QUERY_ID, _STARTED = range(len(FIELDS), len(_KEYS))
_KEY_TEXT = np.frombuffer("".join(_KEYS).encode(), np.uint8)
_KEY_AT = np.cumsum([0, *map(len, _KEYS)]).astype(np.uint64)


def split(block: memoryview) -> tuple[Cells, int] | None:
    """The fields, and the number of records; None where a line is not as it should be."""
    return cells_of(block, _split, shortest=_SHORTEST)


@compiled
def _split(
    data: Bytes,
    records: Spans,
    numbers: Ints,
    begins: Spans,
    ends: Spans,
    marks: Marks,
    zones: Spans,
    started: Spans,
) -> Number:
    at, size, row, known, guess = ZERO, np.uint64(data.size), 0, 0, 0
    while at < size:
        if data[at] == 10 or data[at] == 13:
            at += ONE
            continue
        if row == records.shape[1]:
            return MORE
        if data[at] != 123:  # {
            return WRONG
        records[0, row] = at
        seen = 0
        at += ONE
        while True:
            if at >= size or data[at] != 34:
                return WRONG
            begin = at + ONE
            at, mark = _after_string(data, begin, size)
            if at + ONE >= size or data[at] != 58:  # :
                return WRONG
            key = _key(data, begin, at - ONE, guess)
            guess = key + 1 if key >= 0 else guess
            at += ONE
            if data[at] == 34:
                begin = at + ONE
                at, mark = _after_string(data, begin, size)
                end = at - ONE
            else:
                begin, mark = at, PLAIN
                while at < size and _in_number(data[at]):
                    at += ONE
                end = at
                if begin == end:
                    return WRONG
            if at >= size:
                return WRONG
            if key >= _TIMESTAMP:
                if key == _TIMESTAMP:
                    if end < begin + _STAMPED or mark != PLAIN:
                        return WRONG
                    numbers[0, row] = local_us(data, np.int64(begin))
                    zone = zone_at(data, np.int64(begin + _STAMPED), np.int64(end), zones, known)
                    if numbers[0, row] < 0 or zone < 0 or end == begin + _STAMPED:
                        return WRONG
                    known = max(known, zone + 1)
                    numbers[1, row] = zone
                    seen |= 1
                elif key == _LINE:
                    numbers[2, row], right = number(data, np.int64(begin), np.int64(end))
                    if not right:
                        return WRONG
                    seen |= 2
                elif key == _QUERY_ID:
                    numbers[3, row], right = number(data, np.int64(begin), np.int64(end))
                    if not right:
                        return WRONG
                else:
                    started[0, row], started[1, row] = begin, end
            elif key >= 0:
                if key == 0:
                    seen |= 4
                begins[key, row], ends[key, row], marks[key, row] = begin, end, mark
            if data[at] == 44:  # ,
                at += ONE
                continue
            break
        if data[at] != 125 or seen != 7:  # }
            return WRONG
        at += ONE
        if at < size and data[at] == 13:
            at += ONE
        if at < size:
            if data[at] != 10:
                return WRONG
            at += ONE
        records[1, row] = at
        row += 1
    return row


@compiled
def _after_string(data: Bytes, at: np.uint64, size: np.uint64) -> tuple[np.uint64, Number]:
    """Behind the quote that closes a string, and whether it holds escapes; beyond the end if none does."""
    mark = PLAIN
    while at < size:
        byte = data[at]
        if byte == 34:
            return at + ONE, mark
        if byte == 92:
            mark = ESCAPED
            at += ONE
        elif byte < 32:
            break
        at += ONE
    return size + TWO, mark


@compiled
def _in_number(byte: Number) -> Number:
    """Whether a byte may stand in a number, or in true, false and null."""
    return 48 <= byte <= 57 or 97 <= byte <= 122 or byte in (43, 45, 46, 69)


@compiled
def _key(data: Bytes, begin: np.uint64, end: np.uint64, guess: Number) -> Number:
    """Which key it is, beginning to look where the last one was found; -1 for none that is wanted."""
    size = end - begin
    count = _KEY_AT.size - 1
    for step in range(count):
        key = guess + step
        key = key - count if key >= count else key
        first = _KEY_AT[key]
        if _KEY_AT[key + 1] - first != size:
            continue
        same = True
        for letter in range(size):
            if _KEY_TEXT[first + letter] != data[begin + letter]:
                same = False
                break
        if same:
            return key
    return -1
