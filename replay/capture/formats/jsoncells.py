"""Fields of one JSON object a line, in one pass, where every line is as it should be.

A server writes the records of a session alike: the same keys in the same order, and most of what
stands between the values that differ is the same. So a record is compared, sixty-four bytes at once,
with an earlier one of its session that was read key by key, its model; only values that differ are
looked at.
"""

import numpy as np

from replay.capture.formats.cells import FIELDS, MORE, NAMED, WRONG, Cells, code
from replay.capture.formats.figures import STAMPED, local_us, number, zone_at
from replay.capture.formats.texts import ESCAPED, PLAIN, Spans
from replay.capture.kernels import (
    ONE,
    TWO,
    ZERO,
    Bytes,
    Ints,
    Number,
    as_bytes,
    compiled,
    inlined,
    place,
)
from replay.capture.words import (
    AT_ONCE,
    EIGHT,
    alike,
    count_in,
    first_of_bits,
    up_to,
    within,
    word_at,
)

# jsonlog's names of the fields that are wanted, and of what else is known; each with its number.
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
_NUMBERS = ("timestamp", "line_num", "query_id")
_OF_SESSION = ("session_start", "pid", "remote_host", "remote_port", "leader_pid")
_KEYS = [*(_NAMES[field] for field in FIELDS), *_NUMBERS, *_OF_SESSION]
_FIRST_TOLD, _BEHIND_TOLD = len(NAMED), len(FIELDS)
_TIMESTAMP, _LINE, _QUERY_ID, _STARTED = range(_BEHIND_TOLD, _BEHIND_TOLD + 4)
_AT_MOST = place(16)  # bytes of a key
_WORDS = np.array([key.ljust(16, "\0").encode() for key in _KEYS]).view(np.uint64).reshape(-1, 2)
_SIZES = np.array([len(key) for key in _KEYS], np.uint64)
_SLOT_BITS = place(56)  # left out of the product
_ALL = 7  # bits of what a record must have

# A model: how many spots it has, where values differ; its row; where it begins and ends. Then of each
# spot where it begins and ends, and what stands there.
_SPOTS_AT_MOST = 16
_COUNT, _ROW, _BEGIN, _END, _FIRST = map(place, range(5))
_SPOT = place(3)  # numbers of each
_OTHER, _TEXT = len(_KEYS), 32  # for no field that is wanted; added where it is a text
_MODELS, _WAYS = 2048, 4  # sessions by their hashes; models of each
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SESSION_SLOT = place(53)  # bits left out of a hash
_BEHIND_STAMP = place(14)  # bytes, at least: {"timestamp":"
_SEARCHED = 4  # times sixty-four bytes that are searched for the session
_SESSION = np.uint64(int.from_bytes(b"session_", "little"))
_ID = np.uint64(int.from_bytes(b'id":"', "little"))
_FIVE_BYTES = np.uint64((1 << 40) - 1)
_SEVEN = place(7)
_UNDERSCORE, _QUOTE, _SLASH, _ZERO_DIGIT = map(np.uint8, b'_"\\0')
_ODD = np.uint64(0xAAAAAAAAAAAAAAAA)
_LAST_BIT = place(63)


def _slots() -> tuple[np.uint64, Ints]:
    """A factor that gives every key a slot of its own, and the keys by slot; -1 for none."""
    draws = np.random.default_rng(1)
    while True:
        factor = draws.integers(1 << 63, 1 << 64, dtype=np.uint64) | ONE
        slots = ((_WORDS[:, 0] ^ _WORDS[:, 1]) * factor) >> _SLOT_BITS
        if np.unique(slots).size == slots.size:
            keys = np.full(256, -1)
            keys[slots] = np.arange(slots.size)
            return factor, keys


_FACTOR, _KEY_IN = _slots()


def split(block: memoryview) -> tuple[Cells, int] | None:
    """The fields, and the number of records; None where one is not as it should be, or there is none."""
    data = as_bytes(block)
    lines = int(count_in(data, np.uint8(10)))
    found = Cells.room(lines + 1)
    records = _take(data, found, _room())
    if records == MORE:
        found = Cells.more_room(lines + 1)
        records = _take(data, found, _room())
    return (found, records) if records > 0 else None


