"""Fields of one JSON object a line, in one pass, where every line is as it should be.

A server writes the records of a session alike: the same keys in the same order, and most of what
stands between the values that differ is the same. So a record is compared, sixty-four bytes at once,
with an earlier one of its session that was read key by key, its model; only values that differ are
looked at.
"""

import numpy as np

from replay.capture.formats.cells import MORE, WRONG, Cells, code
from replay.capture.formats.figures import STAMPED, local_us, number
from replay.capture.formats.jsonmodels import (
    BEGIN,
    COUNT,
    END,
    FIRST,
    OTHER,
    ROW,
    SPOT,
    TEXT,
    WAYS,
    read,
    room,
    vacant,
)
from replay.capture.formats.jsonwords import (
    BEHIND_TOLD,
    FIRST_TOLD,
    LINE,
    TIMESTAMP,
    number_end,
    text_end,
)
from replay.capture.formats.texts import PLAIN, Spans
from replay.capture.kernels import (
    ONE,
    TWO,
    ZERO,
    Bytes,
    Number,
    as_bytes,
    compiled,
    inlined,
    place,
)
from replay.capture.words import (
    AT_ONCE,
    alike,
    count_in,
    first_of_bits,
    within,
    word_at,
)

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SESSION_SLOT = place(53)  # bits left out of a hash
_BEHIND_STAMP = place(14)  # bytes, at least: {"timestamp":"
_SEARCHED = 4  # times sixty-four bytes that are searched for the session
_SESSION = np.uint64(int.from_bytes(b"session_", "little"))
_ID = np.uint64(int.from_bytes(b'id":"', "little"))
_FIVE_BYTES = np.uint64((1 << 40) - 1)
_SEVEN = place(7)
_UNDERSCORE = np.uint8(ord("_"))


def split(block: memoryview) -> tuple[Cells, int, int] | None:
    """The fields, and the numbers of records and of lines; None where one is not as it should be, or there is none."""
    data = as_bytes(block)
    lines = int(count_in(data, np.uint8(10)))
    found = Cells.room(lines + 1)
    records = _take(data, found, room())
    if records == MORE:
        found = Cells.more_room(lines + 1)
        records = _take(data, found, room())
    return (found, records, lines) if records > 0 else None


@compiled
def _take(data: Bytes, found: Cells, models: Spans) -> Number:
    """Take the fields that are wanted; how many records there are, or WRONG, or MORE."""
    size, at = place(data.size), ZERO
    row = known = 0
    while True:
        while at < size and (data[at] == 10 or data[at] == 13):
            at += ONE
        if at >= size:
            return row
        first = _models_of(data, at)
        end, model = ZERO, first
        for _ in range(WAYS):
            if models[model, COUNT]:
                end = _like(data, at, found, models, model, place(row))
                if end:
                    break
            model += ONE
        if not end:
            model = vacant(models, first, row)
            end, known = read(data, at, found, models, model, place(row), known)
            if not end:
                return WRONG
            right = code(
                data,
                found.begins,
                found.ends,
                found.codes,
                found.firsts,
                found.counts,
                found.table,
                found.last,
                place(row),
            )
            if not right:
                return MORE
        found.records[0, row], found.records[1, row] = at, end
        at = end
        row += 1


@inlined
def _models_of(data: Bytes, at: np.uint64) -> np.uint64:
    """The first of the models of the session whose record begins there; some one's where none is seen."""
    size = place(data.size)
    at += _BEHIND_STAMP
    for _ in range(_SEARCHED):
        if at + AT_ONCE + AT_ONCE > size:
            break
        bits = within(data, at, _UNDERSCORE, np.uint8(1))
        while bits:
            score = at + first_of_bits(bits)
            bits &= bits - ONE
            if word_at(data, score - _SEVEN) == _SESSION:
                begin = score + ONE
                if word_at(data, begin) & _FIVE_BYTES == _ID:
                    one = word_at(data, begin + place(5))
                    other = word_at(data, begin + place(13))  # with what stands behind an id
                    return place(((one * _PRIME ^ other) * _PRIME >> _SESSION_SLOT) * place(WAYS))
        at += AT_ONCE
    return ZERO


@inlined
def _like(
    data: Bytes, at: np.uint64, found: Cells, models: Spans, model: np.uint64, row: np.uint64
) -> np.uint64:
    """Take the fields of a record like a model; where it ends, or 0 where it is not like it."""
    size, old = place(data.size), place(models[model, ROW])
    there, spot = place(models[model, BEGIN]), FIRST
    for _ in range(models[model, COUNT]):
        begin = place(models[model, spot])
        if not _goes_on(data, there, at, begin - there):
            return _forget(found, row)
        at += begin - there
        there = place(models[model, spot + ONE])
        field = np.int64(models[model, spot + TWO])
        spot += SPOT
        if field == TIMESTAMP:
            found.numbers[0, row] = local_us(data, at, found.minute)
            if found.numbers[0, row] < 0:
                return _forget(found, row)
            at += STAMPED
        elif field >= TEXT:
            end, mark = text_end(data, at)
            if end >= size:
                return _forget(found, row)
            field -= TEXT
            if field < BEHIND_TOLD:
                found.begins[field, row], found.ends[field, row] = at, end
                found.marks[field, row] = mark
            at = end
        else:
            end = number_end(data, at)
            if end == at:
                return _forget(found, row)
            if field < OTHER:
                value, right = number(data, at, end)
                if not right:
                    return _forget(found, row)
                found.numbers[2 + field - LINE, row] = value
            at = end
    rest = place(models[model, END]) - there
    if not _goes_on(data, there, at, rest):
        return _forget(found, row)
    for named in range(FIRST_TOLD):
        found.codes[named, row] = found.codes[named, old]
    found.numbers[1, row] = found.numbers[1, old]
    return at + rest


@inlined
def _forget(found: Cells, row: np.uint64) -> np.uint64:
    """Leave nothing of a record that is not like its model; gives 0."""
    found.numbers[3, row] = 0
    for field in range(FIRST_TOLD, BEHIND_TOLD):
        found.begins[field, row] = found.ends[field, row] = 0
        found.marks[field, row] = PLAIN
    return ZERO


@inlined
def _goes_on(data: Bytes, one: np.uint64, other: np.uint64, size: np.uint64) -> bool:
    """Whether the same bytes stand at two places, the second of which comes later."""
    if other + size + AT_ONCE > place(data.size):
        return False
    while size > AT_ONCE:
        if ~alike(data, one, other):
            return False
        one += AT_ONCE
        other += AT_ONCE
        size -= AT_ONCE
    return bool(size == ZERO or ~alike(data, one, other) << (AT_ONCE - size) == ZERO)
