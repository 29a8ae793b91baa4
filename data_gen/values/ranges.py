"""Ranges and multiranges over numbers and times.

pg_stats has no bounds of ranges before PostgreSQL 17, so ranges follow one another at even steps,
half a step long: none overlaps another, as exclusion constraints over time want it.
Source of the wire form: range_send in rangetypes.c and multirange_send of PostgreSQL 18.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Piece, constant, fixed, length_of
from data_gen.shuffle import Ints
from data_gen.values.coded import Form, coded
from data_gen.values.family import Family, Wanted
from data_gen.values.numerics import Numerics
from data_gen.values.times import DAY_US, EPOCH_US, date_text, instant_text

_LOWER_INCLUDED, _EMPTY, _LOWER_INFINITE, _UPPER_INFINITE = 0x02, 0x01, 0x08, 0x10
_HOUR_US = DAY_US // 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtype:
    """A type that ranges are made of."""

    encode: Callable[[Ints], tuple[Piece, ...]]
    text: Callable[[bytes], str]
    step: int
    length: int  # below the step: ranges do not touch
    last: Callable[[Wanted], int]  # where ranges of a column end


def _fixed(wire: str) -> Callable[[Ints], tuple[Piece, ...]]:
    return lambda numbers: (fixed(numbers.astype(wire)),)


def _whole(raw: bytes) -> str:
    return str(int.from_bytes(raw, "big", signed=True))


def _instants(zone: str) -> Subtype:
    return Subtype(
        encode=_fixed(">i8"),
        text=lambda raw: f'"{instant_text(int.from_bytes(raw, "big", signed=True))}{zone}"',
        step=_HOUR_US,
        length=_HOUR_US // 2,
        last=lambda wanted: wanted.now_us - EPOCH_US,
    )


def _counted(wanted: Wanted) -> int:
    return wanted.distinct * 10


_NUMERIC = Numerics(2)
SUBTYPES = {
    "int4": Subtype(encode=_fixed(">i4"), text=_whole, step=10, length=5, last=_counted),
    "int8": Subtype(encode=_fixed(">i8"), text=_whole, step=10, length=5, last=_counted),
    "numeric": Subtype(
        encode=_NUMERIC.encode, text=_NUMERIC.decode, step=10, length=5, last=_counted
    ),
    "float8": Subtype(
        encode=_fixed(">f8"),
        text=lambda raw: np.format_float_positional(np.frombuffer(raw, ">f8")[0], trim="-"),
        step=10,
        length=5,
        last=_counted,
    ),
    "date": Subtype(
        encode=_fixed(">i4"),
        text=lambda raw: date_text(int.from_bytes(raw, "big", signed=True)),
        step=2,
        length=1,
        last=lambda wanted: (wanted.now_us - EPOCH_US) // DAY_US,
    ),
    "timestamp": _instants(""),
    "timestamptz": _instants("+00"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Ranges at even steps, the last one ending about now."""

    subtype: Subtype
    first: int
    multi: bool

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Flags and two bounds, each with its length; a multirange counts its ranges first."""
        lower = self.first + points * self.subtype.step
        found = [constant(bytes([_LOWER_INCLUDED]), points.size)]
        for bound in (lower, lower + self.subtype.length):
            encoded = self.subtype.encode(bound)
            found += [length_of(encoded, points.size), *encoded]
        if self.multi:
            one = constant(struct.pack(">i", 1), points.size)
            return (one, length_of(found, points.size), *found)
        return tuple(found)


def ranges(wanted: Wanted) -> Family:
    """Ranges and multiranges of the types in SUBTYPES."""
    subtype, multi = SUBTYPES[wanted.column.element], wanted.column.type_kind == "m"
    first = subtype.last(wanted) - wanted.distinct * subtype.step

    def text(raw: bytes) -> str:
        return _text(raw[8:], subtype, "{", "}") if multi else _text(raw, subtype, "", "")

    return coded(wanted, Form(_unknown, text), Rows(subtype, max(first, 1), multi))


def _unknown(token: str) -> bytes:
    raise ValueError(token)


def _text(raw: bytes, subtype: Subtype, before: str, after: str) -> str:
    bounds, at = [], 1
    while at < len(raw):
        (width,) = struct.unpack_from(">i", raw, at)
        bounds.append(subtype.text(raw[at + 4 : at + 4 + width]))
        at += 4 + width
    return f"{before}[{','.join(bounds)}){after}"
