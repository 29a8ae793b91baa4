"""Arrays of simple types, of one dimension: those seen, and new ones of the elements seen.

Source of the wire form: array_send in PostgreSQL 18's arrayfuncs.c.
"""

import re
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Piece, constant
from data_gen.shuffle import Ints
from data_gen.values.coded import TEXT, Form, Known, coded
from data_gen.values.family import Family, Wanted

_TEXT_OID, _VARCHAR_OID = 25, 1043
_DEFAULT_ELEMENTS = tuple(map(str, range(100)))
_MOST_ELEMENTS = 32
_NULL_LENGTH = -1
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}]+)')


def _number(layout: str, kind: type[int] | type[float]) -> Form:
    return Form(
        lambda token: struct.pack(layout, kind(token)),
        lambda raw: str(struct.unpack(layout, raw)[0]),
    )


# The OIDs of built-in types never change (pg_type.dat).
ELEMENTS = {
    "_bool": (16, Form(lambda part: bytes([part == "t"]), lambda raw: "t" if raw[0] else "f")),
    "_int2": (21, _number(">h", int)),
    "_int4": (23, _number(">i", int)),
    "_int8": (20, _number(">q", int)),
    "_float8": (701, _number(">d", float)),
    "_text": (_TEXT_OID, TEXT),
    "_varchar": (_VARCHAR_OID, TEXT),
    "_uuid": (
        2950,
        Form(lambda token: uuid.UUID(token).bytes, lambda raw: str(uuid.UUID(bytes=raw))),
    ),
}


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
            found.append(Piece(self.elements.data[at], self.elements.lengths[at]))
        return tuple(found)


def arrays(wanted: Wanted) -> Family:
    """Arrays of the element types in ELEMENTS."""
    oid, element = ELEMENTS[wanted.column.base_type]

    def binary(token: str) -> bytes:
        parts = elements_of(token)
        packed = (_sized(None if part is None else element.binary(part)) for part in parts)
        return _head(oid, parts) + b"".join(packed)

    def text(raw: bytes) -> str:
        return _text(raw, element)

    column = wanted.column
    seen = [
        part
        for token in (*column.common_values, *column.histogram)
        if (parts := elements_of(token)) is not None
        for part in parts
        if part is not None
    ]
    tokens = len(column.common_values) + len(column.histogram)
    size = min(max(round(len(seen) / tokens) if tokens else 2, 1), _MOST_ELEMENTS)
    pool = list(dict.fromkeys(seen)) or _defaults(wanted.column.base_type)
    known = Known.of({at: _sized(element.binary(part)) for at, part in enumerate(pool)})
    return coded(wanted, Form(binary, text), Lists(_head(oid, [""] * size), size, known))


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


def _defaults(base_type: str) -> list[str]:
    if base_type == "_bool":
        return ["t", "f"]
    if base_type == "_uuid":
        return [str(uuid.UUID(int=number)) for number in range(len(_DEFAULT_ELEMENTS))]
    return list(_DEFAULT_ELEMENTS)


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
