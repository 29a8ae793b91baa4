"""Columns of values as pieces of bytes, and their rows as COPY BINARY wants them.

A value is the concatenation of *pieces*; a piece takes for each value a row of a byte matrix, of
which only the first `lengths` bytes count. Nothing is copied until rows are laid out.
Source of the format: PostgreSQL 18 manual, COPY, "Binary Format".
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from data_gen.shuffle import Flags, Ints

Octets = npt.NDArray[np.uint8]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some bytes of every value of a column."""

    data: Octets  # rows × width
    lengths: Ints | None = None  # of each value, how many of the width count; None: all
    rows: Ints | None = None  # of each value, its row of the data; None: one a value, in order
    where: Flags | None = None  # of each value, whether it has the piece; None: all have

    @property
    def count(self) -> int:
        """How many values."""
        return int(self.data.shape[0] if self.rows is None else self.rows.size)

    def only(self, where: Flags) -> "Piece":
        """The piece where a flag is set, nothing elsewhere."""
        both = where if self.where is None else self.where & where
        return Piece(self.data, self.lengths, self.rows, both)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The values of one column for some rows, in the binary form of its type."""

    pieces: tuple[Piece, ...]
    null: Flags | None = None

    @property
    def width(self) -> int:
        """Bytes that the widest value may take."""
        return sum(int(piece.data.shape[1]) for piece in self.pieces)

    def raw(self) -> list[bytes | None]:
        """Each value's bytes; None is NULL."""
        return [
            None
            if self.null is not None and self.null[row]
            else b"".join(_bytes(piece, row) for piece in self.pieces)
            for row in range(self.pieces[0].count)
        ]


@functools.lru_cache(maxsize=256)
def constant(text: bytes, count: int) -> Piece:
    """The same bytes in every value."""
    return Piece(np.broadcast_to(np.frombuffer(text, np.uint8), (count, len(text))))


def fixed(numbers: npt.NDArray[np.generic]) -> Piece:
    """Numbers in the byte order that their dtype says."""
    return Piece(np.ascontiguousarray(numbers).view(np.uint8).reshape(numbers.shape[0], -1))


def lengths_of(pieces: Sequence[Piece], count: int) -> Ints:
    """How many bytes each value of some pieces has."""
    total = np.zeros(count, np.int64)
    for piece in pieces:
        lengths = piece.data.shape[1] if piece.lengths is None else piece.lengths
        total += lengths if piece.where is None else np.where(piece.where, lengths, 0)
    return total


def length_of(pieces: Sequence[Piece], count: int) -> Piece:
    """That as a piece of four bytes, as it stands before values inside of others."""
    return fixed(lengths_of(pieces, count).astype(">i4"))


def copy_rows(columns: Sequence[Cells]) -> memoryview:
    """The rows of a COPY BINARY stream, without header and trailer."""
    # The compiler is loaded by who lays out rows, not by who asks for a value.
    from data_gen.layout import lay  # noqa: PLC0415

    count = columns[0].pieces[0].count
    out = np.empty(count * (2 + sum(4 + cells.width for cells in columns)), np.uint8)
    table = TablePlan()
    for cells in columns:
        table.add(cells)
    first = np.array(table.first, np.int64)
    nulls = np.array(table.nulls, np.int64)
    size = lay(_address(out), count, first, nulls, np.array(table.pieces, np.int64))
    return out[:size].data


@dataclass(slots=True)
class TablePlan:
    """Addresses of pieces, and the arrays that must stay where they are meanwhile."""

    first: list[int] = field(default_factory=lambda: [0])
    nulls: list[int] = field(default_factory=list)
    pieces: list[tuple[int, ...]] = field(default_factory=list)
    held: list[npt.NDArray[np.generic]] = field(default_factory=list)

    def add(self, cells: Cells) -> None:
        """One column more."""
        for piece in cells.pieces:
            data = piece.data
            width = int(data.shape[1])
            if width > 1 and data.strides[1] != 1:
                data = np.ascontiguousarray(data)
            self.held.append(data)
            ours = (_address(data), int(data.strides[0]), width)
            numbers = (self._kept(piece.rows, np.int64), self._kept(piece.lengths, np.int64))
            self.pieces.append((*ours, *numbers, self._kept(piece.where, np.bool_)))
        self.first.append(len(self.pieces))
        self.nulls.append(self._kept(cells.null, np.bool_))

    def _kept(self, array: npt.NDArray[np.generic] | None, kind: type[np.generic]) -> int:
        """Address of an array without gaps; 0 for none."""
        if array is None:
            return 0
        whole = np.ascontiguousarray(array, kind)
        self.held.append(whole)
        return _address(whole)


def _address(array: npt.NDArray[np.generic]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _bytes(piece: Piece, row: int) -> bytes:
    if piece.where is not None and not piece.where[row]:
        return b""
    data = piece.data[row if piece.rows is None else piece.rows[row]]
    counted: bytes = (data if piece.lengths is None else data[: piece.lengths[row]]).tobytes()
    return counted
