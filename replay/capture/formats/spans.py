"""Pieces of a block of a log as arrays of where they begin and end, and columns made of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.formats.cells import name
from replay.capture.formats.columns import TEXTS, Ints
from replay.capture.formats.texts import PLAIN, TABBED, Texts
from replay.capture.formats.texts import Spans as Places
from replay.capture.kernels import ONE, ZERO, Bytes, compiled, place

Bools = npt.NDArray[np.bool_]
_NAMES = 1 << 13  # room for half as many different ones, nearly always enough


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


def texts(buffer: Bytes, at: Spans, several_lines: Bools | None = None) -> Texts:
    """The pieces as a column; of several lines without the TAB behind each newline of a message."""
    marks = np.full(len(at.begin), PLAIN, np.uint8)
    if several_lines is not None:
        marks[several_lines] = TABBED
    ends = np.maximum(at.begin, at.end)
    return Texts(buffer, at.begin.astype(np.int32), ends.astype(np.int32), marks)


def few(buffer: Bytes, at: Spans) -> pa.DictionaryArray:
    """The pieces as a column of few values, numbered in order of appearance."""
    found = texts(buffer, at)
    count = len(found)
    codes, firsts = np.empty((1, count), np.int32), np.empty((1, count), np.int32)
    for names in (_NAMES, 1 << (2 * count).bit_length()):
        known, table = np.zeros(1, np.int64), np.full(names, -1, np.int32)
        if _name(buffer, found.begins[None], found.ends[None], codes, firsts, known, table):
            break
    values = found.only(firsts[0, : known[0]]).arrow()
    return pa.DictionaryArray.from_arrays(pa.array(codes[0]), values)


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
def _name(
    data: Bytes,
    begins: Places,
    ends: Places,
    codes: Places,
    firsts: Places,
    counts: Ints,
    table: Places,
) -> bool:
    """Give codes to all pieces; False where there is no room for so many different ones."""
    for row in range(begins.shape[1]):
        if not name(data, begins, ends, codes, firsts, counts, table, ZERO, place(row)):
            return False
    return True
