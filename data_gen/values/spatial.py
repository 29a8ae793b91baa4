"""PostGIS geometries and geographies: points, lines and areas of as many corners as production's have.

What the server knows of where production's lie stays unknown: its statistics are not in pg_stats.
Source of the wire form: the EWKB of PostGIS, which its receive function takes. Shapes with curves and
collections are not made.
"""

import re
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_gen.cells import Piece, constant, fixed
from data_gen.profile import ColumnProfile
from data_gen.shuffle import Ints, shares
from data_gen.values.coded import Form, coded
from data_gen.values.family import Family, Wanted

_DECLARED = re.compile(r"\((\w+?)(Z?M?)(?:,(\d+))?\)")
_KINDS = {
    "Point": 1,
    "LineString": 2,
    "Polygon": 3,
    "MultiPoint": 4,
    "MultiLineString": 5,
    "MultiPolygon": 6,
}
_POINT, _LINE, _AREA = 1, 2, 3
_MULTI = 3  # more than the kind of its members
_Z, _M, _SRID = 0x80000000, 0x40000000, 0x20000000
_EARTH = 4326  # the usual reference system, and that of geography: longitude and latitude
# How far from nought they lie, and how wide a line or an area is.
_DEGREES, _METRES = (180.0, 85.0, 0.01), (1e6, 1e6, 1e3)
_HEAD = {_POINT: 32, _LINE: 32, _AREA: 40}  # bytes of one in memory, before the first corner
_CORNERS = {_POINT: (1, 1), _LINE: (2, 1000), _AREA: (4, 1000)}  # at least and at most
_NUMBER = 8  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """Corners around a place, behind a head."""

    head: bytes
    corners: int
    closed: bool  # the last corner is the first
    more: int  # numbers of a corner beside the first two
    spans: tuple[float, float, float]
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """The head, and all corners."""

        def drawn(name: str) -> npt.NDArray[np.float64]:
            return shares(points, self.key, name)[:, None]

        across, up, size = self.spans
        radius = size * (0.5 + drawn("size")) if self.corners > 1 else np.zeros((points.size, 1))
        angle = np.arange(self.corners) / max(self.corners - self.closed, 1) * 2 * np.pi
        if self.closed:
            angle[-1] = 0
        x = (2 * drawn("x") - 1) * across + radius * np.cos(angle)
        y = (2 * drawn("y") - 1) * up + radius * np.sin(angle)
        rest = [drawn("more") * 100 + np.zeros(self.corners)] * self.more
        corners = np.stack((x, y, *rest), axis=2).reshape(points.size, -1)
        return constant(self.head, points.size), fixed(corners.astype("<f8"))


def places(wanted: Wanted) -> Family:
    """Geometry and geography."""
    found = _declared(wanted.column)
    kind, flags, srid = found if found is not None else (_POINT, 0, 0)
    member = kind - _MULTI if kind > _AREA else kind
    more = bool(flags & _Z) + bool(flags & _M)
    # A multiple has a head of its own; the box around a geography has a third dimension.
    beside = (kind != member) + (wanted.column.base_type == "geography") + more
    least, most = _CORNERS[member]
    room = wanted.column.average_width - _HEAD[member] - _NUMBER * beside
    corners = min(max(room // (_NUMBER * (2 + more)), least), most)
    head = struct.pack("<BI", 1, kind | flags | (_SRID if srid else 0))
    head += struct.pack("<I", srid) if srid else b""
    if kind != member:
        head += struct.pack("<IBI", 1, 1, member | flags)
    head += {_POINT: b"", _LINE: struct.pack("<I", corners), _AREA: struct.pack("<II", 1, corners)}[
        member
    ]
    outline = _Outline(
        head=head,
        corners=corners,
        closed=member == _AREA,
        more=more,
        spans=_DEGREES if srid in (0, _EARTH) else _METRES,
        key=wanted.key,
    )
    return coded(wanted, Form(_hexadecimal, lambda raw: raw.hex().upper()), outline)


def is_made(column: ColumnProfile) -> bool:
    """Whether the column's shapes are such as are made."""
    return _declared(column) is not None


def _declared(column: ColumnProfile) -> tuple[int, int, int] | None:
    """Kind, flags and reference system of a column's shapes; None for shapes that nobody makes."""
    earth = _EARTH * (column.base_type == "geography")
    found = _DECLARED.search(column.type)
    name, more, srid = found.groups() if found is not None else ("Geometry", "", None)
    if name == "Geometry":  # any of them
        wide = column.average_width > _HEAD[_POINT] + _NUMBER * len(more)
        name = "Polygon" if column.analyzed and wide else "Point"
    if name not in _KINDS:
        return None
    flags = _Z * ("Z" in more) | _M * ("M" in more)
    return _KINDS[name], flags, int(srid or earth)


def _hexadecimal(token: str) -> bytes:
    raise ValueError(token)  # a scrubbed EWKB is none any more
