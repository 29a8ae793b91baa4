"""Loops over rows, compiled: what numpy does in ten passes over memory is done in one.

Compiled by numba at the first use and kept in its cache; all of them leave the interpreter free, so
that blocks are made side by side.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

STRIDE = 256  # rows are displaced by their number modulo this: the grain of a correlation

F = TypeVar("F", bound=Callable[..., Any])
U64, I64, FLAG = numba.uint64, numba.int64, numba.boolean
INTS = numba.types.Array(numba.int64, 1, "C")
COUNTED = numba.types.Array(numba.int64, 1, "A", readonly=True)
WORDS = numba.types.Array(numba.uint64, 1, "C", readonly=True)
GUIDE = numba.types.Array(numba.int32, 1, "C", readonly=True)
FLAGS = numba.types.Array(numba.boolean, 1, "A", readonly=True)


def compiled(*signature: Any) -> Callable[[F], F]:
    """Makes of a function one that is compiled, for arguments of these types alone."""
    made = numba.njit(numba.void(*signature), cache=True, nogil=True, error_model="numpy")
    return cast("Callable[[F], F]", made)


def inlined(function: F) -> F:
    """A short function that others of the same file call."""
    return cast("F", numba.njit(forceinline=True, error_model="numpy")(function))


@inlined
def _mixed(number: Any, key: Any) -> Any:
    """As `data_gen.shuffle.mixed`."""
    bits = np.uint64(number) + key
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    return bits ^ bits >> np.uint64(31)


@inlined
def _walked(number: Any, factors: Any, mask: Any, shift: Any, offset: Any, size: Any) -> Any:
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
        out[row] = _walked(numbers[row], factors, mask, shift, offset, size)


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
    """The place of each row, where of every STRIDE rows the first `moved` are permuted."""
    for row in range(rows.size):
        turn = rows[row] // STRIDE
        grain = rows[row] - turn * STRIDE
        if grain < moved:
            among = _walked(turn * moved + grain, factors, mask, shift, offset, size)
            turn = among // moved
            grain = among - turn * moved
        out[row] = turn * STRIDE + grain


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
        turn = places[row] // STRIDE
        grain = places[row] - turn * STRIDE
        if grain < moved:
            among = _walked_back(turn * moved + grain, inverses, mask, shift, offset, size)
            turn = among // moved
            grain = among - turn * moved
        out[row] = turn * STRIDE + grain


@compiled(INTS, COUNTED, U64, U64)
def draw(out: Any, numbers: Any, key: Any, size: Any) -> None:
    """A number below size for each number, the same for the same."""
    for row in range(numbers.size):
        out[row] = np.int64(_mixed(numbers[row], key) % size)


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
    """The segment of each slot, and the number of its point among those in use there."""
    for row in range(slots.size):
        slot = slots[row]
        segment = _found(starts, guide, shift, slot)
        within, points = slot - starts[segment], distinct[segment]
        if points == 1:
            within = 0
        elif points != counts[segment]:
            within = np.int64(np.uint64(within * points) // np.uint64(counts[segment]))
        segments[row] = segment
        out[row] = within


@compiled(INTS, COUNTED, COUNTED, COUNTED, COUNTED, COUNTED, FLAGS, COUNTED, GUIDE, I64, FLAG, U64)
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
    """The point of each number of a segment (see `data_gen.spread`)."""
    for row in range(segments.size):
        segment, share = segments[row], numbers[row]
        point, room = low[segment] + share, np.uint64(1)
        if width[segment] != distinct[segment]:
            points = np.uint64(distinct[segment])
            room = np.uint64(width[segment]) // points
            rest = np.uint64(width[segment]) - room * points
            point = low[segment] + np.int64(room) * share
            if rest:
                point += np.int64(rest * np.uint64(share) // points)
        if scattered and room > np.uint64(1):
            point += np.int64(_mixed(point, key) % room)
        if holes.size and tail[segment] and holes[0] <= point:
            point += _found(holes, guide, shift, point) + 1
        out[row] = point


@compiled(INTS, *(COUNTED,) * 9, COUNTED, GUIDE, I64, COUNTED)
def coded(
    out: Any,
    cells: Any,
    within: Any,
    groups: Any,
    before: Any,
    sizes: Any,
    steps: Any,
    offsets: Any,
    first: Any,
    total: Any,
    sums: Any,
    guide: Any,
    shift: Any,
    starts: Any,
) -> None:
    """The slot of a column that each row of a cell takes (see `data_gen.couple`)."""
    for row in range(cells.size):
        cell = cells[row]
        group = groups[cell]
        size = np.uint64(max(sizes[group], 1))
        moved = (before[cell] + within[row]) * steps[group] + offsets[group]
        at = np.int64(np.uint64(moved) % size)
        place = first[cell] + np.int64(np.uint64(at * total[cell]) // size)
        run = _found(sums, guide, shift, place)
        out[row] = starts[run] + place - sums[run]
