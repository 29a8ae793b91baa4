"""Arrays of one dimension: those seen, and new ones of the elements seen.

Source of the wire form: array_send in PostgreSQL 18's arrayfuncs.c.
"""

import contextlib
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_gen.cells import Cells, Piece, constant
from data_gen.profile import ColumnProfile
from data_gen.shuffle import Ints
from data_gen.values.coded import Coded, Form, Known, coded
from data_gen.values.family import Family, Generator, Wanted
from data_gen.values.oids import oid_of

_DEFAULT_ELEMENTS = 100
_MOST_ELEMENTS = 32
_NULL_LENGTH = -1
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}]+)')


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """New arrays of known elements; a value's number in the base of their count says which."""

    head: bytes
    size: int
    elements: Known

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Dimensions, then each element with its length before it."""
        found, rest = [constant(self.head, points.size)], points
        for _ in range(self.size):
            rest, at = np.divmod(rest, self.elements.lengths.size)
            found.append(Piece(self.elements.data, self.elements.lengths[at], at))
        return tuple(found)


def element_of(column: ColumnProfile) -> ColumnProfile:
    """A column of an array's elements, of which nothing is known."""
    return ColumnProfile(
        name=column.name,
        type=column.type.removesuffix("[]"),
        base_type=column.element or column.base_type.removeprefix("_"),
        not_null=True,
        type_kind=column.element_kind or "b",
        enum_labels=column.enum_labels,
    )


def arrays(wanted: Wanted, element: Generator) -> Family:
    """Arrays of one dimension, of a type that `element` makes."""
    column = wanted.column
    inner = element_of(column)
    oid = oid_of(inner, wanted.oids)
    one = replace(wanted, column=inner, distinct=_DEFAULT_ELEMENTS, unique=False, labels=())
    family = element(one)
    form = _form(family)

    def binary(token: str) -> bytes:
        parts = elements_of(token)
        packed = (_sized(None if part is None else form.binary(part)) for part in parts)
        return _head(oid, parts) + b"".join(packed)

    seen = [part for part in _parts((*column.common_values, *column.histogram)) if part is not None]
    tokens = len(column.common_values) + len(column.histogram)
    size = min(max(round(len(seen) / tokens) if tokens else 2, 1), _MOST_ELEMENTS)
    pool = [raw for part in dict.fromkeys(seen) if (raw := _usable(part, form)) is not None]
    known = Known.of(dict(enumerate(map(_sized, pool or _made(family)))))
    made = Lists(_head(oid, [""] * size), size, known)
    return coded(wanted, Form(binary, lambda raw: _text(raw, form)), made)


def _form(family: Family) -> Form:
    """Both forms of one element."""
    values = family.values
    if isinstance(values, Coded):
        return values.form
    if family.point is None:  # booleans
        return Form(lambda token: bytes([token in ("t", "true")]), values.decode)
    point = family.point

    def binary(token: str) -> bytes:
        try:
            at = point(token)
        except ArithmeticError as error:
            raise ValueError(token) from error
        (raw,) = Cells(values.encode(np.array([at], np.int64))).raw()
        assert raw is not None
        return raw

    return Form(binary, values.decode)


def _made(family: Family) -> list[bytes]:
    """Elements where the statistics show none."""
    points = [point for point, _ in family.common]
    if family.bounds:
        low, high = family.bounds[0], family.bounds[-1]
        step = max((high - low) // _DEFAULT_ELEMENTS, 1)
        points = list(range(low, high + 1, step))[:_DEFAULT_ELEMENTS]
    raw = Cells(family.values.encode(np.array(points or [0], np.int64))).raw()
    return [value for value in raw if value is not None]


def _parts(tokens: Sequence[str]) -> Iterator[str | None]:
    for token in tokens:
        with contextlib.suppress(ValueError):  # nested, or no array any more
            yield from elements_of(token)


def _usable(token: str, form: Form) -> bytes | None:
    try:
        return form.binary(token)
    except ValueError:
        return None


def elements_of(token: str) -> list[str | None]:
    """The elements of an array's text; raises ValueError for nested ones."""
    inner = token.removeprefix("{").removesuffix("}")
    if token == inner or "{" in re.sub(r'"(?:[^"\\]|\\.)*"', "", inner):
        raise ValueError(token)
    return [
        re.sub(r"\\(.)", r"\1", match[1])
        if match[1] is not None
        else None
        if match[2] == "NULL"
        else match[2]
        for match in _ELEMENT.finditer(inner)
    ]


def _head(oid: int, parts: Sequence[str | None]) -> bytes:
    if not parts:
        return struct.pack(">iii", 0, 0, oid)
    return struct.pack(">iiiii", 1, int(None in parts), oid, len(parts), 1)


def _sized(raw: bytes | None) -> bytes:
    return struct.pack(">i", _NULL_LENGTH) if raw is None else struct.pack(">i", len(raw)) + raw


def _text(raw: bytes, element: Form) -> str:
    if struct.unpack_from(">i", raw)[0] == 0:
        return "{}"
    parts, at = [], 20
    while at < len(raw):
        (length,) = struct.unpack_from(">i", raw, at)
        at += 4
        if length == _NULL_LENGTH:
            parts.append("NULL")
        else:
            escaped = re.sub(r'(["\\])', r"\\\1", element.text(raw[at : at + length]))
            parts.append(f'"{escaped}"')
            at += length
    return "{" + ",".join(parts) + "}"