def _room() -> Spans:
    """Room for the models of a block."""
    return np.zeros((_MODELS * _WAYS, int(_FIRST) + int(_SPOT) * _SPOTS_AT_MOST), np.int32)


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
        for _ in range(_WAYS):
            if models[model, _COUNT]:
                end = _like(data, at, found, models, model, place(row))
                if end:
                    break
            model += ONE
        if not end:
            model = _vacant(models, first, row)
            end, known = _read(data, at, found, models, model, place(row), known)
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
                    return place(((one * _PRIME ^ other) * _PRIME >> _SESSION_SLOT) * place(_WAYS))
        at += AT_ONCE
    return ZERO


@inlined
def _vacant(models: Spans, first: np.uint64, row: Number) -> np.uint64:
    """A session's model that is none yet, or one of them in turn."""
    for step in range(_WAYS):
        if not models[first + place(step), _COUNT]:
            return place(first + place(step))
    return place(first + place(row % _WAYS))


@inlined
def _like(
    data: Bytes, at: np.uint64, found: Cells, models: Spans, model: np.uint64, row: np.uint64
) -> np.uint64:
    """Take the fields of a record like a model; where it ends, or 0 where it is not like it."""
    size, old = place(data.size), place(models[model, _ROW])
    there, spot = place(models[model, _BEGIN]), _FIRST
    for _ in range(models[model, _COUNT]):
        begin = place(models[model, spot])
        if not _goes_on(data, there, at, begin - there):
            return _forget(found, row)
        at += begin - there
        there = place(models[model, spot + ONE])
        field = np.int64(models[model, spot + TWO])
        spot += _SPOT
        if field == _TIMESTAMP:
            found.numbers[0, row] = local_us(data, at, found.minute)
            if found.numbers[0, row] < 0:
                return _forget(found, row)
            at += STAMPED
        elif field >= _TEXT:
            end, mark = _text(data, at)
            if end >= size:
                return _forget(found, row)
            field -= _TEXT
            if field < _BEHIND_TOLD:
                found.begins[field, row], found.ends[field, row] = at, end
                found.marks[field, row] = mark
            at = end
        else:
            end = _behind_number(data, at)
            if end == at:
                return _forget(found, row)
            if field < _OTHER:
                value, right = number(data, at, end)
                if not right:
                    return _forget(found, row)
                found.numbers[2 + field - _LINE, row] = value
            at = end
    rest = place(models[model, _END]) - there
    if not _goes_on(data, there, at, rest):
        return _forget(found, row)
    for named in range(_FIRST_TOLD):
        found.codes[named, row] = found.codes[named, old]
    found.numbers[1, row] = found.numbers[1, old]
    return at + rest


@inlined
def _forget(found: Cells, row: np.uint64) -> np.uint64:
    """Leave nothing of a record that is not like its model; gives 0."""
    found.numbers[3, row] = 0
    for field in range(_FIRST_TOLD, _BEHIND_TOLD):
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


@inlined
def _behind_number(data: Bytes, at: np.uint64) -> np.uint64:
    """Where the digits end that stand there, with a sign perhaps; `at` for none."""
    if at + AT_ONCE >= place(data.size):
        return at
    begin = at + place(data[at] == 45)
    end = begin + first_of_bits(~within(data, begin, _ZERO_DIGIT, np.uint8(10)))
    return end if end > begin else at


@inlined
def _text(data: Bytes, at: np.uint64) -> tuple[np.uint64, Number]:
    """Where the quote stands that ends a text, and how it is written; the data's size for none."""
    size, mark, escaped_first = place(data.size), PLAIN, ZERO
    nothing, once, controls = np.uint8(0), np.uint8(1), np.uint8(32)
    while at + AT_ONCE <= size:
        quotes = within(data, at, _QUOTE, once)
        slashes = within(data, at, _SLASH, once)
        low = within(data, at, nothing, controls)
        if slashes | escaped_first:
            # Of the slashes of a run, each second one is escaped (simdjson, Langdale and Lemire 2019).
            escaping = slashes & ~escaped_first
            series = ((escaping << ONE) | _ODD) - escaping
            terminal = series ^ _ODD
            quotes &= ~(terminal ^ (slashes | escaped_first))
            escaped_first = (terminal & slashes) >> _LAST_BIT
        before = (quotes - ONE) & ~quotes  # all, where there is no quote
        if low & before:
            return size, mark
        if slashes & before:
            mark = ESCAPED
        if quotes:
            return at + first_of_bits(quotes), mark
        at += AT_ONCE
    skips = escaped_first != ZERO
    while at < size:
        byte = data[at]
        if byte < 32:
            return size, mark
        if byte == 34 and not skips:
            return at, mark
        skips = byte == 92 and not skips
        if skips:
            mark = ESCAPED
        at += ONE
    return size, mark


