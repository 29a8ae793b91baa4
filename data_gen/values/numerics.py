"""numeric and the floating types: the point is the value in units of its last digit kept."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from data_gen.cells import Piece, fixed
from data_gen.shuffle import Ints
from data_gen.values.family import LARGEST, Family, Wanted, fit, ordered

_GROUP = 10_000  # numeric's wire form is a row of digits in base 10,000
_MOST_GROUPS = 5  # before the point, of 64 bits
_MOST_DECIMALS = 9
_STEPS = 2**50  # a float column's range in points
_TYPMOD = re.compile(r"\((\d+)(?:,\s*(-?\d+))?\)")


@dataclass(frozen=True, slots=True)
class Numerics:
    """Decimal numbers with `scale` digits after the point."""

    scale: int

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """Digit groups; the server strips leading zeros (numeric_recv)."""
        from data_gen.values.spelling import decimals  # noqa: PLC0415 - the compiler, when needed

        groups = -(-self.scale // 4)
        unit, lift = np.uint64(10**self.scale), np.uint64(10 ** (4 * groups - self.scale))
        digits = np.empty((points.size, 8 + 2 * (_MOST_GROUPS + groups)), np.uint8)
        lengths = np.empty(points.size, np.int64)
        decimals(digits, lengths, points, unit, lift, groups, self.scale)
        return (Piece(digits, lengths),)

    def decode(self, raw: bytes) -> str:
        """Plain decimal notation, with all digits of the scale."""
        count, weight, sign, scale = struct.unpack_from(">hhHH", raw)
        value = 0
        for group in struct.unpack_from(f">{count}H", raw, 8):
            value = value * _GROUP + group
        number = Decimal(value).scaleb(4 * (weight + 1 - count))
        return f"{-number if sign else number:.{scale}f}"


def numerics(wanted: Wanted) -> Family:
    """Decimals; the scale is the type's, or the most that the statistics show."""
    column = wanted.column
    declared = _TYPMOD.search(column.type)
    tokens = (*column.common_values, *column.histogram)
    if declared:
        scale = max(int(declared[2] or 0), 0)
        limit = min(10 ** int(declared[1]) - 1, LARGEST)
    else:
        seen = (len(token.partition(".")[2]) for token in tokens if "e" not in token)
        scale, limit = min(max(seen, default=0), _MOST_DECIMALS), LARGEST
    unit = 10**scale
    default = (1, max(wanted.distinct, 1)) if wanted.unique else (0, 1000 * unit)
    return ordered(
        wanted,
        Numerics(scale),
        lambda token: fit(int(Decimal(token) * unit), limit),
        base=lambda token: Fraction(Decimal(token)) * unit,
        default=(default[0], min(default[1], limit)),
        limits=(-limit, limit),
    )


@dataclass(frozen=True, slots=True)
class Floats:
    """Numbers at even steps from the smallest; those of the statistics are met exactly."""

    low: float
    step: float
    exact: Mapping[int, float]
    wire: str

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """IEEE 754, big-endian."""
        numbers = self.low + points * self.step
        for point, number in self.exact.items():
            numbers[points == point] = number
        return (fixed(numbers.astype(self.wire)),)

    def decode(self, raw: bytes) -> str:
        """The shortest digits that read back as the same number."""
        number = np.frombuffer(raw, self.wire)[0]
        return np.format_float_positional(number, trim="-")


def floats(wanted: Wanted) -> Family:
    """Single and double precision."""
    column = wanted.column
    tokens = [float(token) for token in (*column.common_values, *column.histogram)]
    tokens = [number for number in tokens if np.isfinite(number)] or [0.0, 1000.0]
    low = min(tokens)
    step = (max(tokens) - low) / _STEPS or 1.0

    def point(token: str) -> int:
        return round((float(token) - low) / step)

    common = [float(token) for token in column.common_values]
    values = Floats(
        low=low,
        step=step,
        exact={point(str(n)): n for n in common if np.isfinite(n)},
        wire=">f4" if column.base_type == "float4" else ">f8",
    )
    return ordered(wanted, values, point, default=(0, _STEPS))
