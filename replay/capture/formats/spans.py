"""Pieces of a block of a log as arrays of where they begin and end, and columns made of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.formats.columns import TEXTS, Ints
from replay.capture.kernels import ONE, ZERO, Bytes, compiled

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spans:
    """A piece per row; empty where it ends as it begins."""

    begin: Ints
    end: Ints

    def of(self, rows: Ints | Bools) -> "Spans":
        """Those of some rows."""
        return Spans(self.begin[rows], self.end[rows])


def matches(buffer: Bytes, at: Ints, literal: bytes) -> Bools:
    """Where a literal stands."""
    good = np.zeros(len(at), np.bool_)
    _matches(buffer, at, np.frombuffer(literal, np.uint8), good)
    return good


def number(buffer: Bytes, at: Spans) -> Ints:
    """The decimal numbers of pieces, which may have a sign; 0 where a piece is empty."""
    value = np.zeros(len(at.begin), np.int64)
    _number(buffer, at.begin, at.end, value)
    return value


def texts(buffer: Bytes, at: Spans, several_lines: Bools | None = None) -> pa.BinaryArray:
    """The pieces as a column; of several lines without the TAB behind each newline of a message."""
    count = len(at.begin)
    tabbed = np.zeros(count, np.bool_) if several_lines is None else several_lines
    text = np.empty(int(np.maximum(at.end - at.begin, 0).sum()), np.uint8)
    offsets = np.zeros(count + 1, np.int32)
    size = _copy(buffer, at.begin, at.end, tabbed, offsets, text)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text[:size])]
    return pa.BinaryArray.from_buffers(TEXTS, count, buffers)


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


@compiled
def _matches(data: Bytes, at: Ints, literal: Bytes, good: Bools) -> None:
    size, end = np.uint64(literal.size), np.uint64(data.size)
    for row in range(at.size):
        begin = np.uint64(at[row])
        same = begin + size <= end
        step = ZERO
        while same and step < size:
            same = data[begin + step] == literal[step]
            step += ONE
        good[row] = same


@compiled
def _number(data: Bytes, begins: Ints, ends: Ints, value: Ints) -> None:
    for row in range(begins.size):
        at, end = np.uint64(begins[row]), np.uint64(ends[row])
        negative = at < end and data[at] == 45
        total = np.int64(0)
        while at < end:
            digit = np.int64(data[at]) - 48
            if 0 <= digit <= 9:
                total = total * 10 + digit
            at += ONE
        value[row] = -total if negative else total


@compiled
def _copy(
    data: Bytes,
    begins: Ints,
    ends: Ints,
    tabbed: Bools,
    offsets: npt.NDArray[np.int32],
    text: Bytes,
) -> int:
    out = ZERO
    for row in range(begins.size):
        at, end = np.uint64(begins[row]), np.uint64(ends[row])
        if not tabbed[row]:
            if at < end:
                for step in range(end - at):
                    text[out + step] = data[at + step]
                out += end - at
        else:
            newline = False
            while at < end:
                byte = data[at]
                if not (newline and byte == 9):
                    text[out] = byte
                    out += ONE
                newline = byte == 10
                at += ONE
        offsets[row + 1] = out
    return int(out)
