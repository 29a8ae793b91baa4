"""Values of statements as cells: where each stands among the bytes of records, and how it is written there."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.kernels import Bytes, Ints, Number, compiled
from replay.capture.messages import decoded, parameters
from replay.capture.words import is_at

# How a value is written, besides as it is; a cell is begin, end, and the sum of these.
NULL = 1
DOUBLED = 2  # with its quotes doubled
MINUS = 4  # with its sign apart
_STRANGE = -1  # a text that does not list its parameters as errdetail_params does
_LISTED = np.frombuffer(b"arameters: $1 = ", np.uint8)
_FIRST = np.frombuffer(b"$1 = ", np.uint8)
_NULL = np.frombuffer(b"NULL", np.uint8)


class Growing:
    """Bytes, and behind them those of values that stand nowhere in them as they are meant."""

    def __init__(self, start: Bytes) -> None:
        self.start = start
        self._more = bytearray()

    def text(self, begin: int, end: int) -> str:
        """A text of the start, which is UTF-8."""
        return self.start[begin:end].tobytes().decode()

    def cell(self, value: str | None) -> tuple[int, int, int]:
        """A cell for a value."""
        if value is None:
            return 0, 0, NULL
        begin = self.start.size + len(self._more)
        self._more += value.encode()
        return begin, self.start.size + len(self._more), 0

    def column(self, cells: Ints) -> pa.BinaryArray:
        """The values, as they are meant."""
        data = np.concatenate((self.start, np.frombuffer(self._more, np.uint8)))
        text = np.empty(int((cells[:, 1] - cells[:, 0] + 1).sum()), np.uint8)
        offsets = np.zeros(len(cells) + 1, np.int32)
        _write(data, cells, text, offsets)
        valid = np.packbits(cells[:, 2] & NULL == 0, bitorder="little")
        buffers = [pa.py_buffer(part) for part in (valid, offsets, text[: offsets[-1]])]
        return pa.BinaryArray.from_buffers(pa.binary(), len(cells), buffers)


def bind(data: Growing, texts: Ints, first: Ints, wanted: Ints, cells: Ints) -> Ints:
    """Put the parameters that n texts list into each's first cells, of which so many are wanted.

    Says how many of them are there without a gap.
    """
    found = np.zeros(wanted.size, np.int64)
    _bind(data.start, texts, first, wanted, cells, found)
    for row in np.flatnonzero(found == _STRANGE).tolist():
        begin, end = texts[row]
        values = parameters(decoded(data.start[begin:end].tobytes()))
        for number in range(1, int(wanted[row]) + 1):
            cells[first[row] + number - 1] = data.cell(values.get(number))
        there = (number in values for number in range(1, int(wanted[row]) + 1))
        found[row] = wanted[row] if all(there) else 0
    return found


@compiled
def _bind(data: Bytes, texts: Ints, first: Ints, wanted: Ints, cells: Ints, found: Ints) -> None:
    for row in range(wanted.size):
        at, end = texts[row]
        if wanted[row] == 0 or at == end:
            continue
        at = _list_in(data, at, end)
        while at < end and found[row] < wanted[row]:
            begin = _behind_number(data, at, end, found[row] + 1)
            if begin == at:
                break
            behind, how = _value(data, begin, end)
            if behind < 0:
                found[row] = _STRANGE
                break
            cell = first[row] + found[row]
            quoted = how & NULL == 0
            cells[cell, 0] = begin + 1 if quoted else 0
            cells[cell, 1] = behind - 1 if quoted else 0
            cells[cell, 2] = how
            found[row] += 1
            is_more = behind + 1 < end and data[behind] == 44 and data[behind + 1] == 32  # ", "
            at = behind + 2 if is_more else end
        if at < end and 0 <= found[row] < wanted[row]:
            found[row] = _STRANGE  # another number comes next


@compiled
def _list_in(data: Bytes, begin: Number, end: Number) -> Number:
    """Where `$1 = ` stands behind `parameters: `; the end where it does not."""
    for at in range(begin + 1, end - _LISTED.size + 1):
        if data[at] == 97 and data[at - 1] | 32 == 112 and is_at(data, at, end, _LISTED):
            return at + _LISTED.size - _FIRST.size
    return end


@compiled
def _behind_number(data: Bytes, at: Number, end: Number, number: Number) -> Number:
    """Where the value begins behind `$3 = `; `at` where another thing stands there."""
    place, digits, rest = at + 1, 1, number // 10
    while rest:
        digits, rest = digits + 1, rest // 10
    if data[at] != 36 or place + digits + 3 > end:
        return at
    for step in range(digits - 1, -1, -1):
        if data[place + step] != 48 + number % 10:
            return at
        number //= 10
    place += digits
    is_there = data[place] == 32 and data[place + 1] == 61 and data[place + 2] == 32
    return place + 3 if is_there else at


@compiled
def _value(data: Bytes, at: Number, end: Number) -> tuple[Number, Number]:
    """Where a value ends, its quotes included, and how it is written; -1 where it does not."""
    if is_at(data, at, end, _NULL):
        return at + _NULL.size, NULL
    if at >= end or data[at] != 39:
        return -1, 0
    at, how = at + 1, 0
    while at < end:
        if data[at] != 39:
            at += 1
        elif at + 1 < end and data[at + 1] == 39:
            at, how = at + 2, DOUBLED
        else:
            return at + 1, how
    return -1, 0


@compiled
def _write(data: Bytes, cells: Ints, text: Bytes, offsets: npt.NDArray[np.int32]) -> None:
    out = 0
    for row in range(cells.shape[0]):
        at, end, how = cells[row]
        if how & MINUS:
            text[out] = 45
            out += 1
        while at < end:
            text[out] = data[at]
            out += 1
            at += 2 if how & DOUBLED and data[at] == 39 else 1
        offsets[row + 1] = out
