"""Timestamps, dates, times of day and intervals: the point counts µs (days for dates).

Timestamps and dates move by the profile's shift, so that "the last hour" stays the last hour.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction

import numpy as np

from data_gen.cells import Piece, fixed
from data_gen.shuffle import Ints
from data_gen.values.family import Family, Wanted, ordered

DAY_US = 86_400_000_000
_GRAINS = (DAY_US, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL counts from here
EPOCH_US = int(_EPOCH.timestamp()) * 1_000_000
_LAST_US = 8_000 * 365 * DAY_US  # beyond it Python has no datetime to print
_UNITS = {"year": 360 * DAY_US, "mon": 30 * DAY_US, "day": DAY_US}
_INTERVAL = re.compile(r"([+-]?\d+) (year|mon|day)s?|([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Moments:
    """A type that is one count on the wire; points count in units, from an origin."""

    wire: str
    text: Callable[[int], str]
    unit: int = 1
    origin: int = 0
    zone: bool = False  # time with time zone: an offset of zero follows

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """The count, big-endian."""
        count = fixed((points * self.unit + self.origin).astype(self.wire))
        return (count, Piece(np.zeros((points.size, 4), np.uint8))) if self.zone else (count,)

    def decode(self, raw: bytes) -> str:
        """ISO 8601, in UTC."""
        size = 4 if self.wire == ">i4" else 8
        return self.text(int.from_bytes(raw[:size], "big", signed=True))


@dataclass(frozen=True, slots=True)
class Intervals:
    """Days and the µs of a day; months are taken for 30 days, as comparing intervals does."""

    unit: int

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """µs, days, months."""
        days, rest = np.divmod(points * self.unit, DAY_US)
        months = np.zeros_like(points)
        return fixed(rest.astype(">i8")), fixed(np.stack([days, months], axis=1).astype(">i4"))

    def decode(self, raw: bytes) -> str:
        """Days and a time of day."""
        rest = int.from_bytes(raw[:8], "big", signed=True)
        days = int.from_bytes(raw[8:12], "big", signed=True)
        return f"{days} days {_clock(rest)}"


def timestamps(wanted: Wanted) -> Family:
    """With and without time zone; the year before now where nothing is known."""
    zoned = wanted.column.base_type == "timestamptz"
    unit, shift = _unit(wanted, timestamp_point), wanted.shift_us
    now = wanted.now_us - EPOCH_US - shift
    return ordered(
        wanted,
        Moments(">i8", lambda at: instant_text(at) + ("+00" if zoned else ""), unit, shift),
        lambda token: timestamp_point(token) // unit,
        default=((now - 365 * DAY_US) // unit, now // unit),
        limits=((-_LAST_US - shift) // unit, (_LAST_US - shift) // unit),
        base=lambda token: Fraction(timestamp_point(token)),
        unit=unit,
        shift=shift,
    )


def dates(wanted: Wanted) -> Family:
    """Dates move by whole days."""
    shift = wanted.shift_us // DAY_US
    today = (wanted.now_us - EPOCH_US) // DAY_US - shift
    return ordered(
        wanted,
        Moments(">i4", date_text, origin=shift),
        lambda token: (date.fromisoformat(token) - _EPOCH.date()).days,
        default=(today - 365, today),
        limits=(-_LAST_US // DAY_US - shift, _LAST_US // DAY_US - shift),
        shift=shift,
    )


def times(wanted: Wanted) -> Family:
    """Times of day; zones are taken for UTC."""
    zoned = wanted.column.base_type == "timetz"
    unit = _unit(wanted, _clock_point)
    return ordered(
        wanted,
        Moments(">i8", lambda at: _clock(at) + ("+00" if zoned else ""), unit, zone=zoned),
        lambda token: _clock_point(token) // unit,
        default=(0, (DAY_US - 1) // unit),
        limits=(0, DAY_US // unit),
        base=lambda token: Fraction(_clock_point(token)),
        unit=unit,
    )


def intervals(wanted: Wanted) -> Family:
    """Lengths of time; up to a day where nothing is known."""
    unit = _unit(wanted, interval_point)
    return ordered(
        wanted,
        Intervals(unit),
        lambda token: interval_point(token) // unit,
        default=(0, DAY_US // unit),
        base=lambda token: Fraction(interval_point(token)),
        unit=unit,
    )


def _unit(wanted: Wanted, point: Callable[[str], int]) -> int:
    """The largest unit that all values seen are whole numbers of: days, seconds … or a µs."""
    column = wanted.column
    seen = []
    for token in (*column.common_values, *column.histogram):
        with contextlib.suppress(ValueError):  # infinity
            seen.append(point(token))
    return next(unit for unit in _GRAINS if all(at % unit == 0 for at in seen)) if seen else 1


def timestamp_point(token: str) -> int:
    """µs since 2000 of a timestamp's text; without a zone it is taken for UTC."""
    at = datetime.fromisoformat(token)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(microseconds=1)


def interval_point(token: str) -> int:
    """µs of an interval's text, IntervalStyle postgres."""
    total = 0
    found = list(_INTERVAL.finditer(token))
    if not found:
        raise ValueError(token)
    for match in found:
        if match[2]:
            total += int(match[1]) * _UNITS[match[2]]
        else:
            seconds = int(match[4]) * 3600 + int(match[5]) * 60
            at = seconds * 1_000_000 + round(float(match[6]) * 1_000_000)
            total += -at if match[3] == "-" else at
    return total


def instant_text(at: int) -> str:
    """A moment from its µs since 2000, without a zone."""
    return str((_EPOCH + timedelta(microseconds=at)).replace(tzinfo=None))


def date_text(day: int) -> str:
    """A date from its days since 2000."""
    return str(_EPOCH.date() + timedelta(days=day))


def _clock(at: int) -> str:
    seconds, micros = divmod(at, 1_000_000)
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}.{micros:06}"


def _clock_point(token: str) -> int:
    at = time.fromisoformat(token)
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000 + at.microsecond
