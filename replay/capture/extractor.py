"""`sql.slots.extract` for many texts: those that differ in plain literals only are scanned once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import msgspec
import numpy as np
import pyarrow as pa

from replay.capture.cells import DOUBLED, MINUS, NULL, Growing
from replay.capture.executions import Mask
from replay.capture.kernels import Bytes, Hashes, Ints, Number, as_bytes, compiled, place
from replay.capture.masks import hash_of
from replay.sql.literals import number_of
from replay.sql.slots import Slotted, extract

_KNOWN_AT_MOST = 16_384
_LITERALS_AT_MOST = 512  # of a text whose shape is remembered
_NUMBER = 2
_VALUE, _NEGATIVE, _FIXED = range(3)  # what a shape makes of a literal
_HASH = pa.binary(16)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What texts that differ in values only have in common."""

    sql: str
    slots: str
    parameters: int  # the first slots are
    roles: tuple[int, ...] = ()  # what each literal in the text is
    fixed: tuple[bytes, ...] = ()  # of each its text, if it is no value
    is_scanned: bool = False  # such texts have to be scanned each


_SCANNED = Shape("", "", 0, is_scanned=True)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[tuple[bytes, Shape]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The values of n texts, a cell each; those of parameters are NULL yet."""

    shapes: Sequence[Shape]
    shape: Ints  # of each text, a place among them
    first: Ints  # place of each text's first cell, and the end of the last's
    cells: Ints


class Extractor:
    """Takes the literals out of texts as `extract` does; remembers the shapes of those it has seen."""

    def __init__(self) -> None:
        self._known: dict[bytes, Shape] = {}
        self._told = 0  # of those
        self._extract = lru_cache(maxsize=4096)(extract)

    def __call__(self, data: Growing, texts: Ints) -> Extracted:
        """The values of texts in UTF-8, which begin and end at those places of the data."""
        hashes = np.empty((len(texts), 2), np.uint64)
        first, spans = _literals(as_bytes(data.start), texts, hashes)
        shapes, shape = self._shapes(data, texts, hashes, first, spans)
        roles = np.array([role for one in shapes for role in one.roles], np.int64)
        fixed = [np.frombuffer(text, np.uint8) for one in shapes for text in one.fixed]
        lengths = np.cumsum([0, *map(len, fixed)])
        counts = np.array([len(one.roles) for one in shapes])
        meant = roles, np.cumsum(counts) - counts, np.concatenate([np.empty(0, np.uint8), *fixed])
        strange = np.zeros(shape.size, np.bool_)
        _look(data.start, first, spans, shape, *meant, lengths, strange)
        strange |= np.array([one.is_scanned for one in shapes], np.bool_)[shape]
        literals = []
        for row in np.flatnonzero(strange).tolist():
            found = self._extract(data.text(*texts[row]))
            shape[row] = len(shapes)
            shapes.append(_shape_of(found))
            literals.append(found.literals)
        slots = np.array([len(one.slots) for one in shapes], np.int64)[shape]
        begins = np.concatenate(([0], np.cumsum(slots)))
        cells = np.full((int(begins[-1]), 3), (0, 0, NULL), np.int64)
        behind = begins[:-1] + np.array([one.parameters for one in shapes], np.int64)[shape]
        _take(data.start, first, spans, shape, *meant[:2], ~strange, behind, cells)
        for at, values in zip(behind[strange].tolist(), literals, strict=True):
            for step, value in enumerate(values):
                cells[at + step] = data.cell(value)
        return Extracted(shapes=shapes, shape=shape, first=begins, cells=cells)

    def news(self) -> bytes:
        """The shapes learned since this was last asked, for another process's `learn`."""
        new = list(islice(self._known.items(), self._told, None))
        self._told = len(self._known)
        return _ENCODER.encode(new)

    def learn(self, news: bytes) -> None:
        """Take shapes that another process learned."""
        for name, shape in _DECODER.decode(news):
            self._known.setdefault(name, shape)

    def _shapes(
        self, data: Growing, texts: Ints, hashes: Hashes, first: Ints, spans: Ints
    ) -> tuple[list[Shape], Ints]:
        """The texts' shapes, and which is whose; those of new hashes are learned from their first text."""
        whole = pa.FixedSizeBinaryArray.from_buffers(
            _HASH, len(texts), [None, pa.py_buffer(hashes)]
        )
        coded = whole.dictionary_encode()
        shape = coded.indices.to_numpy().astype(np.int64)
        names = coded.dictionary.to_pylist()
        if len(self._known) > _KNOWN_AT_MOST:
            self._known.clear()
            self._told = 0
        _, rows = np.unique(shape, return_index=True)
        for name, row in zip(names, rows.tolist(), strict=True):
            if name not in self._known:
                text = data.text(*texts[row])
                own = spans[first[row] : first[row + 1]] - (texts[row, 0], texts[row, 0], 0)
                self._known[name] = _learned(text, self._extract(text), own.tolist())
        return [self._known[name] for name in names], shape


def _shape_of(found: Slotted) -> Shape:
    return Shape(found.sql, found.slots, len(found.slots) - len(found.literals))


def _learned(text: str, found: Slotted, spans: Sequence[Sequence[int]]) -> Shape:
    """The shape of texts like this one, if their values can be told by where literals stand."""
    if len(spans) != len(found.literals) + len(found.fixed):
        return _SCANNED
    raw = text.encode()
    literals = iter(found.literals)
    roles, fixed = [], []
    for at, (begin, end, kind) in enumerate(spans):
        written = raw[begin:end]
        if at in found.fixed:
            roles.append(_FIXED)
            fixed.append(written)
            continue
        value = next(literals)
        roles.append(_NEGATIVE if value.startswith("-") and kind == _NUMBER else _VALUE)
        fixed.append(b"")
        if value != _plainly(written, kind, is_negative=roles[-1] == _NEGATIVE):
            return _SCANNED
    shape = _shape_of(found)
    return Shape(shape.sql, shape.slots, shape.parameters, tuple(roles), tuple(fixed))


def _plainly(written: bytes, kind: int, *, is_negative: bool) -> str | None:
    """What a literal means if it is written plainly."""
    if kind == _NUMBER:
        return "-" * is_negative + number_of(written.decode())
    if len(written) < 2 or written[:1] != b"'" or written[-1:] != b"'" or b"\\" in written:
        return None
    return written[1:-1].decode().replace("''", "'")


def _literals(data: Bytes, texts: Ints, hashes: Hashes) -> tuple[Ints, Ints]:
    """Hashes of the texts; where each one's literals begin among all, and what hash_of says of those.

    A text of very many has none.
    """
    first = np.zeros(len(texts) + 1, np.int64)
    spans = np.empty((4 * len(texts) + _LITERALS_AT_MOST, 3), np.int64)
    room = np.empty(int((texts[:, 1] - texts[:, 0]).max(initial=0)), np.uint8)
    row = 0
    while (row := int(_look_at(data, texts, hashes, first, spans, room, row))) < len(texts):
        spans = np.concatenate((spans, np.empty_like(spans)))
    return first, spans[: first[-1]]


@compiled
def _look_at(
    data: Bytes, texts: Ints, hashes: Hashes, first: Ints, spans: Ints, room: Bytes, row: int
) -> int:
    """The same from a row on, until there may be no room for another one's literals; says where it ends."""
    while row < texts.shape[0] and first[row] + _LITERALS_AT_MOST <= spans.shape[0]:
        at = first[row]
        own = spans[at : at + _LITERALS_AT_MOST]
        begin, end = place(texts[row, 0]), place(texts[row, 1])
        one, other, count = hash_of(data, begin, end, own, room)
        hashes[row, 0], hashes[row, 1] = one, other
        first[row + 1] = at + (count if count <= _LITERALS_AT_MOST else 0)
        row += 1
    return row


@compiled
def _look(
    data: Bytes,
    first: Ints,
    spans: Ints,
    shape: Ints,
    roles: Ints,
    of_shape: Ints,
    fixed: Bytes,
    lengths: Ints,
    strange: Mask,
) -> None:
    """Which texts have a literal that is not written plainly, or another fixed one than their shape."""
    for row in range(shape.size):
        begin_of = of_shape[shape[row]]
        for at in range(first[row], first[row + 1]):
            role = begin_of + at - first[row]
            begin, end, kind = spans[at]
            if role >= roles.size:
                strange[row] = True
            elif roles[role] == _FIXED:
                strange[row] |= not _is_fixed(data, begin, end, fixed, lengths, role)
            elif kind == _NUMBER:
                strange[row] |= not _is_plain_number(data, begin, end)
            else:
                strange[row] |= not _is_plain_string(data, begin, end)


@compiled
def _is_fixed(
    data: Bytes, begin: Number, end: Number, fixed: Bytes, lengths: Ints, role: Number
) -> bool:
    """Whether it is the literal that its shape has there."""
    text = lengths[role]
    if lengths[role + 1] - text != end - begin:
        return False
    for step in range(end - begin):
        if data[begin + step] != fixed[text + step]:
            return False
    return True


@compiled
def _is_plain_number(data: Bytes, at: Number, end: Number) -> bool:
    """Whether it is written as number_of writes it: digits, and perhaps digits behind a point."""
    if data[at] == 48 and at + 1 < end and data[at + 1] != 46:
        return False
    points = 0
    for digit in range(at, end):
        points += data[digit] == 46
        if not (48 <= data[digit] <= 57 or data[digit] == 46):
            return False
    return points <= 1 and data[at] != 46 and data[end - 1] != 46


@compiled
def _is_plain_string(data: Bytes, at: Number, end: Number) -> bool:
    if end - at < 2 or data[at] != 39 or data[end - 1] != 39:
        return False
    for letter in range(at, end):
        if data[letter] == 92:
            return False
    return True


@compiled
def _take(
    data: Bytes,
    first: Ints,
    spans: Ints,
    shape: Ints,
    roles: Ints,
    of_shape: Ints,
    which: Mask,
    behind: Ints,
    cells: Ints,
) -> None:
    """Put the values of some texts into their cells behind those of parameters."""
    for row in range(shape.size):
        cell = behind[row]
        if not which[row]:
            continue
        for at in range(first[row], first[row + 1]):
            role = roles[of_shape[shape[row]] + at - first[row]]
            if role == _FIXED:
                continue
            begin, end, kind = spans[at]
            if kind != _NUMBER:
                begin, end = begin + 1, end - 1
            cells[cell, 0], cells[cell, 1], cells[cell, 2] = begin, end, 0
            if role == _NEGATIVE:
                cells[cell, 2] = MINUS
            elif kind != _NUMBER:
                for letter in range(begin, end):
                    if data[letter] == 39:
                        cells[cell, 2] = DOUBLED
            cell += 1
