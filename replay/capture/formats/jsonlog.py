"""jsonlog, PostgreSQL 15 and later: one JSON object a line (manual, 20.8.5).

Timestamps carry an abbreviated time zone (`log_timezone`), which names no offset by itself. But a
session's id begins with its start as epoch seconds, and the same start stands beside it as text, so
each line tells what its zone means.
"""

from calendar import timegm
from collections.abc import Iterator
from typing import IO

import msgspec

from replay.capture.formats.record import Broken, Record

_BROKEN_JSON = "line is no valid JSON"
_CUT_OFF = "line is cut off"
_UNKNOWN = "JSON, but no record of jsonlog"
_BLOCK = 1 << 16  # bytes: its records should stay in the processor's cache
_LINE_AT_MOST = 1 << 26


class _Line(Record, gc=False):
    timestamp: str = msgspec.field(default="")


class _Zoned(msgspec.Struct):
    """What ties a zone's abbreviation to its offset."""

    session_id: str
    session_start: str


class _Clock:
    """Turns timestamps into epoch µs; remembers the last second and every zone's offset."""

    def __init__(self) -> None:
        self._offsets_us: dict[str, int] = {"UTC": 0, "GMT": 0}
        self.second = ""  # "2026-01-31 23:59:59." …
        self.zone = ""  # … and " CET": what the last timestamp had around its milliseconds
        self.second_us = 0  # epoch µs of that second

    def at_us(self, stamp: str, line: bytes) -> int:
        """Epoch µs of `2026-01-31 23:59:59.123 CET`, whose zone may be learned from its line.

        Raises ValueError where it is no such, or the zone is new and no line is given.
        """
        offset_us = self._offsets_us.get(stamp[24:])
        if offset_us is None:
            offset_us = self._learn(line)
        self.second, self.zone = stamp[:20], stamp[23:]
        self.second_us = _naive_s(stamp[:19]) * 1_000_000 - offset_us
        return self.second_us + int(stamp[20:23]) * 1000

    def _learn(self, line: bytes) -> int:
        session = _zoned_decoder.decode(line)
        # The session may have started before the clocks changed: then its own zone is learned, and
        # serves this line, an hour off, until a session of the new zone starts.
        started = session.session_start
        true_s = int(session.session_id.partition(".")[0], 16)
        offset_us = (_naive_s(started[:19]) - true_s) * 1_000_000
        self._offsets_us[started[20:]] = offset_us
        return offset_us


class JsonLog:
    """Reads jsonlog."""

    name = "jsonlog"

    def recognises(self, first_line: bytes) -> bool:
        """A record, or the beginning of one that is cut off."""
        return first_line.startswith(b'{"timestamp"') or self.started_us(first_line) != 0

    def started_us(self, first_line: bytes) -> int:
        """Epoch µs of the first line; 0 where it is broken."""
        first = _record(first_line, _Clock())
        return first.at_us if isinstance(first, Record) else 0

    def read(self, stream: IO[bytes]) -> Iterator[list[Record | Broken]]:
        """One Record or Broken a line, in order; blank lines are none."""
        clock, rest = _Clock(), b""
        while chunk := stream.read(_BLOCK):
            chunk = rest + chunk
            end = chunk.rfind(b"\n") + 1
            if not end and len(chunk) > _LINE_AT_MOST:
                end = len(chunk)
            block, rest = chunk[:end], chunk[end:]
            if block:
                yield _records(block, clock)
        if rest:
            yield [_record(rest, clock)]


JSONLOG = JsonLog()
_decoder = msgspec.json.Decoder(_Line)
_zoned_decoder = msgspec.json.Decoder(_Zoned)


def _records(block: bytes, clock: _Clock) -> list[Record | Broken]:
    """The records of a block of whole lines; one by one where one is broken, or its zone is new."""
    try:
        records: list[Record | Broken] = []
        append = records.append
        for record in _decoder.decode_lines(block):
            stamp = record.timestamp
            if stamp[:20] == clock.second and stamp[23:] == clock.zone:
                record.at_us = clock.second_us + int(stamp[20:23]) * 1000
            else:
                record.at_us = clock.at_us(stamp, b"")
            append(record)
    except ValueError:  # msgspec's errors among them
        return [_record(line + b"\n", clock) for line in block.split(b"\n") if line]
    return records


def _record(line: bytes, clock: _Clock) -> Record | Broken:
    """One line; one in another encoding than UTF-8 is a good record."""
    for text in (line, line.decode("latin-1").encode()):
        try:
            record = _decoder.decode(text)
            record.at_us = clock.at_us(record.timestamp, text)
        except msgspec.ValidationError:
            return Broken(_UNKNOWN)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        except ValueError:
            return Broken(_UNKNOWN)
        return record
    if line.endswith(b"\n"):
        return Broken(_BROKEN_JSON)
    return Broken(_CUT_OFF, cut_off=True)


def _naive_s(second: str) -> int:
    """Seconds of `2026-01-31 23:59:59`, taken as UTC; raises ValueError where it is no such."""
    date, _, time = second.partition(" ")
    year, month, day = date.split("-")
    hours, minutes, seconds = time.split(":")
    return timegm((int(year), int(month), int(day), int(hours), int(minutes), int(seconds)))
