"""Pgvector's types: dense vectors of single and half floats, and sparse ones.

Sources of the wire forms: vector.c, halfvec.c and sparsevec.c of pgvector 0.8.
"""

import re
import struct
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Piece, constant, fixed
from data_gen.shuffle import Ints, shares
from data_gen.values.coded import Form, coded
from data_gen.values.family import Family, Wanted

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_SPARSE = re.compile(r"\{(.*)\}/(\d+)")
_DIMENSIONS = re.compile(r"\((\d+)\)")
_DEFAULT_DIMENSIONS = 3
_HEAD, _SPARSE_HEAD = 4, 12  # bytes of one before its elements, after its length
_SPARSE_ENTRY = 8  # bytes
_SHORT = 127  # bytes of the longest value whose length takes one byte, and not four
_WIRES = {"vector": ">f4", "halfvec": ">f2"}


@dataclass(frozen=True, slots=True)
class _Dense:
    """All coordinates, of a length of about one."""

    count: int
    wire: str
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """The head, and the coordinates."""
        span = (3 / self.count) ** 0.5
        drawn = [shares(points, self.key, place) for place in range(self.count)]
        matrix = ((np.stack(drawn, axis=1) * 2 - 1) * span).astype(self.wire)
        return constant(struct.pack(">HH", self.count, 0), points.size), fixed(matrix)


@dataclass(frozen=True, slots=True)
class _Sparse:
    """So many elements of all, each in its share of the places."""

    dimensions: int
    count: int
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """The head, the places in order, and what stands there: never nought."""
        edges = np.arange(self.count + 1) * self.dimensions // self.count
        drawn = [shares(points, self.key, number) for number in range(2 * self.count)]
        places = [
            low + np.floor(share * (high - low)).astype(np.int64)
            for low, high, share in zip(edges, edges[1:], drawn[: self.count], strict=False)
        ]
        values = np.stack(drawn[self.count :], axis=1) + 2.0**-24
        head = struct.pack(">iii", self.dimensions, self.count, 0)
        return (
            constant(head, points.size),
            fixed(np.stack(places, axis=1).astype(">i4")),
            fixed(values.astype(">f4")),
        )


def vectors(wanted: Wanted) -> Family:
    """vector(n) and halfvec(n); without a number, of as many as fill the width."""
    base = wanted.column.base_type
    wire = _WIRES[base]
    size = np.dtype(wire).itemsize
    filling = (_width(wanted) - _HEAD) // size
    count = _declared(wanted) or max(filling, 0) or _DEFAULT_DIMENSIONS

    def binary(token: str) -> bytes:
        numbers = _finite(_NUMBER.findall(token), wire)
        if numbers.size != count:
            raise ValueError(token)
        return struct.pack(">HH", count, 0) + numbers.tobytes()

    def text(raw: bytes) -> str:
        return "[" + ",".join(map(_shown, np.frombuffer(raw[4:], wire))) + "]"

    return coded(wanted, Form(binary, text), _Dense(count, wire, wanted.key))


def sparse(wanted: Wanted) -> Family:
    """sparsevec(n), of as many elements as fill the width."""
    filling = (_width(wanted) - _SPARSE_HEAD) // _SPARSE_ENTRY
    dimensions = _declared(wanted) or max(filling, 1) * _DEFAULT_DIMENSIONS
    count = min(max(filling, 1), dimensions)

    def binary(token: str) -> bytes:
        found = _SPARSE.fullmatch(token)
        if found is None or int(found[2]) != dimensions:
            raise ValueError(token)
        pairs = [pair.split(":") for pair in found[1].split(",") if pair]
        values = {int(place): value for place, value in pairs}
        places = sorted(values)
        numbers = _finite([values[place] for place in places], ">f4")
        if (numbers == 0).any() or not all(0 < place <= dimensions for place in places):
            raise ValueError(token)
        head = struct.pack(">iii", dimensions, len(places), 0)
        return head + (np.array(places, ">i4") - 1).astype(">i4").tobytes() + numbers.tobytes()

    def text(raw: bytes) -> str:
        of, length, _ = struct.unpack_from(">iii", raw)
        places = np.frombuffer(raw, ">i4", length, 12)
        values = np.frombuffer(raw, ">f4", length, 12 + 4 * length)
        pairs = zip(places, map(_shown, values), strict=True)
        return "{" + ",".join(f"{place + 1}:{value}" for place, value in pairs) + f"}}/{of}"

    return coded(wanted, Form(binary, text), _Sparse(dimensions, count, wanted.key))


def _width(wanted: Wanted) -> int:
    """Bytes of a value without its length."""
    width = wanted.column.average_width
    return width - (1 if width <= _SHORT else 4)


def _declared(wanted: Wanted) -> int:
    found = _DIMENSIONS.search(wanted.column.type)
    return int(found[1]) if found else 0


def _finite(numbers: list[str], wire: str) -> np.ndarray:
    """The numbers in their wire form; ValueError where one is too large for it."""
    with np.errstate(over="ignore"):
        found = np.array([float(number) for number in numbers]).astype(wire)
    if not np.isfinite(found).all():
        raise ValueError(numbers)
    return found


def _shown(number: np.floating) -> str:
    return np.format_float_positional(number, trim="-")
