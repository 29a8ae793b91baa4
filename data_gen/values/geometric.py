"""Geometric types, vectors and PostGIS points: coordinates as floating numbers.

Sources of the wire forms: geo_ops.c of PostgreSQL 18, vector.c of pgvector, and the EWKB of PostGIS,
which its receive function takes.
"""

import re
import struct
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Piece, constant, fixed
from data_gen.shuffle import Ints, key_of, mixed
from data_gen.values.coded import Form, coded
from data_gen.values.family import Family, Wanted

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_DIMENSIONS = re.compile(r"\((\d+)\)")
_SRID = re.compile(r"\(\w+,(\d+)\)")
# How many coordinates each type has, and what stands before them.
_LAYOUTS = {
    "point": (2, b""),
    "lseg": (4, b""),
    "box": (4, b""),
    "circle": (3, b""),
    "line": (3, b""),
    "path": (6, b"\1" + struct.pack(">i", 3)),
    "polygon": (6, struct.pack(">i", 3)),
}
_EWKB_POINT, _EWKB_SRID = 1, 0x20000000
_EARTH = 4326  # the usual reference system, and that of geography
_DEFAULT_DIMENSIONS = 3


@dataclass(frozen=True, slots=True)
class Coordinates:
    """So many floating numbers behind a head; the first two tell the points apart."""

    count: int
    head: bytes
    wire: str
    key: int
    spans: tuple[float, ...]  # each coordinate lies between its span and the negative of it
    rising: int = 0  # the second corner of a box is the larger one: so many follow in order

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """All coordinates."""
        drawn = [
            (mixed(points, key_of(self.key, place)) >> np.uint64(11)).astype(np.float64) / 2**52 - 1
            for place in range(self.count)
        ]
        values = [each * self.spans[place % len(self.spans)] for place, each in enumerate(drawn)]
        for place in range(self.rising):
            values[place] = values[place + self.rising] + np.abs(values[place])
        if self.count == 3 and self.rising == 0 and self.wire == ">f8":
            values[2] = np.abs(values[2]) + 1
        matrix = np.stack(values, axis=1).astype(self.wire)
        return constant(self.head, points.size), fixed(matrix)


def geometric(wanted: Wanted) -> Family:
    """point, lseg, box, circle, line, path and polygon."""
    count, head = _LAYOUTS[wanted.column.base_type]
    rising = 2 if wanted.column.base_type == "box" else 0
    maker = Coordinates(count, head, ">f8", wanted.key, (100.0,), rising)

    def binary(token: str) -> bytes:
        numbers = [float(number) for number in _NUMBER.findall(token)]
        if len(numbers) != count:
            raise ValueError(token)
        return head + struct.pack(f">{count}d", *numbers)

    def text(raw: bytes) -> str:
        return _written(wanted.column.base_type, struct.unpack(f">{count}d", raw[len(head) :]))

    return coded(wanted, Form(binary, text), maker)


def vectors(wanted: Wanted) -> Family:
    """Pgvector's vector(n), of length about one."""
    declared = _DIMENSIONS.search(wanted.column.type)
    count = int(declared[1]) if declared else _DEFAULT_DIMENSIONS
    head = struct.pack(">HH", count, 0)

    def binary(token: str) -> bytes:
        numbers = [float(number) for number in _NUMBER.findall(token)]
        if len(numbers) != count:
            raise ValueError(token)
        return head + struct.pack(f">{count}f", *numbers)

    def text(raw: bytes) -> str:
        numbers = np.frombuffer(raw[4:], ">f4")
        return "[" + ",".join(np.format_float_positional(n, trim="-") for n in numbers) + "]"

    span = float((3 / count) ** 0.5)
    return coded(wanted, Form(binary, text), Coordinates(count, head, ">f4", wanted.key, (span,)))


def places(wanted: Wanted) -> Family:
    """PostGIS points, longitude and latitude; what is known of production's stays unknown."""
    declared = _SRID.search(wanted.column.type)
    srid = int(declared[1]) if declared else _EARTH * (wanted.column.base_type == "geography")
    kind = _EWKB_POINT | (_EWKB_SRID if srid else 0)
    head = struct.pack("<BI", 1, kind) + (struct.pack("<I", srid) if srid else b"")
    return coded(
        wanted,
        Form(_hexadecimal, lambda raw: raw.hex().upper()),
        Coordinates(2, head, "<f8", wanted.key, (180.0, 85.0)),
    )


def _hexadecimal(token: str) -> bytes:
    raise ValueError(token)  # a scrubbed EWKB is none any more


def _written(base_type: str, numbers: tuple[float, ...]) -> str:
    shown = [np.format_float_positional(number, trim="-") for number in numbers]
    pairs = [f"({x},{y})" for x, y in zip(shown[::2], shown[1::2], strict=False)]
    return {
        "point": lambda: pairs[0],
        "lseg": lambda: f"[{','.join(pairs)}]",
        "box": lambda: ",".join(pairs),
        "circle": lambda: f"<{pairs[0]},{shown[-1]}>",
        "line": lambda: "{" + ",".join(shown) + "}",
        "path": lambda: f"({','.join(pairs)})",
        "polygon": lambda: f"({','.join(pairs)})",
    }[base_type]()
