"""Fields of records by their places in a block, and columns made of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.formats.clock import Zones
from replay.capture.formats.columns import Columns, Ints
from replay.capture.formats.texts import Marks, Spans, Texts
from replay.capture.kernels import Bytes, Number, compiled, place
from replay.capture.words import EIGHT, same, up_to

# Cells that are wanted, in the order in which they are kept.
NAMED = ("session", "user", "database", "application", "backend_type", "severity", "sqlstate")
TOLD = ("message", "detail", "context", "statement")
FIELDS = (*NAMED, *TOLD)
ZONES_AT_MOST = 64  # in a block

WRONG = -1
"""In the place of a number: something is not as it should be."""

Places = npt.NDArray[np.uint32]
_PRIME = np.uint64(0x9E3779B97F4A7C15)


@dataclass(slots=True)
class Cells:
    """What is known of a block's records."""

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
            records=np.empty((2, records), np.int32),
            numbers=np.zeros((4, records), np.int64),
            begins=np.zeros((len(FIELDS), records), np.int32),
            ends=np.zeros((len(FIELDS), records), np.int32),
            marks=np.zeros((len(FIELDS), records), np.uint8),
            zones=np.empty((2, ZONES_AT_MOST), np.int32),
            started=np.zeros((2, records), np.int32),
        )

    def first(self, records: int) -> "Cells":
        """What is known of the first records."""
        return Cells(
            records=self.records[:, :records],
            numbers=self.numbers[:, :records],
            begins=self.begins[:, :records],
            ends=self.ends[:, :records],
            marks=self.marks[:, :records],
            zones=self.zones,
            started=self.started[:, :records],
        )


def columns(data: Bytes, found: Cells, zones: Zones) -> Columns:
    """The columns of the records."""
    local_us, zone, line_num, query_id = found.numbers
    fields = zip(found.begins, found.ends, found.marks, strict=True)
    texts = [Texts(data, *arrays) for arrays in fields]
    session, firsts = _names(texts[0])
    of_session = session.indices.to_numpy()
    named = {
        name: _names(column, of_session, firsts.size)[0]
        for name, column in zip(NAMED[1:], texts[1:], strict=False)
    }
    names = [_bytes(data, found.zones, known) for known in range(int(zone.max()) + 1)]
    sessions = ((texts[0][row], _bytes(data, found.started, row)) for row in firsts.tolist())
    return Columns(
        begin=found.records[0].astype(np.int64),
        end=found.records[1].astype(np.int64),
        at_us=zones.epoch_us(local_us, zone, names, sessions),
        line_num=line_num,
        query_id=query_id,
        session=session,
        **named,
        message=texts[7],
        detail=texts[8],
        context=texts[9],
        statement=texts[10],
    )


def _bytes(data: Bytes, spans: Spans, at: int) -> bytes:
    return data[spans[0, at] : spans[1, at]].tobytes()


_NO_GROUP = np.empty(0, np.int32)


def _names(
    texts: Texts, group: Spans = _NO_GROUP, groups: int = 0
) -> tuple[pa.DictionaryArray, Spans]:
    """A column of few values, and the first record of each.

    Records of one group mostly have one value; groups are numbered from 0 on.
    """
    codes, firsts = np.empty((2, len(texts)), np.int32)
    last = np.full(groups, -1, np.int32)
    count = _encode(texts.data, texts.begins, texts.ends, codes, firsts, group, last)
    firsts = firsts[:count].copy()
    values = texts.only(firsts).arrow()
    return pa.DictionaryArray.from_arrays(pa.array(codes), values), firsts


@compiled
def _encode(
    data: Bytes,
    begins: Spans,
    ends: Spans,
    codes: Spans,
    firsts: Spans,
    group: Spans,
    last: Spans,
) -> Number:
    """Give equal texts equal codes, numbered in order of appearance; says how many there are."""
    room = 1024
    while room < 2 * begins.size:
        room *= 2
    table = np.full(room, -1, np.int32)
    count = 0
    for row in range(begins.size):
        begin, end = place(begins[row]), place(ends[row])
        size = end - begin
        if group.size:
            before = last[group[row]]
            last[group[row]] = row
            if before >= 0:
                known = place(begins[before])
                if place(ends[before]) - known == size and same(data, known, begin, size):
                    codes[row] = codes[before]
                    continue
        hashed = size
        at = begin
        while at < end:
            hashed = (hashed ^ up_to(data, at, end)) * _PRIME
            hashed ^= hashed >> place(32)
            at += EIGHT
        slot = np.int64(hashed & place(room - 1))
        while True:
            code = table[slot]
            if code < 0:
                code = count
                table[slot] = code
                firsts[code] = row
                count += 1
                break
            known = place(begins[firsts[code]])
            if place(ends[firsts[code]]) - known == size and same(data, known, begin, size):
                break
            slot = (slot + 1) & (room - 1)
        codes[row] = code
    return count
