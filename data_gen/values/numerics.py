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
_MOST_DECIMALS = 9
_STEPS = 2**50  # a float column's range in points
_TYPMOD = re.compile(r"\((\d+)(?:,\s*(-?\d+))?\)")


@dataclass(frozen=True, slots=True)
class Numerics:
    """Decimal numbers with `scale` digits after the point."""

    scale: int

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """Digit groups; the server strips leading and trailing zeros (numeric_recv)."""
        unit = 10**self.scale
        sizes = np.abs(points)
        whole, part = np.divmod(sizes, unit)
        groups = -(-self.scale // 4)
        part = part * 10 ** (groups * 4 - self.scale)
        leading = max(1, -(-len(str(int(whole.max(initial=0)))) // 4))
        digits = [whole // _GROUP**place % _GROUP for place in reversed(range(leading))]
        digits += [part // _GROUP**place % _GROUP for place in reversed(range(groups))]
        count = len(digits)
        signs = np.where(points < 0, 0x4000, 0)
        head = [np.full_like(points, n) for n in (count, leading - 1)]
        row = [*head, signs, np.full_like(points, self.scale), *digits]
        return (fixed(np.stack(row, axis=1).astype(">u2")),)

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
