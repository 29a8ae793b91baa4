"""Times of a stderr log's lines: from digits in a block to epoch µs, and what their zones mean.

A time stamp carries an abbreviation (`CET`), which names no offset by itself. In this order it is
told by: its own digits (`+02`), %c beside %s (a session's start as epoch seconds and as text), the
server's log_timezone, and the one offset that all zones of that abbreviation share. Else it is UTC.
"""

import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.formats.spans import Spans, few, matches, number
from replay.capture.kernels import Bytes, Number, compiled, place

_TIME = 19  # bytes of `2026-01-31 23:59:59`
_MONTH, _DAY, _HOUR, _MINUTE, _SECOND, _MILLIS = map(place, (5, 8, 11, 14, 17, 20))
_AHEAD_AT_MOST_S = 86_400
_NUMERIC = re.compile(rb"([+-])(\d\d)(\d\d)?(\d\d)?")
_DAYS_TO_1970 = 719468  # from the 1st of March of the year 0


def naive_us(buffer: Bytes, begin: Ints, *, millis: bool) -> Ints:
    """Epoch µs of the stamps that begin there, taken as UTC."""
    at_us = np.zeros(len(begin), np.int64)
    _naive_us(buffer, begin, millis, at_us)
    return at_us


@compiled
def _naive_us(data: Bytes, begins: Ints, millis: Number, at_us: Ints) -> None:
    for row in range(begins.size):
        at = np.uint64(begins[row])
        year = _digits(data, at, 4)
        month, day = _digits(data, at + _MONTH, 2), _digits(data, at + _DAY, 2)
        # Days from the civil date: years that begin in March have their leap day at the end.
        year -= month <= 2
        of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
        days = year * 365 + year // 4 - year // 100 + year // 400 + of_year - _DAYS_TO_1970
        minutes = (days * 24 + _digits(data, at + _HOUR, 2)) * 60 + _digits(data, at + _MINUTE, 2)
        at_us[row] = (minutes * 60 + _digits(data, at + _SECOND, 2)) * 1_000_000
        if millis:
            at_us[row] += _digits(data, at + _MILLIS, 3) * 1000


@compiled
def _digits(data: Bytes, at: Number, count: Number) -> Number:
    value = np.int64(0)
    for step in range(np.uint64(count)):
        value = value * 10 + np.int64(data[at + step]) - 48
    return value


def epoch_us(buffer: Bytes, at: Spans) -> Ints:
    """Epoch µs of `1714560000.123`."""
    whole = number(buffer, Spans(at.begin, at.end - 4))
    return whole * 1_000_000 + number(buffer, Spans(at.end - 3, at.end)) * 1000


def offsets_us(buffer: Bytes, at: Spans, shown_us: Ints, zones: "Zones") -> Ints:
    """How far ahead of UTC the clocks of these zones are when they show those times."""
    offsets = np.zeros(len(at.begin), np.int64)
    for zone, rows in _apart(buffer, at):
        offsets[rows] = zones.offset_us(zone, int(shown_us[rows][0]))
    return offsets


def told(buffer: Bytes, started: Spans, session: Spans) -> tuple[tuple[bytes, int], ...]:
    """Seconds that zones are ahead of UTC, by sessions' starts as text (%s) and in their ids (%c)."""
    known = (started.end > started.begin) & (session.end > session.begin)
    started, session = started.of(known), session.of(known)
    learned = []
    for zone, rows in _apart(buffer, Spans(started.begin + _TIME + 1, started.end)):
        row = int(np.arange(len(known))[rows][0])
        shown_us = int(naive_us(buffer, started.begin[[row]], millis=False)[0])
        identity = buffer[session.begin[row] : session.end[row]].tobytes()
        ahead_s = shown_us // 1_000_000 - int(identity.partition(b".")[0] or b"0", 16)
        if abs(ahead_s) <= _AHEAD_AT_MOST_S:
            learned.append((zone, ahead_s))
    return tuple(learned)


def _apart(buffer: Bytes, at: Spans) -> Iterator[tuple[bytes, Ints | slice]]:
    """The rows of each different piece."""
    if not len(at.begin):
        return
    first = buffer[at.begin[0] : at.end[0]].tobytes()
    same = at.end - at.begin == len(first)
    if same.all() and matches(buffer, at.begin, first).all():
        yield first, slice(None)
        return
    encoded = few(buffer, at)
    codes = encoded.indices.to_numpy()
    for code, piece in enumerate(encoded.dictionary.to_pylist()):
        yield piece, np.flatnonzero(codes == code)


@dataclass(frozen=True, slots=True)
class Zones:
    """What a log's zones mean."""

    log_timezone: str = ""
    learned: tuple[tuple[bytes, int], ...] = ()  # abbreviation to seconds, from the head of the log

    def knowing(self, learned: tuple[tuple[bytes, int], ...]) -> "Zones":
        """With what was learned besides."""
        return Zones(self.log_timezone, learned + self.learned)

    def offset_us(self, zone: bytes, naive_us: int) -> int:
        """How far a zone's clocks are ahead of UTC when they show that time."""
        numeric = _NUMERIC.fullmatch(zone)
        if numeric is not None:
            parts = [int(part or 0) for part in numeric.groups()[1:]]
            seconds = (parts[0] * 60 + parts[1]) * 60 + parts[2]
            return (-seconds if numeric[1] == b"-" else seconds) * 1_000_000
        if zone in (b"UTC", b"GMT"):
            return 0
        for known, seconds in self.learned:
            if known == zone:
                return seconds * 1_000_000
        found = self._looked_up(zone.decode("ascii", "replace"), naive_us)
        return 0 if found is None else int(found.total_seconds()) * 1_000_000

    def _looked_up(self, name: str, naive_us: int) -> timedelta | None:
        try:
            shown = datetime.fromtimestamp(naive_us // 1_000_000, UTC).replace(tzinfo=None)
            found = _named(self.log_timezone, name, shown)
            return _only(name, shown.replace(minute=0, second=0)) if found is None else found
        except (ValueError, OverflowError, OSError):  # digits that are no date
            return None


def _named(key: str, abbreviation: str, shown: datetime) -> timedelta | None:
    """The offset of a time zone where it is called so at that local time."""
    try:
        zone = zoneinfo.ZoneInfo(key)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
    for fold in (0, 1):
        local = shown.replace(tzinfo=zone, fold=fold)
        if local.tzname() == abbreviation:
            return local.utcoffset()
    return None


@cache
def _only(abbreviation: str, shown: datetime) -> timedelta | None:
    """The offset that every zone has which is called so at that time; None where they differ."""
    found = {
        offset
        for key in zoneinfo.available_timezones()
        if (offset := _named(key, abbreviation, shown)) is not None
    }
    return found.pop() if len(found) == 1 else None
