"""Fields of records by their places in a block, and columns made of them."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.formats.clock import Zones
from replay.capture.formats.columns import TEXTS, Columns, Ints
from replay.capture.kernels import ONE, TWO, ZERO, Bytes, Number, compiled

# Cells that are wanted, in the order in which they are kept.
NAMED = ("session", "user", "database", "application", "backend_type", "severity", "sqlstate")
TOLD = ("message", "detail", "context", "statement")
FIELDS = (*NAMED, *TOLD)
STAMPED = 24  # bytes of `2026-01-31 23:59:59.123 `, before the zone
ZONES_AT_MOST = 64  # in a block

MORE, WRONG = -2, -1
"""In the place of a number of records: there was no room for all, and one is not as it should be."""
PLAIN, DOUBLED, ESCAPED = 0, 1, 2
"""How a text is written: as it is, with its quotes doubled, with JSON's escapes."""

Spans = npt.NDArray[np.int32]
Marks = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Cells:
    """What is known of a block's records; arrays have room for more than there are."""

    records: Spans  # begin and end
    numbers: Ints  # local µs, zone, line of the session, query id
    begins: Spans  # by field and record
    ends: Spans
    marks: Marks  # how the text is written
    zones: Spans  # begin and end of each zone's name
    started: Spans  # begin and end of the session's start

    @classmethod
    def room(cls, records: int) -> "Cells":
        """Room for so many records."""
        return cls(
            records=np.zeros((2, records), np.int32),
            numbers=np.zeros((4, records), np.int64),
            begins=np.zeros((len(FIELDS), records), np.int32),
            ends=np.zeros((len(FIELDS), records), np.int32),
            marks=np.zeros((len(FIELDS), records), np.uint8),
            zones=np.zeros((2, ZONES_AT_MOST), np.int32),
            started=np.zeros((2, records), np.int32),
        )


def cells_of(
    block: memoryview, split: Callable[..., int], *options: int, shortest: int
) -> tuple[Cells, int] | None:
    """What a compiled `split` finds in a block, and how many records; None where it finds a fault.

    `shortest` is how many bytes a record has nearly always; MORE says that there was no room.
    """
    data = np.frombuffer(block, np.uint8)
    room = data.size // shortest + 64
    while True:
        found = Cells.room(room)
        arrays = (getattr(found, field.name) for field in fields(Cells))
        count = split(data, *options, *arrays)
        if count != MORE:
            return (found, count) if count >= 0 else None
        room *= 4


def columns(block: memoryview, found: Cells, count: int, zones: Zones) -> Columns:
    """The columns of the first `count` records."""
    data = np.frombuffer(block, np.uint8)
    local_us, zone, line_num, query_id = found.numbers[:, :count]
    named, told = {}, {}
    for place, name in enumerate(FIELDS):
        begins, ends = found.begins[place, :count], found.ends[place, :count]
        marks = found.marks[place, :count]
        if place < len(NAMED):
            named[name] = _names(data, begins, ends, marks)
        else:
            told[name] = _texts(data, begins, ends, marks)
    names = [bytes(block[begin:end]) for begin, end in found.zones[:, : int(zone.max()) + 1].T]
    sessions = (
        (bytes(block[found.begins[0, row] : found.ends[0, row]]), _text(block, found.started, row))
        for row in _firsts(named["session"])
    )
    return Columns(
        begin=found.records[0, :count].astype(np.int64),
        end=found.records[1, :count].astype(np.int64),
        at_us=zones.epoch_us(local_us, zone, names, sessions),
        line_num=line_num,
        query_id=query_id,
        **named,
        **told,
    )


def _text(block: memoryview, spans: Spans, row: int) -> bytes:
    return bytes(block[spans[0, row] : spans[1, row]])


