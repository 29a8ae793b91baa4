"""Fields of records by their places in a block, and columns made of them."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from replay.capture.formats.clock import Zones
from replay.capture.formats.columns import Columns, Ints
from replay.capture.formats.texts import Marks, Spans, Texts
from replay.capture.kernels import ONE, Bytes, Hashes, Number, compiled, inlined, place
from replay.capture.words import EIGHT, same, up_to

# Cells that are wanted, in the order in which they are kept.
NAMED = ("session", "user", "database", "application", "backend_type", "severity", "sqlstate")
TOLD = ("message", "detail", "context", "statement")
FIELDS = (*NAMED, *TOLD)
ZONES_AT_MOST = 64  # in a block

WRONG, MORE = -1, -2
"""In the place of a number: something is not as it should be, and there was no room for all names."""

_NAMED = len(NAMED)
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_NAMES = 1 << 13  # room for half as many different ones, nearly always enough


class Cells(NamedTuple):
    """What is known of a block's records."""

    records: Spans  # begin and end
    numbers: Ints  # local µs, zone, line of the session, query id
    begins: Spans  # by field and record
    ends: Spans
    marks: Marks  # how the text is written
    zones: Spans  # begin and end of each zone's name
    started: Spans  # begin and end of the session's start
    codes: Spans  # by named field and record: equal texts have equal ones, in order of appearance
    firsts: Spans  # by named field and code: the first record
    counts: Ints  # by named field: how many codes there are
    table: Spans  # to find names
    last: Spans  # by code of the session: its last record
    minute: Hashes  # see figures.local_us

    @classmethod
    def room(cls, records: int, *, names: int = _NAMES) -> "Cells":
        """Room for so many records."""
        return cls(
            records=np.empty((2, records), np.int32),
            numbers=np.zeros((4, records), np.int64),
            begins=np.zeros((len(FIELDS), records), np.int32),
            ends=np.zeros((len(FIELDS), records), np.int32),
            marks=np.zeros((len(FIELDS), records), np.uint8),
            zones=np.empty((2, ZONES_AT_MOST), np.int32),
            started=np.zeros((2, records), np.int32),
            codes=np.empty((_NAMED, records), np.int32),
            firsts=np.empty((_NAMED, records), np.int32),
            counts=np.zeros(_NAMED, np.int64),
            table=np.full(names, -1, np.int32),
            last=np.empty(records, np.int32),
            minute=np.zeros(3, np.uint64),
        )

    @classmethod
    def more_room(cls, records: int) -> "Cells":
        """The same, where the names differ in every record perhaps."""
        return cls.room(records, names=1 << (2 * _NAMED * records).bit_length())


def columns(data: Bytes, found: Cells, count: int, lines: int, zones: Zones) -> Columns:
    """The columns of the first `count` records of a block of so many lines."""
    local_us, zone, line_num, query_id = found.numbers[:, :count]
    texts = [
        Texts(data, found.begins[field, :count], found.ends[field, :count], marks[:count])
        for field, marks in enumerate(found.marks)
    ]
    firsts = [rows[:known] for rows, known in zip(found.firsts, found.counts, strict=True)]
    named = {
        name: pa.DictionaryArray.from_arrays(
            pa.array(codes[:count]), text.only(first).arrow(), safe=False
        )
        for name, codes, text, first in zip(NAMED, found.codes, texts, firsts, strict=False)
    }
    names = [_bytes(data, found.zones, known) for known in range(int(zone.max()) + 1)]
    sessions = ((texts[0][row], _bytes(data, found.started, row)) for row in firsts[0].tolist())
    return Columns(
        begin=found.records[0, :count].astype(np.int64),
        end=found.records[1, :count].astype(np.int64),
        at_us=zones.epoch_us(local_us, zone, names, sessions),
        line_num=line_num,
        query_id=query_id,
        **named,
        message=texts[7],
        detail=texts[8],
        context=texts[9],
        statement=texts[10],
        lines=lines,
    )


def _bytes(data: Bytes, spans: Spans, at: int) -> bytes:
    return data[spans[0, at] : spans[1, at]].tobytes()


@inlined
def code(
    data: Bytes,
    begins: Spans,
    ends: Spans,
    codes: Spans,
    firsts: Spans,
    counts: Ints,
    table: Spans,
    last: Spans,
    row: np.uint64,
) -> bool:
    """Give the codes of a record's names; False where there is no more room. Arrays: see Cells.

    Records of one session mostly have the same names, so those of the one before are looked at first.
    """
    if not name(data, begins, ends, codes, firsts, counts, table, place(0), row):
        return False
    before = before_in(codes, firsts, last, row)
    for number in range(1, _NAMED):
        field = place(number)
        if before >= 0:
            begin, known = place(begins[field, row]), place(before)
            size, at = place(ends[field, row]) - begin, place(begins[field, known])
            if place(ends[field, known]) - at == size and same(data, at, begin, size):
                codes[field, row] = codes[field, known]
                continue
        if not name(data, begins, ends, codes, firsts, counts, table, field, row):
            return False
    return True


@inlined
def before_in(codes: Spans, firsts: Spans, last: Spans, row: np.uint64) -> Number:
    """The record before in the session, whose last one this is now; -1 for none."""
    session = place(codes[0, row])
    before = np.int64(last[session]) if place(firsts[0, session]) != row else np.int64(-1)
    last[session] = row
    return before


@inlined
def name(
    data: Bytes,
    begins: Spans,
    ends: Spans,
    codes: Spans,
    firsts: Spans,
    counts: Ints,
    table: Spans,
    field: np.uint64,
    row: np.uint64,
) -> bool:
    """Give the code of one of a record's names; False where there is no more room."""
    begin, end = place(begins[field, row]), place(ends[field, row])
    size, names, mask = end - begin, place(_NAMED), place(table.size - 1)
    hashed, at = field + ONE, begin
    while at < end:
        hashed = (hashed ^ up_to(data, at, end)) * _PRIME
        hashed ^= hashed >> place(32)
        at += EIGHT
    slot = hashed & mask
    while table[slot] >= 0:
        known = place(table[slot]) // names
        at = place(begins[field, known])
        is_named = place(table[slot]) - known * names == field
        if is_named and place(ends[field, known]) - at == size and same(data, at, begin, size):
            codes[field, row] = codes[field, known]
            return True
        slot = (slot + ONE) & mask
    if 2 * counts.sum() >= table.size:
        return False
    table[slot] = row * names + field
    codes[field, row] = counts[field]
    firsts[field, counts[field]] = row
    counts[field] += 1
    return True


@compiled
def name_some(
    data: Bytes,
    begins: Spans,
    ends: Spans,
    codes: Spans,
    firsts: Spans,
    counts: Ints,
    table: Spans,
    field: np.uint64,
    row: np.uint64,
) -> bool:
    """Give the codes of two of a record's names, one behind the other; see `name`."""
    for one in (field, field + ONE):
        if not name(data, begins, ends, codes, firsts, counts, table, one, row):
            return False
    return True
