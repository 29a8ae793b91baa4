"""Bit strings, hardware addresses, money and positions in the WAL: numbers of a fixed form.

Sources of the wire forms: varbit.c, mac.c, mac8.c, cash.c and pg_lsn.c of PostgreSQL 18.
"""

import re
import struct
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Piece, constant, fixed
from data_gen.shuffle import Ints, Permutation, mixed
from data_gen.values.coded import Form, coded
from data_gen.values.family import Family, Wanted, ordered

_WIDTH = re.compile(r"\((\d+)\)")
_MOST_BITS = 62  # that count; what is longer is filled up with noise
_LOCAL = b"\x02"  # a locally administered hardware address: nobody's
_DEFAULT_BITS = 16
_LSN_STEP = 4096


@dataclass(frozen=True, slots=True)
class RandomBits:
    """Bit strings of one length, in no visible order."""

    width: int
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Length in bits, then bytes, the bits from the left."""
        counted = min(self.width, _MOST_BITS)
        order = Permutation(max(1 << counted, 2), self.key)
        numbers = order.forward(points % (1 << counted)) << (64 - counted)
        found = [constant(struct.pack(">i", self.width), points.size)]
        whole = fixed(numbers.astype(">i8")).data
        size = -(-self.width // 8)
        found.append(Piece(whole[:, : min(size, 8)]))
        for eight in range(8, size, 8):
            noise = fixed(mixed(points, self.key + eight).astype(">u8")).data[:, : size - eight]
            found.append(Piece(_cut(noise, self.width - 8 * eight)))
        return tuple(found)


def _cut(
    octets: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], bits: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Octets without what stands behind the last bit."""
    kept = octets.copy()
    over = octets.shape[1] * 8 - bits
    if over > 0:
        kept[:, -1] &= np.uint8(0xFF << over & 0xFF)
    return kept


def bits(wanted: Wanted) -> Family:
    """bit(n) and bit varying(n)."""
    declared = _WIDTH.search(wanted.column.type)
    width = int(declared[1]) if declared else _DEFAULT_BITS
    if wanted.column.base_type == "bit" and not declared:
        width = 1

    def binary(token: str) -> bytes:
        if not token or set(token) - set("01") or len(token) > width:
            raise ValueError(token)
        size = -(-len(token) // 8)
        packed = int(token.ljust(size * 8, "0"), 2).to_bytes(size, "big")
        return struct.pack(">i", len(token)) + packed

    def text(raw: bytes) -> str:
        (length,) = struct.unpack_from(">i", raw)
        return f"{int.from_bytes(raw[4:], 'big'):0{8 * (len(raw) - 4)}b}"[:length]

    return coded(wanted, Form(binary, text), RandomBits(width, wanted.key))


@dataclass(frozen=True, slots=True)
class LocalAddresses:
    """Hardware addresses that no maker gave out."""

    size: int  # bytes
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """02, then a number."""
        wide = 8 * (min(self.size, 7) - 1)
        numbers = Permutation(1 << wide, self.key).forward(points % (1 << wide))
        tail = fixed(numbers.astype(">i8")).data[:, -(min(self.size, 7) - 1) :]
        more = constant(b"\0" * (self.size - 1 - tail.shape[1]), points.size)
        return constant(_LOCAL, points.size), more, Piece(tail)


def hardware(wanted: Wanted) -> Family:
    """Macaddr and macaddr8."""
    size = 6 if wanted.column.base_type == "macaddr" else 8

    def binary(token: str) -> bytes:
        packed = bytes.fromhex(token.replace(":", ""))
        if len(packed) != size:
            raise ValueError(token)
        return packed

    return coded(wanted, Form(binary, lambda raw: raw.hex(":")), LocalAddresses(size, wanted.key))


class Cents:
    """A count of the smallest coin."""

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """Eight bytes."""
        return (fixed(points.astype(">i8")),)

    def decode(self, raw: bytes) -> str:
        """As lc_monetary = C prints it."""
        number = int.from_bytes(raw, "big", signed=True)
        return f"{'-' if number < 0 else ''}${abs(number) / 100:,.2f}"


def money(wanted: Wanted) -> Family:
    """Amounts, whatever the currency: the digits of the text are the cents."""

    def point(token: str) -> int:
        digits = re.sub(r"\D", "", token)
        return -int(digits) if "-" in token or "(" in token else int(digits)

    return ordered(
        wanted,
        Cents(),
        point,
        default=(1, max(wanted.distinct, 100_000)),
        limits=(-(2**62), 2**62),
    )


def letters(wanted: Wanted) -> Family:
    """The one-byte type "char"."""
    return coded(wanted, Form(str.encode, bytes.decode), Letters())


class Letters:
    """Small letters, one after the other."""

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """A byte each."""
        return (Piece((points % 26 + ord("a")).astype(np.uint8).reshape(-1, 1)),)


class Positions:
    """Places in the WAL."""

    def encode(self, points: Ints) -> tuple[Piece, ...]:
        """Eight bytes."""
        return (fixed(points.astype(">u8")),)

    def decode(self, raw: bytes) -> str:
        """Two halves in hexadecimal."""
        number = int.from_bytes(raw, "big")
        return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def positions(wanted: Wanted) -> Family:
    """pg_lsn."""

    def point(token: str) -> int:
        high, _, low = token.partition("/")
        return int(high, 16) << 32 | int(low, 16)

    most = max(wanted.distinct, 2) * _LSN_STEP
    return ordered(wanted, Positions(), point, default=(1, most), limits=(0, 2**62))
