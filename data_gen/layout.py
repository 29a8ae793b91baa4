"""Rows of COPY BINARY laid out in one pass over the pieces of their values, compiled.

The pieces of a block are arrays of many shapes, which no compiled function takes side by side: it is
given their addresses. Whoever calls it holds the arrays until it is done (`data_gen.cells`).
Source of the format: PostgreSQL 18 manual, COPY, "Binary Format".
"""

from collections.abc import Callable
from typing import Any, cast

import numba
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from data_gen.loops import inlined

_DATA, _STRIDE, _WIDTH, _ROWS, _LENGTHS, _WHERE = range(6)  # of a piece; the last may be 0: none

_NUMBERS = types.Array(types.int64, 1, "C", readonly=True)
_PIECES = types.Array(types.int64, 2, "C", readonly=True)
_Generated = tuple[Any, Callable[..., Any]]
_written: Callable[[Callable[..., _Generated]], Any] = extending.intrinsic
_NUMBER, _LENGTH, _SHORT, _BYTE = (ir.IntType(bits) for bits in (64, 32, 16, 8))


def _at(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


@_written
def _number_at(_typing: Any, _address: Any) -> _Generated:
    """A number of 64 bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load(_at(builder, args[0], _NUMBER), align=8)

    return types.int64(types.int64), generate


@_written
def _byte_at(_typing: Any, _address: Any) -> _Generated:
    """A byte."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load(_at(builder, args[0], _BYTE), align=1)

    return types.uint8(types.int64), generate


def _put_as(kind: Any) -> Any:
    """A function that writes a number to an address, big end first."""

    def put(_typing: Any, _address: Any, _number: Any) -> _Generated:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            turned = builder.bswap(builder.trunc(args[1], kind))
            builder.store(turned, _at(builder, args[0], kind), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return _written(put)


_put_length, _put_short = _put_as(_LENGTH), _put_as(_SHORT)


def _copies(kind: Any) -> Any:
    """A function that copies the bytes of a number from one address to another."""

    def copy(_typing: Any, _to: Any, _data: Any) -> _Generated:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            found = builder.load(_at(builder, args[1], kind), align=1)
            builder.store(found, _at(builder, args[0], kind), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return _written(copy)


_copy_8, _copy_4, _copy_1 = _copies(_NUMBER), _copies(_LENGTH), _copies(_BYTE)


@_written
def _copy(_typing: Any, _to: Any, _data: Any, _size: Any) -> _Generated:
    """Copy so many bytes."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        to, source = _at(builder, args[0], _BYTE), _at(builder, args[1], _BYTE)
        cgutils.raw_memcpy(builder, to, source, args[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@inlined
def _put(to: Any, data: Any, size: Any) -> Any:
    """Copy so many bytes, most often few; gives how many. The halves of what is short overlap."""
    if size > 2 * 8:
        _copy(to, data, size)
    elif size >= 8:
        _copy_8(to, data)
        _copy_8(to + size - 8, data + size - 8)
    elif size >= 4:
        _copy_4(to, data)
        _copy_4(to + size - 4, data + size - 4)
    else:
        for at in range(size):
            _copy_1(to + at, data + at)
    return size


def _lay(out: Any, count: Any, first: Any, nulls: Any, pieces: Any) -> Any:
    """Write `count` rows to an address; gives how many bytes they take.

    Column c has the pieces first[c] … first[c+1], and the address of a flag a row, 0 where it has no
    NULLs.
    """
    place = out
    for row in range(count):
        _put_short(place, nulls.size)
        place += 2
        for column in range(nulls.size):
            begin = place + 4
            if nulls[column] and _byte_at(nulls[column] + row):
                _put_length(place, -1)
                place = begin
                continue
            end = begin
            for piece in range(first[column], first[column + 1]):
                if pieces[piece, _WHERE] and not _byte_at(pieces[piece, _WHERE] + row):
                    continue
                at, size = row, pieces[piece, _WIDTH]
                if pieces[piece, _ROWS]:
                    at = _number_at(pieces[piece, _ROWS] + 8 * row)
                if pieces[piece, _LENGTHS]:
                    size = _number_at(pieces[piece, _LENGTHS] + 8 * row)
                end += _put(end, pieces[piece, _DATA] + pieces[piece, _STRIDE] * at, size)
            _put_length(place, end - begin)
            place = end
    return place - out


_compiled = numba.njit(
    types.int64(types.int64, types.int64, _NUMBERS, _NUMBERS, _PIECES),
    cache=True,
    nogil=True,
    _nrt=False,
)
lay = cast("Callable[[int, int, Any, Any, Any], int]", _compiled(_lay))
