"""What a type family is asked for, and what it gives.

A family turns a column's statistics into points (integers, see `data_gen.spread`) and points into
values in the type's binary form. Everything that it makes depends on the point alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor
from typing import Protocol

from data_gen.bounds import Held, squeezed
from data_gen.cells import Piece
from data_gen.profile import ColumnProfile
from data_gen.shuffle import Ints
from data_gen.toast import Outside

LARGEST = 2**62  # points stay well inside 64 bits, so that differences do


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A column, and what its table asks of it."""

    column: ColumnProfile
    distinct: int  # how many different values, common ones included
    unique: bool  # no value twice: common values have no meaning
    key: int  # randomness of this column
    shift_us: int = 0  # what timestamps move by
    now_us: int = 0  # the moment that the data takes for now, epoch µs
    outside: Outside | None = None  # values that are stored outside of their rows
    locale: str = "en_US"  # in which names and addresses are made
    labels: tuple[str, ...] = ()  # the only values that the schema allows; (): any
    known: Mapping[int, str] = field(default_factory=dict)  # values that must stand at a point
    oids: Mapping[str, int] = field(default_factory=dict)  # of the target's own types, by name
    held: tuple[Held, ...] = ()  # what partition and checks hold it to


class Values(Protocol):
    """Points to values."""

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """The binary form of the value at each point."""

    def decode(self, raw: bytes) -> str:
        """PostgreSQL's text form of one value's binary form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A column's values and their statistics in points."""

    values: Values
    common: tuple[tuple[int, float], ...] = ()  # points and their fractions of all rows
    bounds: tuple[int, ...] = ()  # ascending; () where only the common points may occur
    limits: tuple[int, int] = (-LARGEST, LARGEST)  # the type's
    point: Callable[[str], int] | None = None  # a token's point, in a type with an order
    # A value of the schema itself (a bound) as a number, in which a point is point · unit + shift.
    base: Callable[[str], Fraction] | None = None
    unit: int = 1
    shift: int = 0
    named: Mapping[str, int] = field(default_factory=dict)  # points of the common tokens


Generator = Callable[[Wanted], Family]


def ordered(
    wanted: Wanted,
    values: Values,
    point: Callable[[str], int],
    *,
    default: tuple[int, int],
    limits: tuple[int, int] = (-LARGEST, LARGEST),
    base: Callable[[str], Fraction] | None = None,
    unit: int = 1,
    shift: int = 0,
) -> Family:
    """A family of a type with an order, from the column's statistics; `default` where none are."""
    column = wanted.column
    tokens: Sequence[str] = column.common_values
    fractions: Sequence[float] = column.common_fractions
    if wanted.labels:
        tokens, fractions = wanted.labels, shares_of(column, wanted.labels)
    points = _points(tokens, point)
    pairs = zip(points, fractions, strict=True)
    common = tuple((at, fraction) for at, fraction in pairs if at is not None)
    named = {token: at for token, at in zip(tokens, points, strict=True) if at is not None}
    if wanted.labels and not wanted.unique:
        return Family(values=values, common=common, limits=limits, point=point, named=named)
    bounds = sorted(at for at in _points(column.histogram, point) if at is not None)
    if not bounds and common:
        bounds = [min(at for at, _ in common), max(at for at, _ in common)]
    family = Family(
        values=values,
        common=common,
        bounds=tuple(bounds or default),
        limits=limits,
        point=point,
        base=base or (lambda token: Fraction(point(token))),
        unit=unit,
        shift=shift,
        named=named,
    )
    for held in wanted.held:
        family = _confined(family, held)
    return family


def _confined(family: Family, held: Held) -> Family:
    """The family inside what a partition or a check allows; as it is, where that is no value."""
    low, high = family.limits
    base = family.base
    if base is None or (held.low is None and held.high is None):
        return family

    def at(token: str) -> Fraction:
        return (base(token) - family.shift) / family.unit

    try:
        if held.low is not None:
            low = max(low, floor(at(held.low)) + 1 if held.above_low else ceil(at(held.low)))
        if held.high is not None:
            high = min(high, floor(at(held.high)) if held.to_high else ceil(at(held.high)) - 1)
    except (ValueError, ArithmeticError):  # infinity
        return family
    moved = squeezed((*family.bounds, *(at for at, _ in family.common)), low, max(low, high))
    return replace(
        family,
        common=tuple((moved(at), fraction) for at, fraction in family.common),
        bounds=tuple(moved(at) for at in family.bounds),
        limits=(low, max(low, high)),
        named={token: moved(at) for token, at in family.named.items()},
    )


def shares_of(column: ColumnProfile, values: Sequence[str]) -> tuple[float, ...]:
    """Fractions of a closed list of values.

    Those that the statistics do not name are rare: they share what the named ones leave. Where
    nothing is known, all are alike.
    """
    fractions = dict(zip(column.common_values, column.common_fractions, strict=True))
    missing = sum(value not in fractions for value in values)
    left = max(1.0 - column.null_fraction - sum(fractions.values()), 0.0)
    if not fractions:
        return (1.0 / len(values),) * len(values)
    return tuple(fractions.get(value, left / missing if missing else 0.0) for value in values)


def fit(number: int, limit: int) -> int:
    """A token inside ±limit: unmoved up to nine tenths of it, pressed together above.

    Scrubbing stretches integers by half at most; the map is monotone, the same for every column
    and for the parameters that meet it.
    """
    kept = limit // 10 * 9
    size = abs(number)
    if size <= kept:
        return number
    pressed = min(kept + (size - kept) * (limit - kept) // (limit * 8 // 5 - kept), limit)
    return pressed if number > 0 else -pressed


def _points(tokens: Sequence[str], point: Callable[[str], int]) -> list[int | None]:
    """Each token's point; None for a token that is no value of the type (infinity, NaN)."""
    found: list[int | None] = []
    for token in tokens:
        try:
            found.append(max(-LARGEST, min(point(token), LARGEST)))
        except (ValueError, ArithmeticError):
            found.append(None)
    return found