def _firsts(column: pa.DictionaryArray) -> list[int]:
    """The first row of every name."""
    codes = column.indices.to_numpy()
    first = np.zeros(len(column.dictionary), np.int64)
    first[codes[::-1]] = np.arange(codes.size)[::-1]
    return first.tolist()


def _names(data: Bytes, begins: Spans, ends: Spans, marks: Marks) -> pa.DictionaryArray:
    codes = np.empty(begins.size, np.int32)
    firsts = np.empty(begins.size, np.int32)
    count = _encode(data, begins, ends, codes, firsts)
    which = firsts[:count]
    values = _texts(data, begins[which], ends[which], marks[which])
    return pa.DictionaryArray.from_arrays(pa.array(codes), values)


def _texts(data: Bytes, begins: Spans, ends: Spans, marks: Marks) -> pa.BinaryArray:
    offsets = np.zeros(begins.size + 1, np.int32)
    text = np.empty(int((ends - begins).sum()), np.uint8)
    size = _copy(data, begins, ends, marks, offsets, text)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text[:size])]
    return pa.BinaryArray.from_buffers(TEXTS, begins.size, buffers)


_LEAST = -(1 << 63)


@compiled
def local_us(data: Bytes, at: Number) -> Number:
    """Epoch µs of `2026-01-31 23:59:59.123 ` as if it were UTC; -1 where there is none."""
    for place in range(24):
        byte = data[at + place]
        if place in (4, 7):
            right = byte == 45
        elif place in (10, 23):
            right = byte == 32
        elif place in (13, 16):
            right = byte == 58
        elif place == 19:
            right = byte == 46
        else:
            right = 48 <= byte <= 57
        if not right:
            return -1
    year = two(data, at) * 100 + two(data, at + 2)
    month, day = two(data, at + 5), two(data, at + 8)
    hour, minute, second = two(data, at + 11), two(data, at + 14), two(data, at + 17)
    if month < 1 or month > 12 or day < 1 or day > 31 or hour > 24 or minute > 59 or second > 60:
        return -1
    # Days from civil: years begin in March, so that the leap day comes last.
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    seconds = (days * 24 + hour) * 3600 + minute * 60 + second
    thousandths = two(data, at + 20) * 10 + data[at + 22] - 48
    return seconds * 1_000_000 + thousandths * 1000


@compiled
def two(data: Bytes, at: Number) -> Number:
    """The number that two digits make."""
    return (np.int64(data[at]) - 48) * 10 + data[at + 1] - 48


@compiled
def number(data: Bytes, at: Number, end: Number) -> tuple[Number, bool]:
    """The whole number that stands there, 0 where nothing does; and whether nothing else stands there."""
    negative = at < end and data[at] == 45
    value = np.int64(0)
    if negative:
        at += 1
        if at == end:
            return value, False
    while at < end:
        digit = np.int64(data[at]) - 48
        if digit < 0 or digit > 9 or value < (_LEAST + digit) // 10:
            return value, False
        value = value * 10 - digit  # below zero there is room for one more
        at += 1
    if not negative and value == _LEAST:
        return value, False
    return (value if negative else -value), True


@compiled
def zone_at(data: Bytes, at: Number, end: Number, zones: Spans, known: Number) -> Number:
    """The number of a zone's name among those known, or the next one; -1 where there are too many."""
    for zone in range(known - 1, -1, -1):
        begin, size = zones[0, zone], zones[1, zone] - zones[0, zone]
        if size != end - at:
            continue
        same = True
        for place in range(size):
            if data[begin + place] != data[at + place]:
                same = False
                break
        if same:
            return zone
    if known >= zones.shape[1]:
        return -1
    zones[0, known], zones[1, known] = at, end
    return known


