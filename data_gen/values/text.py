"""text, varchar, char, citext, json and jsonb: what is not known is made to look and weigh alike.

The maker is the shape that production's values share (`shapes`); else names and addresses by the
column's name (`pools`); else prose of the widths seen.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Cells, Piece, constant
from data_gen.shuffle import Ints, drawn
from data_gen.values import letters, pools, shapes
from data_gen.values.coded import TEXT, Form, Maker, coded
from data_gen.values.family import Family, Wanted

_SHORT_HEADER, _LONG_HEADER, _SHORT = 1, 4, 127  # bytes of a varlena's header, in average_width
_TYPMOD = re.compile(r"^(?:character varying|character|varchar|bpchar)\((\d+)\)")
_JSONB = b"\x01"  # version of jsonb's binary form
_SCALED = 1.2  # what weighs otherwise is compressed, or no fair sample
_TRIED = 64  # made documents that must parse before a shape is believed


def texts(wanted: Wanted) -> Family:
    """Text of every kind."""
    return coded(wanted, TEXT, maker_of(wanted))


def documents(wanted: Wanted) -> Family:
    """Both types of JSON."""
    version = _JSONB if wanted.column.base_type == "jsonb" else b""

    def binary(token: str) -> bytes:
        json.loads(token)
        return version + token.encode()

    sample = _sample(wanted)
    shape = shapes.shape_of(sample, wanted)
    maker: Maker = Document(Prose(_less(wanted, sample), wanted.distinct, wanted.key))
    if wanted.outside is not None:
        maker = Document(Noise(wanted.outside.lengths(), wanted.distinct, wanted.key))
    elif shape is not None and _parses(shape):
        maker = shape
    made = Prefixed(version, maker) if version else maker
    return coded(wanted, Form(binary, lambda raw: raw[len(version) :].decode()), made)


def maker_of(wanted: Wanted) -> Maker:
    """The maker that suits a text column."""
    column = wanted.column
    if wanted.outside is not None:
        return Noise(wanted.outside.lengths(), wanted.distinct, wanted.key)
    sample = _sample(wanted)
    shape = shapes.shape_of(sample, wanted, max_length(column.type))
    if shape is not None and shape.technical:
        return shape
    # Common values weigh as they come, not as they stand here.
    scaled = not column.common_values
    lengths = widths(sample, column.average_width, max_length(column.type), scaled=scaled)
    pool = pools.pool_for(wanted, round(float(lengths.mean())), max_length(column.type))
    return pool or shape or Prose(lengths, wanted.distinct, wanted.key)


def widths(sample: Sequence[str], average: int, limit: int, *, scaled: bool = False) -> Ints:
    """Lengths in bytes to draw from: those of the sample, else about the average.

    Scaled, a sample of some values comes to the average that ANALYZE has of thousands.
    """
    header = _SHORT_HEADER if average <= _SHORT else _LONG_HEADER
    mean = max(average - header, 1)
    if sample:
        seen = [len(token.encode()) for token in sample]
        factor = mean * len(seen) / sum(seen)
        if scaled and 1 / _SCALED <= factor <= _SCALED:
            seen = [round(length * factor) for length in seen]
    else:
        seen = [max(round(mean * (0.5 + tenth / 10)), 1) for tenth in range(11)]
    return np.minimum(np.array(seen, np.int64), limit)


def max_length(type_name: str) -> int:
    """The n of character varying(n); very large where there is none."""
    if type_name == "name":
        return 63
    declared = _TYPMOD.match(type_name)
    return int(declared[1]) if declared else 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Prose:
    """Running words of the lengths wanted, ending in a code where values must differ."""

    lengths: Ints
    distinct: int
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Words and a code."""
        width = letters.code_width(self.distinct)
        which = drawn(points, self.key ^ 1, self.lengths.size)
        lengths = np.maximum(self.lengths[which] - width, 0)
        code = letters.codes(points, width, letters.CODE, size=self.distinct, key=self.key)
        longest = int(self.lengths.max())
        return letters.prose(points, lengths, longest, self.key), Piece(code)


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Letters that no compression makes less of, of the lengths wanted, behind a code."""

    lengths: Ints
    distinct: int
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """A code and letters."""
        width = letters.code_width(self.distinct)
        which = drawn(points, self.key ^ 1, self.lengths.size)
        lengths = np.maximum(self.lengths[which] - width, 0)
        longest = max(int(self.lengths.max()) - width, 1)
        code = letters.codes(points, width, letters.CODE, size=self.distinct, key=self.key)
        noise = letters.random_words(points, longest, letters.CODE, self.key)
        return Piece(code), Piece(noise, lengths)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A small JSON object around a text."""

    text: Maker

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """{"note": "…"}."""
        head, tail = (constant(part, points.size) for part in (b'{"note": "', b'"}'))
        return (head, *self.text.pieces(points), tail)


@dataclass(frozen=True, slots=True, eq=False)
class Prefixed:
    """Something that stands before every value."""

    prefix: bytes
    maker: Maker

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """The prefix, then the value."""
        return (constant(self.prefix, points.size), *self.maker.pieces(points))


def _sample(wanted: Wanted) -> tuple[str, ...]:
    column = wanted.column
    return tuple(token for token in (*column.histogram, *column.common_values) if token)


def _less(wanted: Wanted, sample: Sequence[str]) -> Ints:
    frame = len('{"note": ""}')
    return np.maximum(widths(sample, wanted.column.average_width, 1 << 20) - frame, 1)


def _parses(shape: shapes.Shape) -> bool:
    made = Cells(shape.pieces(np.arange(_TRIED, dtype=np.int64))).raw()
    try:
        for document in made:
            json.loads(document or b"")
    except ValueError:
        return False
    return True
