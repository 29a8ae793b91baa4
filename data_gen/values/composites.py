"""Composite types: a value of each field, side by side.

Source of the wire form: record_send in rowtypes.c of PostgreSQL 18.
"""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_gen.cells import Piece, constant, length_of
from data_gen.profile import ColumnProfile
from data_gen.shuffle import Ints, key_of, mixed
from data_gen.values.coded import Form, coded
from data_gen.values.family import Family, Generator, Wanted
from data_gen.values.oids import oid_of

_NULL = struct.pack(">i", -1)
_QUOTED = re.compile(r'[\s(),"\\]')


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """The families of all fields; None for one that stays NULL."""

    families: tuple[tuple[int, Family | None], ...]  # with their OIDs
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """How many fields, then OID, length and value of each."""
        found = [constant(struct.pack(">i", len(self.families)), points.size)]
        for place, (oid, family) in enumerate(self.families):
            found.append(constant(struct.pack(">I", oid), points.size))
            if family is None:
                found.append(constant(_NULL, points.size))
                continue
            made = family.values.encode(self._points(family, points, place))
            found += [length_of(made, points.size), *made]
        return tuple(found)

    def _points(self, family: Family, points: Ints, place: int) -> Ints:
        low, high = (family.bounds[0], family.bounds[-1]) if family.bounds else (0, -1)
        drawn = mixed(points, key_of(self.key, place))
        if high < low:  # a closed list
            known = np.array([point for point, _ in family.common], np.int64)
            chosen: Ints = known[(drawn % np.uint64(known.size)).astype(np.int64)]
            return chosen
        if high - low + 1 >= 1 << 40:
            return low + (drawn % np.uint64(high - low + 1)).astype(np.int64)
        return low + (points + (drawn % np.uint64(2)).astype(np.int64)) % (high - low + 1)


def composites(wanted: Wanted, generator_of: Callable[[ColumnProfile], Generator | None]) -> Family:
    """Rows of a composite type; one whose fields nobody makes has NULLs."""
    families: list[tuple[int, Family | None]] = []
    for place, (base, full) in enumerate(wanted.column.fields):
        column = ColumnProfile(name=f"f{place}", type=full, base_type=base, not_null=True)
        generator = generator_of(column)
        inner = replace(
            wanted, column=column, unique=False, labels=(), key=key_of(wanted.key, place)
        )
        families.append(
            (oid_of(column, wanted.oids), generator(inner) if generator is not None else None)
        )

    def text(raw: bytes) -> str:
        return _text(raw, [family for _, family in families])

    return coded(wanted, Form(_unknown, text), Fields(tuple(families), wanted.key))


def _text(raw: bytes, families: Sequence[Family | None]) -> str:
    parts, at = [], 4
    for family in families:
        (length,) = struct.unpack_from(">i", raw, at + 4)
        at += 8
        if length < 0 or family is None:
            parts.append("")
            continue
        value = family.values.decode(raw[at : at + length])
        at += length
        escaped = value.replace("\\", "\\\\").replace('"', '""')
        parts.append(f'"{escaped}"' if not value or _QUOTED.search(value) else value)
    return f"({','.join(parts)})"


def _unknown(token: str) -> bytes:
    raise ValueError(token)
