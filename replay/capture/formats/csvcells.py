"""csvlog's fields found in one pass over the bytes of a block, where every record is as it should be."""

import numpy as np

from replay.capture.formats.cells import (
    DOUBLED,
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

MOST = 26  # columns
_SHORTEST = 128  # bytes a record, nearly always
_STARTED = 8  # the column of the session's start
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
_LINE, _QUERY_ID = 6, 25
# Which field a column is; -1 for one that is not wanted.
_FIELD = np.full(MOST, -1)
for _name, _place in _AT.items():
    _FIELD[_place] = FIELDS.index(_name)
_STAMPED = place(STAMPED)


def split(block: memoryview, columns: int) -> tuple[Cells, int] | None:
    """The fields, and the number of records; None where a record is not as it should be."""
    return cells_of(block, _split, columns, shortest=_SHORTEST)


@compiled
def _split(
    data: Bytes,
    columns: Number,
    records: Spans,
    numbers: Ints,
    begins: Spans,
    ends: Spans,
    marks: Marks,
    zones: Spans,
    started: Spans,
) -> Number:
    at, size, row, known = ZERO, np.uint64(data.size), 0, 0
    while at < size:
        if row == records.shape[1]:
            return MORE
        if at + _STAMPED >= size:
            return WRONG
        numbers[0, row] = local_us(data, np.int64(at))
        if numbers[0, row] < 0:
            return WRONG
        records[0, row] = at
        for column in range(columns):
            mark = PLAIN
            if at < size and data[at] == 34:
                at += ONE
                begin = at
                while True:
                    while at < size and data[at] != 34:
                        at += ONE
                    if at + ONE < size and data[at + ONE] == 34:
                        mark = DOUBLED
                        at += TWO
                    else:
                        break
                end = at
                at += ONE
            else:
                begin = at
                while at < size and data[at] != 44 and data[at] != 10:
                    if data[at] == 34:
                        return WRONG
                    at += ONE
                end = at
            if at > size or (at == size and column < columns - 1):
                return WRONG
            if at < size and data[at] != (44 if column < columns - 1 else 10):
                return WRONG
            at += ONE
            field = _FIELD[column]
            if field >= 0:
                begins[field, row], ends[field, row], marks[field, row] = begin, end, mark
            elif column == 0:
                zone = zone_at(data, np.int64(begin + _STAMPED), np.int64(end), zones, known)
                if zone < 0:
                    return WRONG
                known = max(known, zone + 1)
                numbers[1, row] = zone
            elif column == _LINE:
                numbers[2, row], right = number(data, np.int64(begin), np.int64(end))
                if not right:
                    return WRONG
            elif column == _STARTED:
                started[0, row], started[1, row] = begin, end
            elif column == _QUERY_ID:
                numbers[3, row], right = number(data, np.int64(begin), np.int64(end))
                if not right:
                    return WRONG
        records[1, row] = min(at, size)
        row += 1
    return row
