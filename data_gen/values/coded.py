"""Types without a useful order: values known by their text, and made ones beyond them.

Points below the number of known values are these, as the statistics (or the keys) name them; the
others come from a *maker*, which gives different bytes for different points.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_gen.cells import Octets, Piece
from data_gen.shuffle import Flags, Ints
from data_gen.values.family import Family, Wanted, shares_of

_LONGEST_KNOWN = 4096  # a longer value is made instead: one of them would widen every row's place


class Maker(Protocol):
    """Points to bytes that no two of them share."""

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """The bytes of each point, in parts."""


@dataclass(frozen=True, slots=True)
class Form:
    """A type's two forms; `binary` raises ValueError for what is no value of it."""

    binary: Callable[[str], bytes]
    text: Callable[[bytes], str]


TEXT = Form(str.encode, bytes.decode)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Values that stand at certain points, in binary form."""

    points: Ints  # ascending
    data: Octets
    lengths: Ints

    @classmethod
    def of(cls, values: Mapping[int, bytes]) -> "Known":
        """Lay the values side by side."""
        ordered = sorted(values.items())
        lengths = np.array([len(value) for _, value in ordered], np.int64)
        width = int(lengths.max(initial=1))
        padded = b"".join(value.ljust(width, b"\0") for _, value in ordered)
        data = np.frombuffer(padded, np.uint8).reshape(len(ordered), width)
        return cls(np.array([point for point, _ in ordered], np.int64), data, lengths)

    def find(self, points: Ints) -> tuple[Ints, Flags]:
        """Where each point's value lies here, and whether it does."""
        count = self.points.size
        if self.points[-1] == count - 1:  # the first points, without a gap
            hit = points < count
            return np.where(hit, points, 0), hit
        at = np.searchsorted(self.points, points)
        at[at == count] = 0
        return at, self.points[at] == points


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Known values and made ones of one type."""

    form: Form
    known: Known
    maker: Maker | None  # None: nothing but known values

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """The bytes of each value."""
        if not self.known.points.size:
            return self.maker.pieces(points) if self.maker is not None else ()
        at, hit = self.known.find(points)
        found = Piece(self.known.data, self.known.lengths[at], at)
        if self.maker is None or hit.all():
            return (found,)
        other = ~hit
        return (found.only(hit), *(piece.only(other) for piece in self.maker.pieces(points)))

    def decode(self, raw: bytes) -> str:
        """PostgreSQL's text of one value."""
        return self.form.text(raw)


def coded(wanted: Wanted, form: Form, maker: Maker) -> Family:
    """A family from the tokens in the statistics, and a maker for what they do not name."""
    column = wanted.column
    if wanted.labels and not wanted.unique:
        return labelled(wanted)
    fractions = dict(zip(column.common_values, column.common_fractions, strict=True))
    if wanted.unique:
        stood = {point: token for point, token in wanted.known.items() if _usable(token, form)}
        bounds = (0, max(wanted.distinct - 1, 0))
    else:
        tokens = dict.fromkeys((*sorted(fractions), *column.histogram))
        usable = [token for token in tokens if _usable(token, form)][: max(wanted.distinct, 1)]
        stood = dict(enumerate(usable))
        first = sum(token in fractions for token in usable)
        bounds = (first, max(wanted.distinct, first + 1) - 1)
    return Family(
        values=Coded(form, Known.of({p: form.binary(token) for p, token in stood.items()}), maker),
        common=tuple((p, fractions[token]) for p, token in stood.items() if token in fractions),
        bounds=bounds,
        named={token: point for point, token in stood.items() if token in fractions},
    )


def labelled(wanted: Wanted) -> Family:
    """Enums, and text that a CHECK holds to a list: nothing but these values."""
    column = wanted.column
    values = wanted.labels or column.enum_labels
    known = Known.of({point: value.encode() for point, value in enumerate(values)})
    common = tuple(enumerate(shares_of(column, values)))
    return Family(
        values=Coded(TEXT, known, None),
        common=common,
        named={value: point for point, value in enumerate(values)},
    )


def _usable(token: str, form: Form) -> bool:
    try:
        return len(form.binary(token)) <= _LONGEST_KNOWN
    except ValueError:
        return False
