"""Pseudo-random orders without memory: row numbers to places and back, keyed, in numpy.

Every value depends only on seed, names and row number, so any slice can be made anywhere.
A permutation of 0 … n-1 is made of invertible steps on the next power of two (odd multiplication,
xor-shift), walked on while it lands outside; its inverse takes the same steps backwards.
"""

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

_ROUNDS = 3
_HALF = 0.5
_FEW, _TRIES = 2000, 16  # rows whose order is chosen among so many
_STRIDE = 256  # as in data_gen.loops, which only who needs the compiler loads


def key_of(seed: int, *names: object) -> int:
    """A 64-bit key for one purpose, from the seed and the names of what it is for."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def mixed(numbers: Ints, key: int) -> Words:
    """64 well-mixed bits a number (the finaliser of splitmix64: Steele and others, 2014)."""
    x = numbers.astype(np.uint64)
    x += np.uint64(key)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def shares(numbers: Ints, key: int, *names: object) -> npt.NDArray[np.float64]:
    """A number from 0 up to 1 for each number, the same for the same, one series for each name."""
    return (mixed(numbers, key_of(key, *names)) >> np.uint64(11)).astype(np.float64) / 2**53


def drawn(numbers: Ints, key: int, size: int) -> Ints:
    """A number below `size` for each number, the same for the same."""
    from data_gen.loops import draw  # noqa: PLC0415 - the compiler is loaded by who needs it

    out = np.empty(numbers.shape, np.int64)
    draw(out, numbers, np.uint64(key), np.uint64(size))
    return out


class Permutation:
    """A keyed bijection of 0 … size-1."""

    __slots__ = ("backwards", "size", "steps")

    def __init__(self, size: int, key: int) -> None:
        bits = max(2, (size - 1).bit_length())
        modulus = 1 << bits
        factors = [key_of(key, turn) % modulus | 1 for turn in range(_ROUNDS)]
        inverses = [pow(factor, -1, modulus) for factor in reversed(factors)]
        half = (bits + 1) // 2  # of the bits or more: a shift by them is its own inverse
        bounds = [np.uint64(n) for n in (modulus - 1, half, key_of(key, "offset") % modulus, size)]
        self.size = size
        self.steps = (np.array(factors, np.uint64), *bounds)
        self.backwards = (np.array(inverses, np.uint64), *bounds)

    def forward(self, numbers: Ints) -> Ints:
        """The place of each number."""
        from data_gen.loops import walk  # noqa: PLC0415 - as above

        out = np.empty(numbers.shape, np.int64)
        walk(out, numbers, *self.steps)
        return out

    def backward(self, places: Ints) -> Ints:
        """The number at each place."""
        from data_gen.loops import walk_back  # noqa: PLC0415 - as above

        out = np.empty(places.shape, np.int64)
        walk_back(out, places, *self.backwards)
        return out


@functools.lru_cache(maxsize=512)
def permutation(size: int, key: int) -> Permutation:
    """A permutation that is asked for again with every block of rows."""
    return Permutation(size, key)


@dataclass(frozen=True, slots=True)
class Order:
    """Which slot of a column's sorted values a row takes.

    Of every 256 rows 256 · (1 - |strength|) are displaced, permuted among their like over the whole
    table, as updates move rows of a table that was filled in order; the others stand in their slots.
    Strength is the correlation of rows with slots, and all of it stays a bijection.
    """

    rows: int
    displaced: int  # of every 256 rows, as even as can be
    reverse: bool
    permutation: Permutation | None

    @classmethod
    def of(cls, rows: int, strength: float, *, table: int, column: int) -> "Order":
        """An order as strong as that, -1 … 1.

        Columns that follow the row order share the table's key: their rows moved together. Few rows
        in a random order are correlated by chance (1/√rows): of several orders the nearest is taken.
        """
        displaced = round((1 - min(abs(strength), 1.0)) * _STRIDE)
        size = rows * displaced // _STRIDE
        key = table if abs(strength) > _HALF else column
        orders = (
            cls(
                rows=rows,
                displaced=displaced,
                reverse=strength < 0 and displaced < _STRIDE,
                permutation=Permutation(size, key + turn) if size else None,
            )
            for turn in range(_TRIES)
        )
        if not size or rows > _FEW:
            return next(orders)
        return min(orders, key=lambda order: abs(order.correlation - strength))

    @property
    def correlation(self) -> float:
        """Of rows with their slots, all of them."""
        rows = np.arange(self.rows)
        return float(np.corrcoef(rows, self.slots(rows))[0, 1]) if self.rows > 1 else 1.0

    def slots(self, rows: Ints) -> Ints:
        """The slot of each row."""
        placed = self._moved(rows, backward=False)
        return self.rows - 1 - placed if self.reverse else placed

    def rows_at(self, slots: Ints) -> Ints:
        """The row in each slot: the inverse."""
        placed = self.rows - 1 - slots if self.reverse else slots
        return self._moved(placed, backward=True)

    def _moved(self, numbers: Ints, *, backward: bool) -> Ints:
        from data_gen.loops import move, move_back  # noqa: PLC0415 - as above

        permutation = self.permutation
        if permutation is None:
            return numbers
        out = np.empty(numbers.shape, np.int64)
        if backward:
            move_back(out, numbers, self.displaced, *permutation.backwards)
        else:
            move(out, numbers, self.displaced, *permutation.steps)
        return out
