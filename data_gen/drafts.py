"""One column's statistics on their way to a source: of a key domain, or of values of its own.

A draft can be made more than once: a unique key of several columns may ask for more distinct
values, or for fewer rows of one value, than the statistics say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from data_gen.cells import Piece
from data_gen.keys import KeyDomain, within
from data_gen.profile import ColumnProfile
from data_gen.sharing import shared
from data_gen.shuffle import Ints
from data_gen.sizes import distinct_values
from data_gen.spread import Spread
from data_gen.values import generator_of
from data_gen.values.family import Family, Wanted
from data_gen.values.integers import LIMITS, Integers
from data_gen.values.numerics import Numerics

_FEW = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A spread, and what its points look like."""

    spread: Spread
    encode: Callable[[Ints], tuple[Piece, ...]]
    text: Callable[[bytes], str]


class Draft(Protocol):
    """A column that can be made."""

    @property
    def distinct(self) -> int:
        """Different values that the statistics ask for."""

    @property
    def rotates(self) -> bool:
        """Whether, following in a unique key, it begins anywhere rather than at the first value."""

    def made(self, rows: int, *, distinct: int = 0, most: int | None = None) -> Made:
        """The column for that many rows with a value; 0 distinct: as the statistics say."""


@dataclass(frozen=True, slots=True, eq=False)
class ValueDraft:
    """A column of values."""

    wanted: Wanted  # for all rows of its table
    _families: dict[int, Family] = field(default_factory=dict)  # by what was asked for

    @property
    def distinct(self) -> int:
        """As many as wanted."""
        return self.wanted.distinct

    @property
    def rotates(self) -> bool:
        """Line numbers and the like count from the start; names of many kinds do not."""
        return self.wanted.distinct > _FEW

    def family(self, distinct: int = 0) -> Family:
        """The column's values; 0 distinct: as the statistics say."""
        distinct = distinct or self.wanted.distinct
        if distinct not in self._families:
            generator = generator_of(self.wanted.column)
            assert generator is not None
            self._families[distinct] = generator(replace(self.wanted, distinct=distinct))
        return self._families[distinct]

    def made(self, rows: int, *, distinct: int = 0, most: int | None = None) -> Made:
        """Common values at their fractions and the rest by the histogram; or each row another."""
        wanted = self.wanted
        family = self.family(rows if wanted.unique else distinct or wanted.distinct)
        if wanted.unique:
            low, high = family.limits
            first = max(low, min(1, high - rows + 1))
            spread = within(rows, family.bounds, high, (first, first + rows - 1))
        else:
            spread = shared(
                rows,
                common=_of_values(wanted.column, family.common, distinct / max(rows, 1)),
                bounds=_widened(family.bounds, distinct),
                distinct=distinct or wanted.distinct,
                most=most,
                scatter=None if family.point is None else wanted.key,
            )
        return Made(spread, family.values.encode, family.values.decode)


@dataclass(frozen=True, slots=True, eq=False)
class KeyDraft:
    """A column that refers to a key domain: its points are positions."""

    column: ColumnProfile
    domain: KeyDomain
    parents: int  # production's keys in the domain
    unique: bool
    key: int
    rows: int  # of its table, all
    production: int  # rows of its table in production
    fan: Callable[[int], Spread | None] = lambda _rows: None  # by how many children parents have

    @property
    def distinct(self) -> int:
        """As many as production's, in proportion to the domain; parents without children remain."""
        column, size = self.column, self.domain.size
        if column.n_distinct < 0 or not column.analyzed:
            return min(distinct_values(column, self.rows, self.production), size)
        number = distinct_values(column, self.production, self.production)
        return max(min(round(number * size / max(self.parents, 1)), size), 1)

    @property
    def rotates(self) -> bool:
        """A pair of keys meets the second one by its frequency."""
        return True

    def made(self, rows: int, *, distinct: int = 0, most: int | None = None) -> Made:
        """Hot parents at their fractions, the others as the histogram shares them out."""
        fan = None if distinct or most or self.unique else self.fan(rows)
        spread = self.by_statistics(rows, distinct=distinct, most=most) if fan is None else fan
        return Made(spread, *_coding(self.domain, self.column))

    def by_statistics(self, rows: int, *, distinct: int = 0, most: int | None = None) -> Spread:
        """Rows over positions as the column's own statistics have them."""
        column, domain = self.column, self.domain
        everywhere = (0, domain.size - 1)
        common = tuple(
            (domain.place(token), fraction)
            for token, fraction in zip(column.common_values, column.common_fractions, strict=True)
        )
        bounds: Sequence[int] = everywhere
        if column.analyzed and not column.histogram and self.distinct <= len(common):
            bounds = ()
        elif domain.family.point is not None and column.histogram:
            bounds = sorted(domain.near(token) for token in column.histogram)
        if self.unique:
            return within(rows, bounds, domain.size - 1, everywhere)
        return shared(
            rows,
            common=_of_values(column, common, distinct / max(rows, 1)),
            bounds=everywhere if distinct or most else bounds,
            distinct=min(distinct or self.distinct, domain.size),
            most=most,
            scatter=self.key,
        )


def _of_values(
    column: ColumnProfile, common: Sequence[tuple[int, float]], kept: float
) -> tuple[tuple[int, float], ...]:
    """Fractions of all rows as fractions of those with a value; `kept` is left for other values."""
    present = max(1.0 - column.null_fraction, 1e-9)
    share = max(1.0 - kept, 0.0)
    return tuple((point, min(fraction / present, 1.0) * share) for point, fraction in common)


def _widened(bounds: Sequence[int], distinct: int) -> Sequence[int]:
    """Bounds with room for more values above; those of a closed list have none."""
    if not bounds or not distinct:
        return bounds
    return (*bounds[:-1], max(bounds[-1], bounds[0] + distinct))


def _coding(
    domain: KeyDomain, column: ColumnProfile
) -> tuple[Callable[[Ints], tuple[Piece, ...]], Callable[[bytes], str]]:
    """Binary and text form of a domain's keys in a column of perhaps another type."""
    values = domain.family.values
    if column.base_type != domain.base_type and column.base_type in LIMITS:
        values = Integers(column.base_type)
    elif column.base_type == "numeric" and domain.base_type in LIMITS:
        values = Numerics(0)
    return lambda positions: values.encode(domain.rungs.points(positions)), values.decode
