"""csvlog record by record: slow, and right also where a crash, a full disk or an editor was at work.

A record is known by all of its fields' patterns. Inside a quoted text no other record can pass for
one, because its quotes are doubled there.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from replay.capture.formats.columns import Broken
from replay.capture.formats.starts import line_begins, positions, stamps

MOST_COLUMNS = 26
TORN = "record is torn"
CUT_OFF = "record is cut off"
HALF = "half a record at the beginning"
STRANGE = "line is no record of csvlog"
NUL = "NUL bytes between records"

_QUOTED = rb'"(?:[^"]++|"")*+"'
_ANY = rb'(?:%b|[^",\r\n]*+)' % _QUOTED
_STAMP = (
    rb"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]) (?:[01]\d|2[0-4]):[0-5]\d:(?:[0-5]\d|60)"
)
_AHEAD = (
    rb"%b\.\d{3} [^\",\r\n]{1,60}," % _STAMP  # log_time
    + rb"%b,%b,\d*,%b," % (_ANY, _ANY, _ANY)  # user, database, process, connection from
    + rb"(?P<session>[0-9a-f]{1,16}\.[0-9a-f]{1,8}),(?P<number>\d{1,19}),"
    + rb"%b,(?P<started>%b [^\",\r\n]{1,60})," % (_ANY, _STAMP)  # command tag, session start
    + rb'%b,\d*,"?[A-Z\x80-\xff]+[0-9]?"?,"?[0-9A-Z]{5}"?,' % _ANY  # vxid, txid, severity, SQLSTATE
)
_TEXTS = rb"%b(?:,%b){9}" % (_ANY, _ANY)  # message to application name
_SINCE_13 = rb"(?P<backend>,%b)" % _ANY
_SINCE_14 = rb"(?P<leader>,\d*,(?P<query>-?\d{1,20}))"

RECORD = re.compile(
    rb"(?P<record>%b%b(?:%b%b?)?)(?P<ended>\r?\n|\Z)" % (_AHEAD, _TEXTS, _SINCE_13, _SINCE_14)
)
BEGUN = re.compile(_AHEAD)  # a record whose end is not at hand
_INSIDE = re.compile(rb"%b\.\d{3} " % _STAMP)
_TRIED = 64  # places inside a torn record where the next one may begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What a block is made of."""

    records: list[re.Match[bytes]] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


def columns_of(record: re.Match[bytes]) -> int:
    """23 until PostgreSQL 12, 24 in 13, 26 since 14."""
    if record["backend"] is None:
        return 23
    return 24 if record["leader"] is None else MOST_COLUMNS


def is_sure(record: re.Match[bytes]) -> bool:
    """Whether it is no line of a text, where its quotes would be doubled."""
    return b'"' in record["record"]


def widened(record: re.Match[bytes]) -> bytes:
    """The record with all columns that any version has, ended by a newline."""
    return record["record"] + {23: b",,,0\n", 24: b",,0\n", MOST_COLUMNS: b"\n"}[columns_of(record)]


def apart(block: bytes) -> Pieces:
    """Take a block apart, record by record."""
    after_nul = positions(block, 0) + 1
    # No place is both. numpy loads a module more to look for such as are.
    perhaps = np.sort(np.concatenate((line_begins(block), after_nul)))
    begins = stamps(block, perhaps).at.tolist()
    pieces = Pieces()
    _Walk(block, begins, pieces).all()
    return pieces


class _Walk:
    """One pass over the pieces between the places where a record may begin."""

    def __init__(self, block: bytes, begins: list[int], into: Pieces) -> None:
        self._block = block
        self._half = not begins or begins[0] > 0
        self._bounds = [0, *begins[not self._half :], len(block)]
        quotes = np.searchsorted(positions(block, 0x22), np.array(self._bounds))
        self._odd = (np.diff(quotes) % 2 == 1).tolist()
        self._into = into

    def all(self) -> None:
        """Every piece, once."""
        piece = self._first() if self._half else 0
        while piece < len(self._odd):
            piece = self._one(piece)

    def _first(self) -> int:
        """Half a record, mostly."""
        begin, end = self._bounds[:2]
        record, after = self._inside(begin, end, 0)
        self.strange(begin, end if record is None else record.start(), HALF)
        if record is not None:
            self._take(record, after)
        return after

    def strange(self, begin: int, end: int, reason: str) -> None:
        """Note what is no record; blank lines are none and are no fault."""
        text = self._block[begin:end]
        if text.strip(b"\r\n\0"):
            cut_off = reason == STRANGE and end == len(self._block) and not text.endswith(b"\n")
            reason = CUT_OFF if cut_off else reason
            self._into.broken.append(Broken(offset=begin, reason=reason, cut_off=cut_off))
        elif b"\0" in text:
            self._into.broken.append(Broken(offset=begin, reason=NUL))

    def _one(self, piece: int) -> int:
        """Take the record that begins here, with the pieces that are its text; gives the next."""
        begin, end = self._bounds[piece], self._bounds[piece + 1]
        record, after = self._from(begin, piece)
        if record is None:
            record, after = self._inside(begin, end, piece)
            cut_off = record is None and self._breaks_off(piece)
            reason = CUT_OFF if cut_off else TORN
            self._into.broken.append(Broken(offset=begin, reason=reason, cut_off=cut_off))
            after = len(self._odd) if cut_off else after
        if record is not None:
            self._take(record, after)
        return after

    def _take(self, record: re.Match[bytes], after: int) -> None:
        self._into.records.append(record)
        for line in _lines(self._block, record.end(), self._bounds[after]):
            self.strange(*line, STRANGE)

    def _record(self, begin: int, end: int) -> re.Match[bytes] | None:
        record = RECORD.match(self._block, begin, end)
        return record if record is not None and _fits(record) else None

    def _from(self, begin: int, piece: int) -> tuple[re.Match[bytes] | None, int]:
        """The record that begins in a piece, and the piece behind it.

        Its text may hold lines that look like a record's begin, but never a whole record.
        """
        after = piece + 1
        record = self._record(begin, self._bounds[after])
        is_open = record is None and self._block.count(b'"', begin, self._bounds[after]) % 2 == 1
        while is_open and after < len(self._odd):
            alone = self._record(self._bounds[after], self._bounds[after + 1])
            if alone is not None and is_sure(alone):
                break
            is_open ^= self._odd[after]
            after += 1
        if record is None:
            record = self._record(begin, self._bounds[after])
        if record is None:
            return None, piece + 1
        return record, bisect_left(self._bounds, record.end(), piece + 1)

    def _breaks_off(self, piece: int) -> bool:
        """Whether the block ends inside of the record that begins here."""
        is_open = sum(self._odd[piece:]) % 2 == 1
        if piece + 1 == len(self._odd):
            return is_open or not self._block.endswith(b"\n")
        return is_open and BEGUN.search(self._block, self._bounds[piece] + 1) is None

    def _inside(self, begin: int, end: int, piece: int) -> tuple[re.Match[bytes] | None, int]:
        """A record that begins in the middle of a line, where a torn one ends."""
        places = _INSIDE.finditer(self._block, begin + 1, end)
        for place, _ in zip(places, range(_TRIED), strict=False):
            record, after = self._from(place.start(), piece)
            if record is not None:
                return record, after
        return None, piece + 1


def _lines(block: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    while begin < end:
        after = block.find(b"\n", begin, end) + 1 or end
        yield begin, after
        begin = after


def _fits(record: re.Match[bytes]) -> bool:
    """Whether its numbers can be held."""
    return all(-(2**63) <= int(record[name] or 0) < 2**63 for name in ("number", "query"))
