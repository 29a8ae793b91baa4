"""smallint, integer, bigint and oid: the point is the number."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from data_gen.cells import Piece, fixed
from data_gen.shuffle import Ints
from data_gen.values.family import Family, Wanted, fit, ordered

LIMITS = {
    "int2": (-(2**15), 2**15 - 1),
    "int4": (-(2**31), 2**31 - 1),
    "int8": (-(2**63), 2**63 - 1),
    "oid": (0, 2**32 - 1),
}
_WIRE = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "oid": ">u4"}


@dataclass(frozen=True, slots=True)
class Integers:
    """Numbers of one integer type."""

    base_type: str

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """Big-endian, of the type's width."""
        return (fixed(points.astype(_WIRE[self.base_type])),)

    def decode(self, raw: bytes) -> str:
        """Decimal digits."""
        return str(int.from_bytes(raw, "big", signed=self.base_type != "oid"))


def integers(wanted: Wanted) -> Family:
    """Tokens are numbers; where a column was never analysed, small ones or a row's number."""
    base_type = wanted.column.base_type
    low, high = LIMITS[base_type]
    default = (1, max(wanted.distinct, 1)) if wanted.unique else (0, 999)
    return ordered(
        wanted,
        Integers(base_type),
        lambda token: fit(int(token), high),
        base=lambda token: Fraction(Decimal(token)),
        default=default,
        limits=(low, high),
    )


def booleans(wanted: Wanted) -> Family:
    """False and true are the points 0 and 1; both alike where nothing is known."""
    column = wanted.column
    pairs = tuple(
        (int(value == "t"), fraction)
        for value, fraction in zip(column.common_values, column.common_fractions, strict=True)
    )
    if wanted.labels:
        share = 1.0 / len(wanted.labels)
        pairs = tuple((int(label in ("t", "true")), share) for label in wanted.labels)
    held = {one.low for one in wanted.held if one.low is not None and one.low == one.high}
    only = next((value[0] == "t" for value in sorted(held)), None)
    return Family(
        values=Booleans(only),
        common=pairs or ((0, 0.5), (1, 0.5)),
        limits=(0, 1),
        named={"f": 0, "t": 1},
    )


@dataclass(frozen=True, slots=True)
class Booleans:
    """A byte each."""

    only: bool | None = None  # the one that a check allows

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """0 or 1."""
        told = points if self.only is None else np.full(points.shape, self.only)
        return (fixed(told.astype(np.uint8)),)

    def decode(self, raw: bytes) -> str:
        """As PostgreSQL prints it: t or f."""
        return "t" if raw[0] else "f"
