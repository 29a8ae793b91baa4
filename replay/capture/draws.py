"""Values that a column's statistics say it holds: for statements of which only the counts are known."""

import uuid
from collections.abc import Callable
from datetime import date, datetime

import numpy as np

from data_gen.profile import ColumnProfile

_WHOLE = frozenset({"int2", "int4", "int8", "oid"})
_DECIMAL = frozenset({"numeric", "float4", "float8", "money"})
NUMBERS = _WHOLE | _DECIMAL
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
# What a column of no statistics is given.
DEFAULTS = {
    "bool": "t",
    "json": "{}",
    "jsonb": "{}",
    "bytea": "\\x00",
    "inet": "10.0.0.1",
    "cidr": "10.0.0.0/24",
    "macaddr": "08:00:2b:01:02:03",
    "date": "2000-01-01",
    "timestamp": "2000-01-01 00:00:00",
    "timestamptz": "2000-01-01 00:00:00+00",
    "time": "12:00:00",
    "timetz": "12:00:00+00",
    "interval": "1 day",
}


def drawn(column: ColumnProfile, rng: np.random.Generator) -> str:
    """A value as often as the column holds it: a common one, or one from its histogram."""
    at = float(rng.random()) * max(1.0 - column.null_fraction, 1e-9)
    for value, fraction in zip(column.common_values, column.common_fractions, strict=False):
        at -= fraction
        if at < 0:
            return value
    if not column.histogram and column.common_values:
        return column.common_values[int(rng.integers(len(column.common_values)))]
    return at_quantile(column, float(rng.random()), rng)


def sought(column: ColumnProfile, rng: np.random.Generator) -> str:
    """A value to look for by equality: of texts one like those held, as there are many of them."""
    value = drawn(column, rng)
    if column.base_type in _TEXTS and value in column.histogram:
        return "".join(_letter_like(letter, rng) for letter in value)
    return value


def at_quantile(column: ColumnProfile, quantile: float, rng: np.random.Generator) -> str:
    """A value below which this share of the column's lies; common values are not looked at."""
    if column.base_type == "uuid":
        return str(uuid.UUID(bytes=rng.bytes(16), version=4))
    bounds = column.histogram or column.common_values
    if not bounds:
        return _default(column, rng)
    place = min(max(quantile, 0.0), 1.0) * (len(bounds) - 1)
    low = min(int(place), len(bounds) - 1)
    high = min(low + 1, len(bounds) - 1)
    inside = _BETWEEN.get(column.base_type)
    if inside is None or not column.histogram:
        return bounds[low]
    try:
        return inside(bounds[low], bounds[high], place - low)
    except (ValueError, OverflowError):  # NaN, infinity, years that Python has not
        return bounds[low]


def _default(column: ColumnProfile, rng: np.random.Generator) -> str:
    if column.enum_labels:
        return column.enum_labels[int(rng.integers(len(column.enum_labels)))]
    if column.base_type.startswith("_"):
        return "{}"
    return DEFAULTS.get(column.base_type, "1")


def _letter_like(letter: str, rng: np.random.Generator) -> str:
    if letter.isascii() and letter.isdigit():
        return chr(ord("0") + int(rng.integers(10)))
    if letter.isascii() and letter.isalpha():
        return chr(ord("A" if letter.isupper() else "a") + int(rng.integers(26)))
    return letter


def _whole(low: str, high: str, share: float) -> str:
    return str(int(low) + int((int(high) - int(low)) * share))


def _decimal(low: str, high: str, share: float) -> str:
    places = len(low.partition(".")[2])
    return f"{float(low) + (float(high) - float(low)) * share:.{places}f}"


def _moment(low: str, high: str, share: float) -> str:
    first, last = datetime.fromisoformat(low), datetime.fromisoformat(high)
    return str(first + (last - first) * share)


def _day(low: str, high: str, share: float) -> str:
    first, last = date.fromisoformat(low), date.fromisoformat(high)
    return str(first + (last - first) * share)


_BETWEEN: dict[str, Callable[[str, str, float], str]] = {
    **dict.fromkeys(_WHOLE, _whole),
    **dict.fromkeys(_DECIMAL, _decimal),
    "date": _day,
    "timestamp": _moment,
    "timestamptz": _moment,
}
