"""Loops over rows, compiled: what numpy does in ten passes over memory is done in one.

Compiled by numba at the first use and kept in its cache; all of them leave the interpreter free, so
that blocks are made side by side.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

STRIDE = 256  # so many of these rows are displaced: the grain of a correlation

F = TypeVar("F", bound=Callable[..., Any])
U64, I64, FLAG = numba.uint64, numba.int64, numba.boolean
INTS = numba.types.Array(numba.int64, 1, "C")
COUNTED = numba.types.Array(numba.int64, 1, "A", readonly=True)
WORDS = numba.types.Array(numba.uint64, 1, "C", readonly=True)
GUIDE = numba.types.Array(numba.int32, 1, "C", readonly=True)
FLAGS = numba.types.Array(numba.boolean, 1, "A", readonly=True)
TURNS = numba.types.Array(numba.int64, 2, "C", readonly=True)
_STEPS = (COUNTED, GUIDE, I64)
_SEGMENTS = (COUNTED, COUNTED, COUNTED, FLAGS, *_STEPS, FLAG, U64)  # of a spread


def compiled(*signature: Any) -> Callable[[F], F]:
    """Makes of a function one that is compiled, for arguments of these types alone; it makes no array.

    Nothing counts who holds an array: where functions call one another, that costs as much as they do.
    """
    made = numba.njit(
        numba.void(*signature), cache=True, nogil=True, error_model="numpy", _nrt=False
    )
    return cast("Callable[[F], F]", made)


def inlined(function: F) -> F:
    """A short function that others call: their files must change with it, or their cache is stale."""
    return cast("F", numba.njit(forceinline=True, error_model="numpy", _nrt=False)(function))


@inlined
def mixed(number: Any, key: Any) -> Any:
    """As `data_gen.shuffle.mixed`."""
    bits = np.uint64(number) + key
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    return bits ^ bits >> np.uint64(31)


@inlined
def walked(number: Any, factors: Any, mask: Any, shift: Any, offset: Any, size: Any) -> Any:
    """The place of a number in a permutation: its steps, walked on while they land outside."""
    word = np.uint64(number)
    while True:
        word += offset
        for factor in factors:
            word = word * factor & mask
            word ^= word >> shift
        if word < size:
            return np.int64(word)


@inlined
def _walked_back(number: Any, inverses: Any, mask: Any, shift: Any, offset: Any, size: Any) -> Any:
    """The number at a place: the same steps backwards."""
    word = np.uint64(number)
    while True:
        for inverse in inverses:
            word ^= word >> shift
            word = word * inverse & mask
        word = word - offset & mask
        if word < size:
            return np.int64(word)


@inlined
def _found(places: Any, guide: Any, shift: Any, number: Any) -> Any:
    """The last place that is at most the number (see `data_gen.steps`)."""
    at = np.int64(guide[min((number - places[0]) >> shift, guide.size - 1)])
    while at + 1 < places.size and places[at + 1] <= number:
        at += 1
    return at


@compiled(INTS, COUNTED, COUNTED, GUIDE, I64)
def look_up(out: Any, numbers: Any, places: Any, guide: Any, shift: Any) -> None:
    """The last place that is at most each number."""
    for row in range(numbers.size):
        out[row] = _found(places, guide, shift, numbers[row])


@compiled(INTS, COUNTED, COUNTED, COUNTED, COUNTED, COUNTED)
def shuffle(out: Any, groups: Any, places: Any, sizes: Any, steps: Any, offsets: Any) -> None:
    """The place that each place of a group is moved to (see `data_gen.couple`)."""
    for row in range(groups.size):
        group = groups[row]
        moved = places[row] * steps[group] + offsets[group]
        out[row] = np.int64(np.uint64(moved) % np.uint64(max(sizes[group], 1)))


@compiled(INTS, COUNTED, WORDS, U64, U64, U64, U64)
def walk(
    out: Any, numbers: Any, factors: Any, mask: Any, shift: Any, offset: Any, size: Any
) -> None:
    """The place of each number in a permutation."""
    for row in range(numbers.size):
        out[row] = walked(numbers[row], factors, mask, shift, offset, size)


@compiled(INTS, COUNTED, WORDS, U64, U64, U64, U64)
def walk_back(
    out: Any, places: Any, inverses: Any, mask: Any, shift: Any, offset: Any, size: Any
) -> None:
    """The number at each place of a permutation."""
    for row in range(places.size):
        out[row] = _walked_back(places[row], inverses, mask, shift, offset, size)


@compiled(INTS, COUNTED, I64, WORDS, U64, U64, U64, U64)
def move(
    out: Any,
    rows: Any,
    moved: Any,
    factors: Any,
    mask: Any,
    shift: Any,
    offset: Any,
    size: Any,
) -> None:
    """The place of each row, where `moved` of every STRIDE rows are permuted, as even as can be."""
    for row in range(rows.size):
        place = rows[row]
        before = place * moved // STRIDE  # of those that are permuted
        if (place + 1) * moved // STRIDE > before:
            among = walked(before, factors, mask, shift, offset, size)
            place = ((among + 1) * STRIDE - 1) // moved
        out[row] = place


@compiled(INTS, COUNTED, I64, WORDS, U64, U64, U64, U64)
def move_back(
    out: Any,
    places: Any,
    moved: Any,
    inverses: Any,
    mask: Any,
    shift: Any,
    offset: Any,
    size: Any,
) -> None:
    """The row at each place, the same way backwards."""
    for row in range(places.size):
        place = places[row]
        before = place * moved // STRIDE
        if (place + 1) * moved // STRIDE > before:
            among = _walked_back(before, inverses, mask, shift, offset, size)
            place = ((among + 1) * STRIDE - 1) // moved
        out[row] = place


@compiled(INTS, COUNTED, U64, U64)
def draw(out: Any, numbers: Any, key: Any, size: Any) -> None:
    """A number below size for each number, the same for the same."""
    for row in range(numbers.size):
        out[row] = np.int64(mixed(numbers[row], key) % size)


@inlined
def _share(within: Any, points: Any, count: Any) -> Any:
    """The number of a slot's point among those in use in its segment."""
    if points == 1:
        return np.int64(0)
    if points == count:
        return np.int64(within)
    return np.int64(np.uint64(within * points) // np.uint64(count))


@inlined
def _point(share: Any, points: Any, low: Any, width: Any, scattered: Any, key: Any) -> Any:
    """The point of a number of a segment, in whose part of the width it lies."""
    point, room = low + share, np.uint64(1)
    if width != points:
        room = np.uint64(width) // np.uint64(points)
        rest = np.uint64(width) - room * np.uint64(points)
        point = low + np.int64(room) * share
        if rest:
            point += np.int64(rest * np.uint64(share) // np.uint64(points))
    if scattered and room > np.uint64(1):
        point += np.int64(mixed(point, key) % room)
    return point


@inlined
def _beside(point: Any, holes: Any, guide: Any, shift: Any) -> Any:
    """A point of the tail, counted with the common points, which are its holes."""
    if holes.size and holes[0] <= point:
        point += _found(holes, guide, shift, point) + 1
    return point


@compiled(INTS, INTS, COUNTED, COUNTED, GUIDE, I64, COUNTED, COUNTED)
def shares(
    segments: Any,
    out: Any,
    slots: Any,
    starts: Any,
    guide: Any,
    shift: Any,
    counts: Any,
    distinct: Any,
) -> None:
    """The segment of each slot, and the number of its point there (see `data_gen.spread`)."""
    for row in range(slots.size):
        segment = _found(starts, guide, shift, slots[row])
        segments[row] = segment
        out[row] = _share(slots[row] - starts[segment], distinct[segment], counts[segment])


@compiled(INTS, COUNTED, COUNTED, *_SEGMENTS)
def place(
    out: Any,
    segments: Any,
    numbers: Any,
    distinct: Any,
    low: Any,
    width: Any,
    tail: Any,
    holes: Any,
    guide: Any,
    shift: Any,
    scattered: Any,
    key: Any,
) -> None:
    """The point of each number of a segment."""
    for row in range(segments.size):
        at = segments[row]
        point = _point(numbers[row], distinct[at], low[at], width[at], scattered, key)
        out[row] = _beside(point, holes, guide, shift) if tail[at] else point


@compiled(INTS, COUNTED, COUNTED, GUIDE, I64, COUNTED, *_SEGMENTS)
def points_of(
    out: Any,
    slots: Any,
    starts: Any,
    guide: Any,
    shift: Any,
    counts: Any,
    distinct: Any,
    low: Any,
    width: Any,
    tail: Any,
    holes: Any,
    holes_guide: Any,
    holes_shift: Any,
    scattered: Any,
    key: Any,
) -> None:
    """The point of each slot: `shares` and `place` in one."""
    for row in range(slots.size):
        at = _found(starts, guide, shift, slots[row])
        share = _share(slots[row] - starts[at], distinct[at], counts[at])
        point = _point(share, distinct[at], low[at], width[at], scattered, key)
        out[row] = _beside(point, holes, holes_guide, holes_shift) if tail[at] else point


@inlined
def _passed_on(number: Any, sums: Any, guide: Any, shift: Any, lines: Any) -> Any:
    """The slot of a row that is over, by its number among those; -1 where none is left for it."""
    if number >= sums[sums.size - 1]:
        return np.int64(-1)
    code = _found(sums, guide, shift, number)
    turn = number - sums[code] + 1
    first, rows, left = lines[code, 0], lines[code, 1], lines[code, 2]
    return first + (turn * rows + left - 1) // left + turn - 1


@compiled(INTS, COUNTED, COUNTED, TURNS, *_STEPS, TURNS, *_STEPS, COUNTED)
def coded(
    out: Any,
    cells: Any,
    within: Any,
    turns: Any,
    left: Any,
    left_guide: Any,
    left_shift: Any,
    lines: Any,
    sums: Any,
    guide: Any,
    shift: Any,
    starts: Any,
) -> None:
    """The slot of a column that each row of a cell takes (see `data_gen.runs`).

    Of a code with s slots and r rows, row a takes slot a·s/r; of more rows than slots, those that
    would take one a second time are over.
    """
    for row in range(cells.size):
        turn = turns[cells[row]]
        size = np.uint64(turn[1])
        at = np.int64(np.uint64((turn[0] + within[row]) * turn[2] + turn[3]) % size)
        nth = np.int64(np.uint64(at * turn[5]) // size)
        place = turn[4] + nth
        if turn[6] >= 0:
            kept = (at * turn[5] + turn[1] - 1) // turn[1]
            if kept * turn[1] // turn[5] != at:
                passed = _passed_on(turn[6] + at - kept, left, left_guide, left_shift, lines)
                place = passed if passed >= 0 else place
            else:
                place = turn[4] + kept
        run = _found(sums, guide, shift, place)
        out[row] = starts[run] + place - sums[run]
