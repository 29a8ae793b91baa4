"""Texts of records where they stand in a block: their quoting is undone when somebody reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.kernels import ONE, TWO, Bytes, Number, as_bytes, compiled, place
from replay.capture.words import put

PLAIN, DOUBLED, ESCAPED, TABBED = 0, 1, 2, 3
"""How a text is written: as it is, with its quotes doubled, with JSON's escapes, with a TAB ahead of each
line but the first."""

Spans = npt.NDArray[np.int32]
Marks = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Texts:
    """A text a record, between two places of the data each."""

    data: Bytes
    begins: Spans
    ends: Spans
    marks: Marks  # how it is written

    @classmethod
    def of(cls, column: "pa.BinaryArray | Texts") -> "Texts":
        """The texts of a column."""
        if isinstance(column, Texts):
            return column
        _, offsets, data = column.buffers()
        # A copy may be written to, as what else loops are called with: they are compiled for that.
        places = np.frombuffer(offsets, np.int32)[column.offset :][: len(column) + 1].copy()
        marks = np.full(len(column), PLAIN, np.uint8)
        return cls(as_bytes(data or b""), places[:-1], places[1:], marks)

    @classmethod
    def holding(cls, values: Sequence[bytes]) -> "Texts":
        """Those texts."""
        places = np.cumsum([0, *map(len, values)]).astype(np.int32)
        marks = np.full(len(values), PLAIN, np.uint8)
        return cls(as_bytes(b"".join(values)), places[:-1], places[1:], marks)

    def __len__(self) -> int:
        """How many."""
        return self.begins.size

    def __getitem__(self, row: int) -> bytes:
        """A text as it is meant."""
        begin, end = int(self.begins[row]), int(self.ends[row])
        text = np.empty(end - begin, np.uint8)
        size = meant(self.data, np.uint64(begin), np.uint64(end), int(self.marks[row]), text)
        return text[:size].tobytes()

    def only(self, rows: npt.NDArray[Any], begins: npt.NDArray[Any] | None = None) -> "Texts":
        """Those of some records, perhaps from other places on."""
        found = self.begins[rows] if begins is None else begins.astype(np.int32)
        return Texts(self.data, found, self.ends[rows], self.marks[rows])

    def begin_with(self, byte: int) -> npt.NDArray[np.bool_]:
        """Which of them begin with a byte that is written as it is."""
        if not self.data.size:
            return np.zeros(len(self), np.bool_)
        first = self.data[np.minimum(self.begins, self.data.size - 1)]
        begin: npt.NDArray[np.bool_] = (first == byte) & (self.ends > self.begins)
        return begin

    def arrow(self) -> pa.BinaryArray:
        """All of them, as they are meant."""
        offsets = np.zeros(len(self) + 1, np.int32)
        text = np.empty(int((self.ends - self.begins).sum()), np.uint8)
        _all_meant(self.data, self.begins, self.ends, self.marks, offsets, text)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text[: offsets[-1]])]
        return pa.BinaryArray.from_buffers(pa.binary(), len(self), buffers)

    def cast(self, kind: pa.DataType) -> pa.Array:
        """As pyarrow's columns do."""
        return self.arrow().cast(kind)

    def to_pylist(self) -> list[bytes]:
        """All of them, one by one."""
        return list(self.arrow().to_pylist())


@compiled
def _all_meant(
    data: Bytes, begins: Spans, ends: Spans, marks: Marks, offsets: Spans, text: Bytes
) -> None:
    out = place(0)
    for row in range(begins.size):
        at, end = place(begins[row]), place(ends[row])
        out += meant(data, at, end, marks[row], text[out:])
        offsets[row + 1] = out


@compiled
def meant(data: Bytes, at: np.uint64, end: np.uint64, mark: Number, text: Bytes) -> np.uint64:
    """Write a text as it is meant, which is never longer; says how long it is."""
    out = place(0)
    if mark == PLAIN:
        return place(put(text, out, data, at, end - at))
    while at < end:
        byte = data[at]
        if mark == ESCAPED and byte == 92:
            behind, longer = _unescaped(data, np.int64(at), np.int64(end), text, np.int64(out))
            at, out = place(behind), place(longer)
            continue
        text[out] = byte
        out += ONE
        after = data[at + ONE] if at + ONE < end else np.uint8(0)
        doubled = mark == DOUBLED and byte == 34 and after == 34
        tabbed = mark == TABBED and byte == 10 and after == 9
        at += TWO if doubled or tabbed else ONE
    return out


@compiled
def _unescaped(
    data: Bytes, at: Number, end: Number, text: Bytes, out: Number
) -> tuple[Number, Number]:
    """Write what a JSON escape means, which is shorter than the escape; both places behind it."""
    letter = data[at + 1] if at + 1 < end else 92
    if letter != 117:  # u
        plain = letter
        for place in range(_LETTERS.size):
            if _LETTERS[place] == letter:
                plain = _MEANT[place]
        text[out] = plain
        return at + 2, out + 1
    code = _hex4(data, at + 2, end)
    at += 6
    if 0xD800 <= code < 0xDC00 and at + 1 < end and data[at] == 92 and data[at + 1] == 117:
        low = _hex4(data, at + 2, end)
        if 0xDC00 <= low < 0xE000:
            code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
            at += 6
    if code < 0x80:
        text[out] = code
        return at, out + 1
    if code < 0x800:
        text[out], text[out + 1] = 0xC0 | code >> 6, 0x80 | code & 0x3F
        return at, out + 2
    if code < 0x10000:
        text[out], text[out + 1] = 0xE0 | code >> 12, 0x80 | (code >> 6) & 0x3F
        text[out + 2] = 0x80 | code & 0x3F
        return at, out + 3
    text[out], text[out + 1] = 0xF0 | code >> 18, 0x80 | (code >> 12) & 0x3F
    text[out + 2], text[out + 3] = 0x80 | (code >> 6) & 0x3F, 0x80 | code & 0x3F
    return at, out + 4


@compiled
def _hex4(data: Bytes, at: Number, end: Number) -> Number:
    value = 0
    for step in range(at, min(at + 4, end)):
        digit = data[step]
        value = value * 16 + (digit - 48 if digit <= 57 else (digit | 32) - 87)
    return value


_LETTERS = np.frombuffer(b"bfnrt", np.uint8)
_MEANT = np.frombuffer(b"\b\f\n\r\t", np.uint8)
