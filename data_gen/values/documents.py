"""Types that are texts of a form of their own: tsvector, hstore, ltree, xml.

Sources of the wire forms: tsvector.c of PostgreSQL 18, hstore_io.c and ltree_io.c of its contrib.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from data_gen.cells import Octets, Piece, constant, length_of
from data_gen.shuffle import Ints, drawn, key_of
from data_gen.values import letters
from data_gen.values.coded import TEXT, Form, Maker, coded
from data_gen.values.family import Family, Wanted
from data_gen.values.text import Prefixed, Prose, maker_of, widths

# Bytes of a tsvector beside its lexemes, as average_width counts them: its headers, a short one and a long one.
_SHORT_TSVECTOR, _TSVECTOR, _SHORT = 5, 8, 126
_LEXEME = 8  # bytes of a lexeme beside its letters: its entry, and one position with their number
_FEWEST = 4  # words of the language for a lexeme to be one of
_LONGEST = 2000  # letters of a lexeme, nearly what PostgreSQL allows (MAXSTRLEN)
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)')
_LTREE = b"\x01"  # version of its binary form
_PAIR_WIDTH = 12  # bytes of a pair in average_width, about


@dataclass(frozen=True, slots=True, eq=False)
class Lexemes:
    """Some words of the language in their order, and one of a kind at the end."""

    groups: tuple[tuple[Octets, Ints], ...]
    last: bytes  # begins the one at the end
    distinct: int
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """How many, then each with its position."""
        found = [constant(struct.pack(">i", len(self.groups) + 1), points.size)]
        for place, (data, lengths) in enumerate(self.groups):
            at = drawn(points, key_of(self.key, place), lengths.size)
            found += [Piece(data, lengths[at], at), _position(place + 1, points.size)]
        width = letters.code_width(self.distinct)
        code = letters.codes(points, width, letters.CODE, size=self.distinct, key=self.key)
        return (
            *found,
            constant(self.last, points.size),
            Piece(code),
            _position(len(self.groups) + 1, points.size),
        )


def _position(place: int, count: int) -> Piece:
    return constant(b"\0" + struct.pack(">HH", 1, place), count)


def lexemes(wanted: Wanted) -> Family:
    """tsvector; of the width seen."""
    words = sorted({word for word in letters.words() if word < "z"})
    width = wanted.column.average_width + 0.5  # it is cut, not rounded
    code = 1 + letters.code_width(wanted.distinct)
    left = width - (_SHORT_TSVECTOR if width <= _SHORT else _TSVECTOR) - _room([code])
    count = min(max(int(left / _room(map(len, words))), 1), len(words) // _FEWEST)
    cuts = [len(words) * place // count for place in range(count + 1)]
    groups = tuple(_table(words[here:there]) for here, there in pairwise(cuts))
    left -= sum(_room(lengths.tolist()) for _, lengths in groups)
    last = b"z" * (1 + min(max(round(left), 0), _LONGEST))  # behind every word of the language
    form = Form(_unknown, _lexemes_text)
    return coded(wanted, form, Lexemes(groups, last, wanted.distinct, wanted.key))


def _room(lengths: Iterable[int]) -> float:
    """Mean bytes of lexemes of so many letters; positions begin at an even byte."""
    return float(np.mean([_LEXEME + length + length % 2 for length in lengths]))


def _lexemes_text(raw: bytes) -> str:
    (count,) = struct.unpack_from(">i", raw)
    parts, at = [], 4
    for _ in range(count):
        end = raw.index(b"\0", at)
        (positions,) = struct.unpack_from(">H", raw, end + 1)
        places = struct.unpack_from(f">{positions}H", raw, end + 3)
        parts.append(f"'{raw[at:end].decode()}':{','.join(map(str, places))}")
        at = end + 3 + 2 * positions
    return " ".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Keys, each with a text."""

    keys: tuple[bytes, ...]
    text: Maker

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """How many, then key and value of each with their lengths."""
        found = [constant(struct.pack(">i", len(self.keys)), points.size)]
        for place, key in enumerate(self.keys):
            head = struct.pack(">i", len(key)) + key
            value = self.text.pieces(points + place)
            found += [constant(head, points.size), length_of(value, points.size), *value]
        return tuple(found)


def stores(wanted: Wanted) -> Family:
    """hstore, with the keys that the statistics show."""
    column = wanted.column
    seen = [
        key
        for token in (*column.common_values, *column.histogram)
        for key, _ in _PAIR.findall(token)
    ]
    keys = tuple(key.encode() for key in dict.fromkeys(seen)) or (b"a", b"b")
    count = max(min(column.average_width // _PAIR_WIDTH, len(keys)), 1)
    value = Prose(np.array([8], np.int64), wanted.distinct + len(keys), wanted.key)
    return coded(wanted, Form(_unknown, _pairs_text), Pairs(tuple(sorted(keys)[:count]), value))


def _pairs_text(raw: bytes) -> str:
    (count,) = struct.unpack_from(">i", raw)
    parts, at = [], 4
    for _ in range(2 * count):
        (length,) = struct.unpack_from(">i", raw, at)
        parts.append(raw[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return ", ".join(
        f'"{key}"=>"{value}"' for key, value in zip(parts[::2], parts[1::2], strict=True)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A path of labels, the last one of its own."""

    distinct: int
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Two common labels, then the number."""
        width = letters.code_width(self.distinct)
        code = letters.codes(points, width, letters.CODE, size=self.distinct, key=self.key)
        group = letters.codes(points // 16, 2, letters.CODE, size=256, key=self.key)
        return (
            constant(b"top.", points.size),
            Piece(group),
            constant(b".n", points.size),
            Piece(code),
        )


def paths(wanted: Wanted) -> Family:
    """ltree; a version goes before the text."""
    label = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*\Z")

    def binary(token: str) -> bytes:
        if not label.match(token):
            raise ValueError(token)
        return _LTREE + token.encode()

    made = Prefixed(_LTREE, Labels(wanted.distinct, wanted.key))
    return coded(wanted, Form(binary, lambda raw: raw[1:].decode()), made)


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """One element around a text."""

    text: Maker

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """<note>…</note>."""
        head, tail = (constant(part, points.size) for part in (b"<note>", b"</note>"))
        return (head, *self.text.pieces(points), tail)


def markup(wanted: Wanted) -> Family:
    """Xml."""
    frame = len("<note></note>")
    lengths = np.maximum(widths((), wanted.column.average_width, 1 << 20) - frame, 1)
    return coded(
        wanted, Form(_unknown, bytes.decode), Elements(Prose(lengths, wanted.distinct, wanted.key))
    )


def names(wanted: Wanted) -> Family:
    """name: a text of 63 bytes at most."""
    return coded(wanted, TEXT, maker_of(wanted))


def _table(words: Sequence[str]) -> tuple[Octets, Ints]:
    encoded = [word.encode() for word in words]
    lengths = np.array([len(word) for word in encoded], np.int64)
    padded = b"".join(word.ljust(int(lengths.max()), b"\0") for word in encoded)
    return np.frombuffer(padded, np.uint8).reshape(len(encoded), -1), lengths


def _unknown(token: str) -> bytes:
    raise ValueError(token)
