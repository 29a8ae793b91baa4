"""Time stamps of many records at a time: `2026-01-31 23:59:59.123 CET` to epoch µs.

The zone is an abbreviation (`log_timezone`), which names no offset by itself. But a session's id
begins with its start as epoch seconds, and the same start stands beside it as text, so a log tells
what its zones mean.
"""

import re
import zoneinfo
from calendar import timegm
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.formats.starts import STAMP, Block, Stamps, Words, digits

Started = tuple[bytes, bytes]
"""A session's id and its start: `69a42c40.7b2`, `2026-03-01 13:09:36 CET`."""

_FIXED = {b"UTC": 0, b"GMT": 0, b"Z": 0}
_NUMERIC = re.compile(rb"([+-])(\d\d):?(\d\d)?\Z")
_ZONE_AT_MOST = 64
_LOW = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """What is known of a log's zones beyond the block at hand."""

    learned: tuple[tuple[bytes, int], ...] = ()  # zone, its offset in seconds
    log_timezone: str = ""  # as the server names it: Europe/Berlin

    def at_us(
        self, block: Block, stamps: Stamps, closing: bytes, sessions: Iterable[Started]
    ) -> Ints:
        """Epoch µs of the stamps of a block, each ended by the byte `closing`.

        `sessions` are asked, as few as will do, for zones that do not speak for themselves.
        """
        local_us = _local_us(*stamps.heads[:3])
        codes, zones = _zones(stamps.heads[3], block, stamps.at + STAMP, closing)
        return self.epoch_us(local_us, codes, zones, sessions)

    def epoch_us(
        self, local_us: Ints, codes: Ints, zones: list[bytes], sessions: Iterable[Started]
    ) -> Ints:
        """Epoch µs of local times, each in one of the zones."""
        strange = {zone for zone in zones if _stated_s(zone) is None}
        known = {**dict(self.learned), **(learn(sessions, strange) if strange else {})}
        offsets_us = np.zeros(len(zones), np.int64)
        for code, zone in enumerate(zones):
            offset_s = _stated_s(zone)
            if offset_s is None:
                first_us = int(local_us[np.argmax(codes == code)])
                offset_s = known[zone] if zone in known else self._guess_s(zone, first_us, known)
            offsets_us[code] = offset_s * 1_000_000
        return local_us - offsets_us[codes]

    def _guess_s(self, zone: bytes, local_us: int, known: Mapping[bytes, int]) -> int:
        local = datetime(1970, 1, 1) + timedelta(microseconds=local_us)  # noqa: DTZ001 (of a place)
        offset_s = _of_place_s(self.log_timezone, zone, local)
        if offset_s is None:
            offset_s = _sibling_s(zone, tuple(sorted(known.items())), local.year)
        return offset_s or 0


def learn(sessions: Iterable[Started], wanted: set[bytes] | None = None) -> dict[bytes, int]:
    """Offsets in seconds of the zones in which sessions started, until all wanted are found.

    A session that started before the clocks changed tells only of its own zone.
    """
    found: dict[bytes, int] = {}
    for session, started in sessions:
        zone = started[20:]
        if zone in found:
            continue
        try:
            offset_s = _naive_s(started[:19]) - int(session.partition(b".")[0], 16)
        except ValueError:
            continue
        if zone and abs(offset_s) < 86_400 and offset_s % 60 == 0:
            found[zone] = offset_s
            if wanted is not None and wanted <= found.keys():
                break
    return found


def _local_us(day: Words, minute: Words, second: Words) -> Ints:
    """Epoch µs of the stamps if they were UTC; minutes, which seldom change, are read once each."""
    new = np.ones(len(day), np.bool_)
    new[1:] = (day[1:] != day[:-1]) | (minute[1:] != minute[:-1])
    minutes_us: Ints = _minutes_us(day[new], minute[new])[np.cumsum(new) - 1]
    seconds_us = digits(second, 1, 2) * 1_000_000 + digits(second, 4, 3) * 1000
    return minutes_us + seconds_us


def _minutes_us(day: Words, minute: Words) -> Ints:
    months = (digits(day, 0, 4) - 1970) * 12 + digits(day, 5, 2) - 1
    days = months.astype("M8[M]").astype("M8[D]").astype(np.int64) + digits(minute, 0, 2) - 1
    minutes: Ints = days * 1440 + digits(minute, 3, 2) * 60 + digits(minute, 6, 2)
    return minutes * 60_000_000


def _zones(words: Words, block: Block, at: Ints, closing: bytes) -> tuple[Ints, list[bytes]]:
    """Which zone stands at each position, and the zones; `words` is what stands there."""
    ended = words ^ (_LOW * np.uint64(closing[0]))
    ended = (ended - _LOW) & ~ended & _HIGH  # its lowest bit stands where `closing` does
    kept = words & ((ended ^ (ended - np.uint64(1))) >> np.uint64(8))
    kept[ended == 0] = words[ended == 0]
    new = np.ones(len(at), np.bool_)
    new[1:] = (kept[1:] != kept[:-1]) | (ended[1:] == 0)
    runs = np.flatnonzero(new)
    zones: dict[bytes, int] = {}
    codes = [zones.setdefault(_zone(block, int(at[run]), closing), len(zones)) for run in runs]
    return np.array(codes, np.int64)[np.cumsum(new) - 1], list(zones)


def _zone(block: Block, at: int, closing: bytes) -> bytes:
    return bytes(block[at : at + _ZONE_AT_MOST]).partition(closing)[0]


def _stated_s(zone: bytes) -> int | None:
    """The offset of a zone that needs no explanation."""
    numeric = _NUMERIC.match(zone)
    if numeric is None:
        return _FIXED.get(zone)
    sign, hours, minutes = numeric.groups(b"0")
    offset_s = int(hours) * 3600 + int(minutes) * 60
    return -offset_s if sign == b"-" else offset_s


def _of_place_s(place: str, zone: bytes, local: datetime) -> int | None:
    """The offset that a place's clocks had; in the hour that comes twice, the zone says which."""
    try:
        there = zoneinfo.ZoneInfo(place) if place else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
    if there is None:
        return None
    both = [local.replace(tzinfo=there, fold=fold) for fold in (0, 1)]
    meant = next((when for when in both if when.tzname() == zone.decode("latin-1")), both[0])
    offset = meant.utcoffset()
    return None if offset is None else int(offset.total_seconds())


@lru_cache(maxsize=64)
def _sibling_s(zone: bytes, known: tuple[tuple[bytes, int], ...], year: int) -> int | None:
    """The offset of a zone at a place that has a known zone at another time of the year.

    After the clocks have changed, all sessions at hand may still be older than the change.
    """
    for place in sorted(zoneinfo.available_timezones()) if known else ():
        there = zoneinfo.ZoneInfo(place)
        offsets: dict[bytes, int] = {}
        for month in (1, 7):
            when = datetime(max(1, min(year, 9999)), month, 1, tzinfo=UTC).astimezone(there)
            offset = when.utcoffset() or timedelta()
            offsets[str(when.tzname()).encode()] = int(offset.total_seconds())
        if zone in offsets and any(offsets.get(other) == offset_s for other, offset_s in known):
            return offsets[zone]
    return None


def _naive_s(second: bytes) -> int:
    """Seconds of `2026-01-31 23:59:59`, taken as UTC; raises ValueError where it is no such."""
    date, _, time = second.partition(b" ")
    year, month, day = date.split(b"-")
    hours, minutes, seconds = time.split(b":")
    return timegm((int(year), int(month), int(day), int(hours), int(minutes), int(seconds)))
