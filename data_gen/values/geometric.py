"""PostgreSQL's geometric types: coordinates as floating numbers. The wire forms are geo_ops.c's."""

import re
import struct
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Piece, constant, fixed
from data_gen.shuffle import Ints, shares
from data_gen.values.coded import Form, coded
from data_gen.values.family import Family, Wanted

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
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
_CIRCLE = 3  # the third is its radius
_SPAN = 100.0  # coordinates lie between it and the negative of it


@dataclass(frozen=True, slots=True)
class Coordinates:
    """So many floating numbers behind a head; the first two tell the points apart."""

    count: int
    head: bytes
    key: int
    rising: int = 0  # the second corner of a box is the larger one: so many follow in order

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """All coordinates."""
        values = [(2 * shares(points, self.key, at) - 1) * _SPAN for at in range(self.count)]
        for place in range(self.rising):
            values[place] = values[place + self.rising] + np.abs(values[place])
        if self.count == _CIRCLE:  # and a line, which is content with it
            values[2] = np.abs(values[2]) + 1
        matrix = np.stack(values, axis=1).astype(">f8")
        return constant(self.head, points.size), fixed(matrix)


def geometric(wanted: Wanted) -> Family:
    """point, lseg, box, circle, line, path and polygon."""
    count, head = _LAYOUTS[wanted.column.base_type]
    rising = 2 if wanted.column.base_type == "box" else 0
    maker = Coordinates(count, head, wanted.key, rising)

    def binary(token: str) -> bytes:
        numbers = [float(number) for number in _NUMBER.findall(token)]
        if len(numbers) != count:
            raise ValueError(token)
        return head + struct.pack(f">{count}d", *numbers)

    def text(raw: bytes) -> str:
        return _written(wanted.column.base_type, struct.unpack(f">{count}d", raw[len(head) :]))

    return coded(wanted, Form(binary, text), maker)


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
