"""csvlog (manual, 20.8.4): 23 columns until PostgreSQL 12, 24 in 13, 26 since 14.

A block is read by pyarrow at once. Where that does not give a record for every place where one
begins, the block, and only it, is taken apart record by record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow

from replay.capture.formats.cells import columns
from replay.capture.formats.clock import Started, Zones, learn
from replay.capture.formats.columns import NAMES, TEXTS, Broken, Columns, Hints, Ints, nothing
from replay.capture.formats.columns import names as named
from replay.capture.formats.csvcells import split
from replay.capture.formats.csvpieces import (
    BEGUN,
    MOST_COLUMNS,
    RECORD,
    apart,
    columns_of,
    is_sure,
    widened,
)
from replay.capture.formats.starts import Stamps, line_begins, outside_quotes, stamps
from replay.capture.kernels import as_bytes

_NAMES = {
    "user": 1,
    "database": 2,
    "session": 5,
    "severity": 11,
    "sqlstate": 12,
    "application": 22,
    "backend_type": 23,
}
_TEXTS = {"message": 13, "detail": 14, "context": 18, "statement": 19}
_NUMBERS = {"line_num": 6, "query_id": 25}
_TYPES = {
    **dict.fromkeys(_NAMES, NAMES),
    **dict.fromkeys(_TEXTS, TEXTS),
    **dict.fromkeys(_NUMBERS, pa.int64()),
}
_PLACES = {**_NAMES, **_TEXTS, **_NUMBERS}
_LOOKED_BACK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvLog:
    """csvlog of one server."""

    columns: int  # of its first record; a block may have others, after an upgrade
    zones: Zones = field(default_factory=Zones)

    lacks = ()

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "csvlog"

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Where the chunk's last record ends that is whole by all of its fields."""
        if whole_file:
            return len(chunk)
        looked_back = _LOOKED_BACK
        while True:
            tail = bytes(chunk[-looked_back:])
            end = _last_end(tail, chunk[: len(chunk) - len(tail)])
            if end:
                return len(chunk) - len(tail) + end
            if len(tail) == len(chunk):
                return 0
            looked_back *= 8

    def parse(self, block: memoryview) -> Columns:
        """The records of a block, and what in it is none."""
        whole = split(block, self.columns)
        if whole is not None:
            return columns(as_bytes(block), *whole, self.zones)
        found = stamps(block, line_begins(block))
        if len(found.at) and found.at[0] == 0:
            table = self._at_once(block)
            if table is not None:
                if table.num_rows != len(found.at):
                    found = _not_in_texts(block, found)
                if table.num_rows == len(found.at):
                    ends = np.append(found.at[1:], len(block))
                    return self._columns(table, block, found, ends)
        return self._one_by_one(bytes(block))

    def _at_once(self, block: memoryview) -> pa.Table | None:
        table = _table(block, self.columns)
        if table is None:
            first = RECORD.match(block)
            if first is not None and columns_of(first) != self.columns:
                return _table(block, columns_of(first))
        return table

    def _one_by_one(self, block: bytes) -> Columns:
        pieces = apart(block)
        broken = tuple(sorted(pieces.broken, key=lambda piece: piece.offset))
        if not pieces.records:
            return nothing(broken)
        table = _table(b"".join(map(widened, pieces.records)), MOST_COLUMNS)
        begins, ends = np.array([record.span() for record in pieces.records], np.int64).T
        return self._columns(table, block, Stamps.read(block, begins), ends, broken)

    def _columns(
        self,
        table: pa.Table,
        block: bytes | memoryview,
        found: Stamps,
        ends: Ints,
        broken: tuple[Broken, ...] = (),
    ) -> Columns:
        columns = {name: table.column(name).chunk(0) for name in table.column_names}
        count = table.num_rows
        columns.setdefault("backend_type", named(np.zeros(count, np.int32), [b""]))
        for name in _NUMBERS:
            numbers = columns.get(name)
            columns[name] = np.zeros(count, np.int64) if numbers is None else numbers.to_numpy()
        sessions = _sessions(columns["session"], block, found.at)
        at_us = self.zones.at_us(block, found, b",", sessions)
        return Columns(begin=found.at, end=ends, at_us=at_us, broken=broken, **columns)


def recognise(head: bytes, hints: Hints) -> CsvLog | None:
    """Known by a whole record, or by the beginning of one that is longer than the head."""
    records = apart(head).records
    if records:
        sessions = ((record["session"], record["started"]) for record in records)
        zones = Zones(learned=tuple(learn(sessions).items()), log_timezone=hints.log_timezone)
        return CsvLog(columns=columns_of(records[0]), zones=zones)
    begun = [m for at in stamps(head, line_begins(head)).at if (m := BEGUN.match(head, at))]
    if begun:
        zones = Zones(log_timezone=hints.log_timezone)
        return CsvLog(columns=MOST_COLUMNS, zones=zones)
    return None


def _table(block: bytes | memoryview, count: int) -> pa.Table | None:
    """The columns that are wanted; None where a row has another number of columns."""
    at = {place: name for name, place in _PLACES.items() if place < count}
    try:
        return arrow.read_csv(
            pa.BufferReader(pa.py_buffer(block)),
            read_options=arrow.ReadOptions(
                use_threads=False,
                block_size=len(block) + 1,
                column_names=[at.get(place, str(place)) for place in range(count)],
            ),
            parse_options=arrow.ParseOptions(newlines_in_values=True),
            convert_options=arrow.ConvertOptions(
                include_columns=list(at.values()),
                column_types=_TYPES,
                check_utf8=False,
                null_values=[],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None


def _not_in_texts(block: memoryview, found: Stamps) -> Stamps:
    """Those that are outside quotes; all where a stray quote makes that doubtful."""
    outside = outside_quotes(block, found)
    inside = np.setdiff1d(found.at, outside.at).tolist()
    records = (RECORD.match(block, at) for at in inside)
    return found if any(record and is_sure(record) for record in records) else outside


def _last_end(tail: bytes, before: memoryview) -> int:
    """Where the last whole record of a chunk's tail ends; 0 where there is none."""
    for begin in stamps(tail, line_begins(tail)).at[::-1].tolist():
        record = RECORD.match(tail, begin)
        if record is None or not record["ended"]:
            continue
        if is_sure(record) or (_quotes(before) + tail.count(b'"', 0, begin)) % 2 == 0:
            return record.end()
    return 0


def _quotes(block: memoryview) -> int:
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord('"')))


def _sessions(
    session: pa.DictionaryArray, block: bytes | memoryview, begins: Ints
) -> Iterator[Started]:
    """The first record of every session, read only as far as somebody asks."""
    codes = session.indices.to_numpy()
    first = np.zeros(len(session.dictionary), np.int64)
    first[codes[::-1]] = begins[::-1]
    for begin in first.tolist():
        begun = BEGUN.match(block, begin)
        if begun is not None:
            yield begun["session"], begun["started"]
