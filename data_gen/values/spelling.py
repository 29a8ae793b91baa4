"""Numbers written as characters and digits, compiled (see `data_gen.loops`)."""

from typing import Any

import numba
import numpy as np

from data_gen.loops import COUNTED, I64, INTS, U64, WORDS, compiled

_TABLE = numba.types.Array(numba.uint8, 1, "C", readonly=True)
_MATRIX = numba.types.Array(numba.uint8, 2, "C")
_QUADS = numba.types.Array(numba.uint32, 2, "C")
_CHUNKS = numba.types.Array(numba.uint32, 1, "C", readonly=True)


@compiled(_MATRIX, COUNTED, _TABLE)
def digits(out: Any, numbers: Any, symbols: Any) -> None:
    """Each number in the base of the symbols, as many places as out is wide."""
    base = np.uint64(symbols.size)
    for row in range(numbers.size):
        rest = np.uint64(numbers[row])
        for place in range(out.shape[1] - 1, -1, -1):
            quotient = rest // base
            out[row, place] = symbols[rest - quotient * base]
            rest = quotient


@compiled(_QUADS, COUNTED, _CHUNKS, WORDS)
def words(out: Any, numbers: Any, chunks: Any, keys: Any) -> None:
    """Random characters, four at once: each key gives 64 bits a number, each 16 of them a chunk."""
    for row in range(numbers.size):
        bits = np.uint64(0)
        for chunk in range(out.shape[1]):
            if chunk % 4 == 0:
                bits = np.uint64(numbers[row]) + keys[chunk // 4]
                bits ^= bits >> np.uint64(30)
                bits *= np.uint64(0xBF58476D1CE4E5B9)
                bits ^= bits >> np.uint64(27)
                bits *= np.uint64(0x94D049BB133111EB)
                bits ^= bits >> np.uint64(31)
            out[row, chunk] = chunks[bits & np.uint64(0xFFFF)]
            bits >>= np.uint64(16)


@compiled(_MATRIX, INTS, COUNTED, U64, U64, I64, I64)
def decimals(
    out: Any, lengths: Any, points: Any, unit: Any, lift: Any, groups: Any, scale: Any
) -> None:
    """Each point as a numeric, in units of its last digit; unit · lift is 10,000 ** groups.

    Digits in base 10,000, none of them a zero at the end, as numeric_send gives them.
    """
    base = np.uint64(10_000)
    for row in range(points.size):
        size = np.uint64(abs(points[row]))
        whole = size // unit
        rest = (size - whole * unit) * lift
        leading, more = 0, whole
        while more:
            more //= base
            leading += 1
        count = 0
        for place in range(leading + groups - 1, -1, -1):
            if place == leading - 1:
                rest = whole
            quotient = rest // base
            digit = rest - quotient * base
            rest = quotient
            if digit and not count:
                count = place + 1
            out[row, 8 + 2 * place] = np.uint8(digit >> np.uint64(8))
            out[row, 9 + 2 * place] = np.uint8(digit & np.uint64(255))
        weight = leading - 1 if count else 0
        out[row, 0] = np.uint8(0)
        out[row, 1] = np.uint8(count)
        out[row, 2] = np.uint8(weight >> 8 & 255)
        out[row, 3] = np.uint8(weight & 255)
        out[row, 4] = np.uint8(0x40 if points[row] < 0 else 0)
        out[row, 5] = np.uint8(0)
        out[row, 6] = np.uint8(scale >> 8)
        out[row, 7] = np.uint8(scale & 255)
        lengths[row] = 8 + 2 * count
