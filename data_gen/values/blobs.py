"""uuid, bytea and network addresses: bytes that tell their points apart."""

import ipaddress
import uuid
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Piece, fixed
from data_gen.shuffle import Ints, Permutation, drawn, key_of, mixed
from data_gen.values.coded import Form, coded
from data_gen.values.family import Family, Wanted
from data_gen.values.letters import random_words
from data_gen.values.text import widths

_EVERY_BYTE = "".join(map(chr, range(128)))
_IPV4, _IPV6 = 2, 3  # PGSQL_AF_INET, PGSQL_AF_INET6
_PRIVATE = 10 << 24  # 10.0.0.0/8
_PRIVATE_SIZE = 1 << 24


@dataclass(frozen=True, slots=True)
class RandomUuids:
    """Version 4, from 122 keyed bits."""

    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """16 bytes each."""
        high = mixed(points, self.key) & np.uint64(0xFFFFFFFFFFFF0FFF) | np.uint64(0x4000)
        low = mixed(points, key_of(self.key, "low")) >> np.uint64(2) | np.uint64(1 << 63)
        return (fixed(np.stack([high, low], axis=1).astype(">u8")),)


@dataclass(frozen=True, slots=True, eq=False)
class RandomBytes:
    """A number of eight bytes, then noise to the width."""

    lengths: Ints
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Numbers first: they make values differ."""
        which = drawn(points, self.key, self.lengths.size)
        rest = np.maximum(self.lengths[which] - 8, 0)
        noise = random_words(points, int(rest.max(initial=0)), _EVERY_BYTE, self.key)
        return fixed(mixed(points, self.key).astype(">u8")), Piece(noise, rest)


@dataclass(frozen=True, slots=True)
class PrivateAddresses:
    """Hosts of 10.0.0.0/8."""

    distinct: int
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Family, bits, is_cidr, size, address."""
        order = Permutation(_PRIVATE_SIZE, self.key)
        hosts = order.forward(points % _PRIVATE_SIZE) + _PRIVATE
        head = np.broadcast_to(np.array([_IPV4, 32, 0, 4], np.uint8), (points.size, 4))
        return Piece(head), fixed(hosts.astype(">u4"))


def uuids(wanted: Wanted) -> Family:
    """Scrubbed ones stand as they are, the rest is random."""
    return coded(
        wanted,
        Form(lambda token: uuid.UUID(token).bytes, lambda raw: str(uuid.UUID(bytes=raw))),
        RandomUuids(wanted.key),
    )


def byteas(wanted: Wanted) -> Family:
    """Bytes of the widths seen."""
    column = wanted.column
    seen = [token[2::2] for token in (*column.histogram, *column.common_values)]  # \x, then pairs
    sizes = widths([one for one in seen if one], column.average_width, 1 << 20)
    if wanted.outside is not None:
        sizes = wanted.outside.lengths()
    return coded(
        wanted,
        Form(lambda token: bytes.fromhex(token.removeprefix("\\x")), lambda raw: f"\\x{raw.hex()}"),
        RandomBytes(sizes, wanted.key),
    )


def addresses(wanted: Wanted) -> Family:
    """Addresses and networks."""
    cidr = wanted.column.base_type == "cidr"

    def encode(token: str) -> bytes:
        network = ipaddress.ip_interface(token)
        version = _IPV4 if network.version == 4 else _IPV6
        packed = network.ip.packed
        return bytes([version, network.network.prefixlen, cidr, len(packed)]) + packed

    def decode(raw: bytes) -> str:
        address = ipaddress.ip_address(raw[4:])
        whole = raw[1] == address.max_prefixlen and not cidr
        return str(address) if whole else f"{address}/{raw[1]}"

    return coded(wanted, Form(encode, decode), PrivateAddresses(wanted.distinct, wanted.key))
