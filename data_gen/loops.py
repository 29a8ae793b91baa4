"""Loops over rows, compiled: what numpy does in ten passes over memory is done in one.

Compiled by numba at the first use and kept in its cache; all of them leave the interpreter free, so
that blocks are made side by side.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_OCTETS = numba.types.Array(numba.uint8, 1, "C")
_TABLE = numba.types.Array(numba.uint8, 1, "C", readonly=True)
_CHUNKS = numba.types.Array(numba.uint8, 2, "C", readonly=True)
_WORDS = numba.types.Array(numba.uint64, 1, "C", readonly=True)
_INTS = numba.types.Array(numba.int64, 1, "C")
_COUNTED = numba.types.Array(numba.int64, 1, "A", readonly=True)
_MATRIX = numba.types.Array(numba.uint8, 2, "C", readonly=True)
_FILLED = numba.types.Array(numba.uint8, 2, "C")
_U64 = numba.uint64


def _compiled(*signature: Any) -> Callable[[F], F]:
    return cast("Callable[[F], F]", numba.njit(numba.void(*signature), cache=True, nogil=True))


@_compiled(_OCTETS, _INTS, _MATRIX, _COUNTED)
def put(out: Any, at: Any, data: Any, lengths: Any) -> None:
    """The first `lengths` bytes of each row of data at each place of out; places move behind them."""
    for row in range(at.size):
        place = at[row]
        for k in range(lengths[row]):
            out[place + k] = data[row, k]
        at[row] = place + lengths[row]


@_compiled(_OCTETS, _INTS, _COUNTED)
def put_lengths(out: Any, at: Any, lengths: Any) -> None:
    """Each number as four bytes, big end first, at each place of out; places move behind them."""
    for row in range(at.size):
        place, number = at[row], np.uint32(lengths[row])
        out[place] = np.uint8(number >> np.uint32(24))
        out[place + 1] = np.uint8(number >> np.uint32(16) & np.uint32(255))
        out[place + 2] = np.uint8(number >> np.uint32(8) & np.uint32(255))
        out[place + 3] = np.uint8(number & np.uint32(255))
        at[row] = place + 4


@_compiled(_INTS, _COUNTED, _WORDS, _U64, _U64, _U64, _U64)
def walk(
    out: Any, numbers: Any, factors: Any, mask: Any, shift: Any, offset: Any, size: Any
) -> None:
    """The place of each number in a permutation: its steps, walked on while they land outside."""
    for row in range(numbers.size):
        word = np.uint64(numbers[row])
        while True:
            word += offset
            for factor in factors:
                word = word * factor & mask
                word ^= word >> shift
            if word < size:
                break
        out[row] = np.int64(word)


@_compiled(_INTS, _COUNTED, _WORDS, _U64, _U64, _U64, _U64)
def walk_back(
    out: Any, places: Any, inverses: Any, mask: Any, shift: Any, offset: Any, size: Any
) -> None:
    """The number at each place: the same steps backwards."""
    for row in range(places.size):
        word = np.uint64(places[row])
        while True:
            for inverse in inverses:
                word ^= word >> shift
                word = word * inverse & mask
            word = word - offset & mask
            if word < size:
                break
        out[row] = np.int64(word)


@_compiled(_FILLED, _COUNTED, _TABLE)
def digits(out: Any, numbers: Any, symbols: Any) -> None:
    """Each number in the base of the symbols, as many places as out is wide."""
    base = np.uint64(symbols.size)
    for row in range(numbers.size):
        rest = np.uint64(numbers[row])
        for place in range(out.shape[1] - 1, -1, -1):
            quotient = rest // base
            out[row, place] = symbols[rest - quotient * base]
            rest = quotient


@_compiled(_FILLED, _COUNTED, _CHUNKS, _WORDS)
def words(out: Any, numbers: Any, chunks: Any, keys: Any) -> None:
    """Random characters: each key gives 64 bits a number, and each 16 of them one row of chunks."""
    size, width = chunks.shape[1], out.shape[1]
    for row in range(numbers.size):
        bits = _U64(0)
        for chunk in range(-(-width // size)):
            if chunk % 4 == 0:
                bits = np.uint64(numbers[row]) + keys[chunk // 4]
                bits ^= bits >> np.uint64(30)
                bits *= np.uint64(0xBF58476D1CE4E5B9)
                bits ^= bits >> np.uint64(27)
                bits *= np.uint64(0x94D049BB133111EB)
                bits ^= bits >> np.uint64(31)
            which = bits & np.uint64(0xFFFF)
            bits >>= np.uint64(16)
            begin = chunk * size
            for k in range(min(size, width - begin)):
                out[row, begin + k] = chunks[which, k]