@compiled
def _encode(data: Bytes, begins: Spans, ends: Spans, codes: Spans, firsts: Spans) -> Number:
    """Give equal texts equal codes, numbered in order of appearance; says how many there are."""
    room = 1024
    while room < 2 * begins.size:
        room *= 2
    table = np.full(room, -1, np.int32)
    count = 0
    for row in range(begins.size):
        begin, size = begins[row], ends[row] - begins[row]
        hashed = np.uint64(0xCBF29CE484222325)
        for place in range(size):
            hashed = (hashed ^ np.uint64(data[begin + place])) * np.uint64(0x100000001B3)
        slot = np.int64((hashed ^ (hashed >> np.uint64(32))) & np.uint64(room - 1))
        while True:
            code = table[slot]
            if code < 0:
                code = count
                table[slot] = code
                firsts[code] = row
                count += 1
                break
            first = begins[firsts[code]]
            same = ends[firsts[code]] - first == size
            place = 0
            while same and place < size:
                same = data[first + place] == data[begin + place]
                place += 1
            if same:
                break
            slot = (slot + 1) & (room - 1)
        codes[row] = code
    return count


@compiled
def _copy(
    data: Bytes, begins: Spans, ends: Spans, marks: Marks, offsets: Spans, text: Bytes
) -> Number:
    """Put the texts behind one another, as they are meant; says how long they are together."""
    out = ZERO
    for row in range(begins.size):
        at, end, mark = np.uint64(begins[row]), np.uint64(ends[row]), marks[row]
        if mark == PLAIN:
            for step in range(end - at):
                text[out + step] = data[at + step]
            out += end - at
        elif mark == DOUBLED:
            while at < end:
                text[out] = data[at]
                out += ONE
                doubled = data[at] == 34 and at + ONE < end and data[at + ONE] == 34
                at += TWO if doubled else ONE
        else:
            while at < end:
                if data[at] != 92:
                    text[out] = data[at]
                    out += ONE
                    at += ONE
                else:
                    behind, longer = _unescaped(
                        data, np.int64(at), np.int64(end), text, np.int64(out)
                    )
                    at, out = np.uint64(behind), np.uint64(longer)
        offsets[row + 1] = out
    return np.int64(out)


@compiled
def _unescaped(
    data: Bytes, at: Number, end: Number, text: Bytes, out: Number
) -> tuple[Number, Number]:
    """Write what a JSON escape means, which is shorter than the escape; both places behind it."""
    letter = data[at + 1] if at + 1 < end else 92
    if letter != 117:  # u
        plain = letter
        for place in range(_LETTERS.size):
            if _LETTERS[place] == letter:
                plain = _MEANT[place]
        text[out] = plain
        return at + 2, out + 1
    code = _hex4(data, at + 2, end)
    at += 6
    if 0xD800 <= code < 0xDC00 and at + 1 < end and data[at] == 92 and data[at + 1] == 117:
        low = _hex4(data, at + 2, end)
        if 0xDC00 <= low < 0xE000:
            code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
            at += 6
    if code < 0x80:
        text[out] = code
        return at, out + 1
    if code < 0x800:
        text[out], text[out + 1] = 0xC0 | code >> 6, 0x80 | code & 0x3F
        return at, out + 2
    if code < 0x10000:
        text[out], text[out + 1] = 0xE0 | code >> 12, 0x80 | (code >> 6) & 0x3F
        text[out + 2] = 0x80 | code & 0x3F
        return at, out + 3
    text[out], text[out + 1] = 0xF0 | code >> 18, 0x80 | (code >> 12) & 0x3F
    text[out + 2], text[out + 3] = 0x80 | (code >> 6) & 0x3F, 0x80 | code & 0x3F
    return at, out + 4


@compiled
def _hex4(data: Bytes, at: Number, end: Number) -> Number:
    value = 0
    for place in range(at, min(at + 4, end)):
        digit = data[place]
        value = value * 16 + (digit - 48 if digit <= 57 else (digit | 32) - 87)
    return value


_LETTERS = np.frombuffer(b"bfnrt", np.uint8)
_MEANT = np.frombuffer(b"\b\f\n\r\t", np.uint8)