@inlined
def _read(
    data: Bytes,
    at: np.uint64,
    found: Cells,
    models: Spans,
    model: np.uint64,
    row: np.uint64,
    known: Number,
) -> tuple[np.uint64, Number]:
    """Take the fields of a record, key by key, and make it a model; where it ends, or 0 for a wrong one.

    And how many zones are known then.
    """
    size, seen, spots, spot = place(data.size), 0, 0, _FIRST
    models[model, _ROW], models[model, _BEGIN], models[model, _COUNT] = row, at, 0
    if data[at] != 123:  # {
        return ZERO, known
    while True:
        # A key in quotes, a colon, and the first byte of what follows.
        at += ONE
        if at >= size or data[at] != 34:
            return ZERO, known
        begin = at + ONE
        end, _ = _text(data, begin)
        at = end + TWO
        if at >= size or data[end + ONE] != 58:
            return ZERO, known
        key = _key(data, begin, end)
        is_text, mark = data[at] == 34, PLAIN
        if is_text:
            begin = at + ONE
            end, mark = _text(data, begin)
            at = end + ONE
        else:
            begin = at
            while at < size and _in_number(data[at]):
                at += ONE
            end = at
            if begin == end:
                return ZERO, known
        if at >= size:
            return ZERO, known
        if key == _TIMESTAMP:
            found.numbers[0, row] = local_us(data, begin, found.minute)
            if found.numbers[0, row] < 0 or end <= begin + STAMPED or mark != PLAIN:
                return ZERO, known
            zone = zone_at(data, begin + STAMPED, end, found.zones, known)
            if zone < 0:
                return ZERO, known
            known = max(known, zone + 1)
            found.numbers[1, row] = zone
            end = begin + STAMPED  # a zone is that of the model
            seen |= 1
        elif key in (_LINE, _QUERY_ID):
            found.numbers[2 + key - _LINE, row], right = number(data, begin, end)
            if not right:
                return ZERO, known
            seen |= 2 * (key == _LINE)
        elif key == _STARTED:
            found.started[0, row], found.started[1, row] = begin, end
        elif 0 <= key < _BEHIND_TOLD:
            seen |= 4 * (key == 0)
            found.begins[key, row], found.ends[key, row] = begin, end
            found.marks[key, row] = mark
        if key < 0 or _FIRST_TOLD <= key < _STARTED:
            usual = key < 0 or key == _TIMESTAMP or is_text == (key < _BEHIND_TOLD)
            spots += 1 if usual else _SPOTS_AT_MOST + 1
            if spots <= _SPOTS_AT_MOST:
                models[model, spot], models[model, spot + ONE] = begin, end
                what = _OTHER if key < 0 else key
                models[model, spot + TWO] = what + _TEXT * (is_text and key != _TIMESTAMP)
                spot += _SPOT
        if data[at] != 44:  # ,
            break
    if data[at] != 125 or seen != _ALL:  # }
        return ZERO, known
    at += ONE
    if at < size and data[at] == 13:
        at += ONE
    if at < size:
        if data[at] != 10:
            return ZERO, known
        at += ONE
    models[model, _END], models[model, _COUNT] = at, spots * (spots <= _SPOTS_AT_MOST)
    return at, known


@inlined
def _in_number(byte: Number) -> Number:
    """Whether a byte may stand in a number, or in true, false and null."""
    return 48 <= byte <= 57 or 97 <= byte <= 122 or byte in (43, 45, 46, 69)


@inlined
def _key(data: Bytes, begin: np.uint64, end: np.uint64) -> Number:
    """Which key it is; -1 for none that is known."""
    size = end - begin
    if size > _AT_MOST:
        return -1
    one, other = up_to(data, begin, end), place(0)
    if size > EIGHT:
        other = up_to(data, begin + EIGHT, end)
    key = _KEY_IN[((one ^ other) * _FACTOR) >> _SLOT_BITS]
    if key < 0 or _WORDS[key, 0] != one or _WORDS[key, 1] != other or _SIZES[key] != size:
        return -1
    return key
