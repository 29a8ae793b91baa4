"""Numbers written as characters and digits, compiled (see `data_gen.loops`)."""

from typing import Any

import numba
import numpy as np

from data_gen.loops import COUNTED, I64, INTS, U64, WORDS, compiled, inlined, mixed, walked

_TABLE = numba.types.Array(numba.uint8, 1, "C", readonly=True)
_MATRIX = numba.types.Array(numba.uint8, 2, "C")
_QUADS = numba.types.Array(numba.uint32, 2, "C")
_CHUNKS = numba.types.Array(numba.uint32, 1, "C", readonly=True)
_TWO_32, _SMALL = np.uint64(1 << 32), np.uint64(1 << 24)  # bases have up to 256 symbols


@inlined
def _put_digits(out: Any, row: Any, begin: Any, end: Any, number: Any, symbols: Any) -> None:
    """A number in the base of the symbols, from one place of a row to another.

    What is small is divided by a multiplication: exact as long as number · base is below 2 ** 32.
    """
    base = np.uint64(symbols.size)
    inverse = (_TWO_32 + base - np.uint64(1)) // base
    for place in range(end - 1, begin - 1, -1):
        small = number < _SMALL
        quotient = number * inverse >> np.uint64(32) if small else number // base
        out[row, place] = symbols[number - quotient * base]
        number = quotient


@compiled(_MATRIX, COUNTED, _TABLE)
def digits(out: Any, numbers: Any, symbols: Any) -> None:
    """Each number in the base of the symbols, as many places as out is wide."""
    for row in range(numbers.size):
        _put_digits(out, row, 0, out.shape[1], np.uint64(numbers[row]), symbols)


@compiled(_QUADS, COUNTED, _CHUNKS, WORDS)
def words(out: Any, numbers: Any, chunks: Any, keys: Any) -> None:
    """Random characters, four at once: each key gives 64 bits a number, each 16 of them a chunk."""
    for row in range(numbers.size):
        bits = np.uint64(0)
        for chunk in range(out.shape[1]):
            if chunk % 4 == 0:
                bits = mixed(numbers[row], keys[chunk // 4])
            out[row, chunk] = chunks[bits & np.uint64(0xFFFF)]
            bits >>= np.uint64(16)


@compiled(
    *(_MATRIX, _QUADS, INTS, COUNTED, COUNTED, U64, _CHUNKS, _TABLE, WORDS),
    *(I64, _TABLE, WORDS, U64, U64, U64, U64),
)
def spell(
    out: Any,
    quads: Any,
    lengths: Any,
    points: Any,
    widths: Any,
    key: Any,
    chunks: Any,
    leading: Any,
    keys: Any,
    code: Any,
    symbols: Any,
    factors: Any,
    mask: Any,
    shift: Any,
    offset: Any,
    size: Any,
) -> None:
    """A word for each point: random characters as in `words`, then its number as in `digits`.

    `quads` are the characters of `out` by four. One of `widths` is drawn for each; a number takes
    `code` of it.
    """
    for row in range(points.size):
        point = points[row]
        length = max(widths[np.int64(mixed(point, key) % np.uint64(widths.size))] - code, 0)
        bits = np.uint64(0)
        for chunk in range((length + 3) // 4):
            if chunk % 4 == 0:
                bits = mixed(point, keys[chunk // 4])
            quads[row, chunk] = chunks[bits & np.uint64(0xFFFF)]
            if chunk == 0:
                out[row, 0] = leading[bits & np.uint64(0xFFFF)]
            bits >>= np.uint64(16)
        if code:
            rest = np.uint64(walked(point % np.int64(size), factors, mask, shift, offset, size))
            _put_digits(out, row, length, length + code, rest, symbols)
        lengths[row] = length + code


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
