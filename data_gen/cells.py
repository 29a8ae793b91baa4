"""Columns of values as padded byte matrices, and their rows as COPY BINARY wants them.

A value is the concatenation of *pieces*; a piece is a matrix with a row a value, of which only the
first `lengths` bytes count. Rows are laid out piece by piece, each at the place where the row has
come to: that concatenates values of any length at memory speed.
Source of the format: PostgreSQL 18 manual, COPY, "Binary Format".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_gen.shuffle import Flags, Ints

Octets = npt.NDArray[np.uint8]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some bytes of every value of a column."""

    data: Octets  # values × width
    lengths: Ints | None = None  # how many of the width count; None: all

    def only(self, where: Flags) -> "Piece":
        """The piece where a flag is set, nothing elsewhere."""
        lengths = self.data.shape[1] if self.lengths is None else self.lengths
        return Piece(self.data, np.where(where, lengths, 0))


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
        count = self.pieces[0].data.shape[0]
        return [
            None
            if self.null is not None and self.null[row]
            else b"".join(_bytes(piece, row) for piece in self.pieces)
            for row in range(count)
        ]


def constant(text: bytes, count: int) -> Piece:
    """The same bytes in every value."""
    return Piece(np.broadcast_to(np.frombuffer(text, np.uint8), (count, len(text))))


def fixed(numbers: npt.NDArray[np.generic]) -> Piece:
    """Numbers in the byte order that their dtype says."""
    return Piece(np.ascontiguousarray(numbers).view(np.uint8).reshape(numbers.shape[0], -1))


def copy_rows(columns: Sequence[Cells]) -> memoryview:
    """The rows of a COPY BINARY stream, without header and trailer."""
    # The compiler is loaded by who lays out rows, not by who asks for a value.
    from data_gen.loops import put, put_lengths  # noqa: PLC0415

    count = columns[0].pieces[0].data.shape[0]
    counted = [[_counted(piece, cells.null) for piece in cells.pieces] for cells in columns]
    totals = [sum(lengths, np.zeros(count, np.int64)) for lengths in counted]
    sizes = sum(totals, np.full(count, 2 + 4 * len(columns), np.int64))
    at = np.cumsum(sizes) - sizes
    out = np.empty(int(sizes.sum()), np.uint8)
    head = constant(len(columns).to_bytes(2, "big"), count)
    put(out, at, np.ascontiguousarray(head.data), np.broadcast_to(np.int64(2), count))
    for cells, lengths, total in zip(columns, counted, totals, strict=True):
        put_lengths(out, at, total if cells.null is None else np.where(cells.null, -1, total))
        for piece, each in zip(cells.pieces, lengths, strict=True):
            put(out, at, np.ascontiguousarray(piece.data), each)
    return out.data


def _counted(piece: Piece, null: Flags | None) -> Ints:
    """How many bytes of each value count."""
    lengths: Ints = (
        np.broadcast_to(np.int64(piece.data.shape[1]), piece.data.shape[0])
        if piece.lengths is None
        else piece.lengths
    )
    return lengths if null is None else np.where(null, 0, lengths)


def _bytes(piece: Piece, row: int) -> bytes:
    data = piece.data[row]
    counted: bytes = (data if piece.lengths is None else data[: piece.lengths[row]]).tobytes()
    return counted
