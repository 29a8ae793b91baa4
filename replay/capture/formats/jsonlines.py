"""Logs of one JSON object a line: decoded a block at a time, then turned into columns.

A block that holds a bad line, and only it, is read line by line.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

import msgspec
import numpy as np
import pyarrow as pa

from replay.capture.formats.clock import Started, Zones, learn
from replay.capture.formats.columns import NAMES, TEXTS, Broken, Columns, Hints, Ints, nothing
from replay.capture.formats.starts import Block, Stamps, line_begins, stamps

NOT_JSON = "line is no valid JSON"
CUT_OFF = "line is cut off"
TORN = "line is torn"
NUL = "NUL bytes between records"
_STAMP = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]) (?:[01]\d|2[0-4]):[0-5]\d:(?:[0-5]\d|60)"
    r"\.\d{3} [^\r\n]{1,60}\Z",
    re.ASCII,
)
_BEGUN = re.compile(
    rb'\{"timestamp": ?"\d{4}-\d\d-\d\d |[^\n]{1,1000}"record":\{"log_time":"\d{4}-'
)
_BLANK = 2  # bytes of an empty line with its end, at most
_LOOKED_BACK = 1 << 16
_BEHIND = b"\n" + b" " * 40  # behind the last stamp, so that words can be read of it


Held = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that a column can hold."""


class Row(msgspec.Struct, gc=False):
    """A record, as jsonlog names its fields; `gc=False`: it holds no containers."""

    timestamp: str
    session_id: str
    line_num: Held
    message: str = ""
    user: str = ""
    dbname: str = ""
    application_name: str = ""
    backend_type: str = ""
    error_severity: str = ""
    state_code: str = ""
    query_id: Held = 0
    detail: str = ""
    context: str = ""
    statement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one format writes its lines."""

    opening: bytes  # of a line; in a text its quotes would be escaped
    strange: str  # the reason for JSON that is no record
    lines: Callable[[Block], list[Row]]
    line: Callable[[bytes], Row]
    started: Callable[[Block], Started]  # of a line that is a record


@dataclass(slots=True, kw_only=True)
class _Found:
    """What a block holds."""

    rows: list[Row] = field(default_factory=list)
    begin: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


def cut(chunk: memoryview, *, whole_file: bool) -> int:
    """Where the last whole line ends."""
    if whole_file:
        return len(chunk)
    looked_back = _LOOKED_BACK
    while True:
        tail = bytes(chunk[-looked_back:])
        end = tail.rfind(b"\n") + 1
        if end:
            return len(chunk) - len(tail) + end
        if len(tail) == len(chunk):
            return 0
        looked_back *= 8


def parse(block: memoryview, dialect: Dialect, zones: Zones) -> Columns:
    """The records of a block, and what in it is none."""
    begin = line_begins(block)
    end = np.append(begin[1:], len(block))
    if len(begin) and (end - begin).min() <= _BLANK:
        begin, end = begin[end - begin > _BLANK], end[end - begin > _BLANK]
    try:
        rows = dialect.lines(block)
    except ValueError:  # msgspec's errors among them
        rows = []
    when = _stamps(rows) if rows and len(rows) == len(begin) else None
    if when is not None:
        return _columns(rows, begin, end, when, (block, dialect, zones))
    found = line_by_line(bytes(block), dialect)
    when = _stamps(found.rows)
    if when is None:
        return nothing(tuple(found.broken))
    begin, end = np.array(found.begin, np.int64), np.array(found.end, np.int64)
    source = (block, dialect, zones)
    return _columns(found.rows, begin, end, when, source, tuple(found.broken))


def line_by_line(block: bytes, dialect: Dialect) -> _Found:
    """The slow way, which sees what is wrong with which line."""
    found = _Found()
    bounds = [*line_begins(block).tolist(), len(block)]
    for begin, end in pairwise(bounds):
        line = block[begin:end]
        text = line.lstrip(b"\0\r\n ")
        if len(text) < len(line) and b"\0" in line[: len(line) - len(text)]:
            found.broken.append(Broken(offset=begin, reason=NUL))
        if text:
            _line(text, end - len(text), len(block), dialect, found)
    return found


def zones_of(head: bytes, dialect: Dialect, hints: Hints) -> Zones | None:
    """What a log's head tells of its zones; None where it holds no record of the dialect.

    The head of a log whose first record is longer is known by that record's beginning.
    """
    found = line_by_line(head, dialect)
    bounds = zip(found.begin, found.end, strict=True)
    if not found.rows and not (head.startswith(dialect.opening) and _BEGUN.match(head)):
        return None
    learned = learn(_sessions(found.rows, bounds, head, dialect))
    return Zones(learned=tuple(learned.items()), log_timezone=hints.log_timezone)


def _line(text: bytes, begin: int, block_end: int, dialect: Dialect, found: _Found) -> None:
    row = _row(text, dialect)
    if isinstance(row, str):
        again = text.rfind(dialect.opening)
        whole = _row(text[again:], dialect) if again > 0 else row
        if isinstance(whole, str):
            cut_off = row == NOT_JSON and not text.endswith(b"\n")
            reason = CUT_OFF if cut_off and begin + len(text) == block_end else row
            found.broken.append(Broken(offset=begin, reason=reason, cut_off=reason == CUT_OFF))
            return
        found.broken.append(Broken(offset=begin, reason=TORN))
        text, begin, row = text[again:], begin + again, whole
    found.rows.append(row)
    found.begin.append(begin)
    found.end.append(begin + len(text))


def _row(line: bytes, dialect: Dialect) -> Row | str:
    """One line, or why it is no record; one in another encoding than UTF-8 is a good record."""
    line = line.rstrip(b"\0\r\n ")
    for text in (line, line.decode("latin-1").encode()):
        try:
            row = dialect.line(text)
        except msgspec.ValidationError:
            return dialect.strange
        except ValueError:  # no JSON, or not in UTF-8
            continue
        return row if _STAMP.match(row.timestamp) else dialect.strange
    return NOT_JSON


def _stamps(rows: Sequence[Row]) -> tuple[bytes, Stamps] | None:
    """The records' time stamps, as a block of their own; None unless each has one."""
    texts = "\n".join([row.timestamp for row in rows]).encode() + _BEHIND
    found = stamps(texts, line_begins(texts)[:-1])
    return (texts, found) if rows and len(found.at) == len(rows) else None


