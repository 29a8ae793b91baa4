"""Pieces of a block of a log as arrays of where they begin and end, and columns made of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from replay.capture.formats.columns import TEXTS, Ints

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

PADDING = bytes(256)
"""What a buffer must have behind its block, so that a window may reach over the end."""
_WORD = 8  # bytes


@dataclass(frozen=True, slots=True)
class Spans:
    """A piece per row; empty where it ends as it begins."""

    begin: Ints
    end: Ints

    def of(self, rows: Ints | Bools) -> "Spans":
        """Those of some rows."""
        return Spans(self.begin[rows], self.end[rows])


def windows(buffer: Bytes, width: int) -> Bytes:
    """Every run of so many bytes of a buffer, without a copy."""
    return np.lib.stride_tricks.sliding_window_view(buffer, width)


def matches(buffer: Bytes, at: Ints, literal: bytes) -> Bools:
    """Where a literal stands."""
    if len(literal) == 1:
        return np.asarray(buffer[at] == literal[0])
    good = np.ones(len(at), np.bool_)
    for place in range(0, len(literal), _WORD):  # words compare faster than rows of bytes
        piece = literal[place : place + _WORD]
        words = windows(buffer, _WORD)[at + place].view("<u8")[:, 0]
        mask = np.uint64((1 << 8 * len(piece)) - 1)
        good &= (words & mask) == np.uint64(int.from_bytes(piece, "little"))
    return good


def number(buffer: Bytes, at: Spans) -> Ints:
    """The decimal numbers of pieces, which may have a sign; 0 where a piece is empty."""
    lengths = at.end - at.begin
    value = np.zeros(len(lengths), np.int64)
    for place in range(int(lengths.max(initial=0))):
        byte = buffer[np.minimum(at.begin + place, len(buffer) - 1)].astype(np.int64)
        digit = (place < lengths) & (byte >= ord("0")) & (byte <= ord("9"))
        value = np.where(digit, value * 10 + byte - ord("0"), value)
    return np.where((lengths > 0) & (buffer[at.begin] == ord("-")), -value, value)


def texts(data: pa.Buffer, at: Spans) -> pa.BinaryArray:
    """The pieces as a column."""
    begin, end = at.begin, at.end
    held = end > begin
    if not held.all():  # an empty piece may point anywhere: let it follow the one ahead of it
        end = np.maximum.accumulate(np.where(held, end, 0))
        begin = np.where(held, begin, end)
    if (begin[1:] < end[:-1]).any():
        order = np.argsort(begin, kind="stable")
        return texts(data, Spans(begin[order], end[order])).take(pa.array(np.argsort(order)))
    count = len(begin)
    offsets = np.empty(2 * count + 1, np.int32)
    offsets[0:-1:2], offsets[1::2] = begin, end
    offsets[-1] = end[-1] if count else 0
    both = pa.Array.from_buffers(TEXTS, 2 * count, [None, pa.py_buffer(offsets), data])
    return both.take(pa.array(np.arange(0, 2 * count, 2)))


def untabbed(column: pa.BinaryArray, several_lines: Bools) -> pa.BinaryArray:
    """Texts without the TAB that PostgreSQL puts behind every newline of a message."""
    if not several_lines.any():
        return column
    return pc.replace_substring(column, pattern=b"\n\t", replacement=b"\n")


def renamed(column: pa.DictionaryArray, names: Mapping[bytes, bytes]) -> pa.DictionaryArray:
    """A column of few values, white space off and some called otherwise; every value once."""
    known = column.dictionary.to_pylist()
    wanted = [names.get(name.strip(b" "), name.strip(b" ")) for name in known]
    if wanted == known:
        return column
    values = list(dict.fromkeys(wanted))
    place = {name: at for at, name in enumerate(values)}
    places = np.array([place[name] for name in wanted], np.int32)
    codes = places[column.indices.to_numpy()] if len(column) else np.zeros(0, np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(values, TEXTS))