def _columns(
    rows: list[Row],
    begin: Ints,
    end: Ints,
    when: tuple[bytes, Stamps],
    source: tuple[Block, Dialect, Zones],
    broken: tuple[Broken, ...] = (),
) -> Columns:
    block, dialect, zones = source
    texts, found = when
    sessions = _sessions(rows, zip(begin.tolist(), end.tolist(), strict=True), block, dialect)
    return Columns(
        begin=begin,
        end=end,
        at_us=zones.at_us(texts, found, b"\n", sessions),
        session=pa.array([row.session_id for row in rows], NAMES),
        line_num=np.array([row.line_num for row in rows], np.int64),
        query_id=np.array([row.query_id for row in rows], np.int64),
        user=pa.array([row.user for row in rows], NAMES),
        database=pa.array([row.dbname for row in rows], NAMES),
        application=pa.array([row.application_name for row in rows], NAMES),
        backend_type=pa.array([row.backend_type for row in rows], NAMES),
        severity=pa.array([row.error_severity for row in rows], NAMES),
        sqlstate=pa.array([row.state_code for row in rows], NAMES),
        message=pa.array([row.message for row in rows], TEXTS),
        detail=pa.array([row.detail for row in rows], TEXTS),
        context=pa.array([row.context for row in rows], TEXTS),
        statement=pa.array([row.statement for row in rows], TEXTS),
        broken=broken,
    )


def _sessions(
    rows: list[Row], bounds: Iterator[tuple[int, int]], block: Block, dialect: Dialect
) -> Iterator[Started]:
    """The first record of every session, read only as far as somebody asks."""
    seen: set[str] = set()
    for row, (begin, end) in zip(rows, bounds, strict=True):
        if row.session_id not in seen:
            seen.add(row.session_id)
            try:
                yield dialect.started(block[begin:end])
            except ValueError:  # in another encoding: another session will tell
                continue
