"""Keyed tokens: permutations and monotone maps that depend on nothing but a key and the value.

A permutation keeps distinct words distinct. None has a fixed point: it is a cycle through its whole
domain, in an order that a Feistel network (Luby, Rackoff 1988; cycle walking: Black, Rogaway 2002)
draws from the key.
"""

from functools import cached_property, lru_cache
from hashlib import blake2b, sha256, shake_256

import numpy as np

from replay.capture.ciphers import token_of
from replay.capture.kernels import Ints, place

_PERMUTED_AT_MOST = 1 << 48  # larger domains are hashed into: collisions are out of reach
_WRITTEN_AT_MOST = 14_000  # bits of a number that Python writes in decimal
_WORD_AT_MOST, _PIECE = 1000, 64  # letters; a longer word goes by pieces: bytes in base64, perhaps
_FORTH, _BACK = range(4), range(3, -1, -1)  # rounds of the Feistel network

SMALL = 9_999  # whole numbers up to here stay
SEGMENTS = 64  # of an octave
STEPS = 44  # bits of the numbers that compiled code moves
_UNIT = 1 << 16  # fixed point of the slopes
_STEEPEST, _FLATTEST = _UNIT // 2, _UNIT // 20  # slopes 1.5 and 1.05, less 1
_FIRST_OCTAVE = SMALL.bit_length() - 1
# Digits behind the point: so many stay, final zeros not counted. Of more the first one stays, and what
# follows goes through one of so many maps, in so many pieces.
SHORT, CELLS, PARTS = 2, 1000, 8
_PLACES_AT_MOST = 1000  # no more are told apart
_HALVES = (8, 0.25, 0.75), (4, 0.4, 0.6), (2, 0.45, 0.55)  # slopes of 0.36 to 1.98


class Tokens:
    """All maps of one key."""

    def __init__(self, key: bytes) -> None:
        self._key = sha256(key).digest()
        halves = (self.draw("words", half) for half in ("one", "other"))
        self.word_key = place(next(halves)), place(next(halves))
        self._short = lru_cache(maxsize=1 << 16)(lambda word: token_of(word, self.word_key))
        self._subkey = lru_cache(maxsize=1 << 12)(lambda purpose: self.drawn("rounds", purpose, 32))
        self._octaves: list[tuple[int, tuple[int, ...]]] = []

    def draw(self, purpose: str, data: str, size: int = 8) -> int:
        """A number of `size` bytes that the key draws for the data."""
        return int.from_bytes(self.drawn(purpose, data, size), "big")

    def drawn(self, purpose: str, data: str, size: int) -> bytes:
        """`size` bytes that the key draws for the data."""
        text = f"{purpose}\0{data}".encode()
        if size <= blake2b.MAX_DIGEST_SIZE:
            return blake2b(text, key=self._key, digest_size=size).digest()
        return shake_256(self._key + text).digest(size)

    def word(self, word: str) -> str:
        """Same length; a digit for a digit, a letter for a letter of the same case.

        Case does not matter to the choice, so that lower() of a token is the token of lower().
        """
        if len(word) <= _WORD_AT_MOST:
            return self._short(word)
        pieces = (word[at : at + _PIECE] for at in range(0, len(word), _PIECE))
        return "".join(map(self._short, pieces))

    def permuted(self, purpose: str, number: int, size: int) -> int:
        """Another number below `size`; `size` 1 has none."""
        if size > _PERMUTED_AT_MOST:
            written = str(number) if number.bit_length() < _WRITTEN_AT_MOST else hex(number)
            drawn = self.draw(purpose, written, size.bit_length() // 8 + 9) % size
            return drawn if drawn != number else (drawn + 1) % size
        place = self._walk(purpose, number, size, _BACK)
        return self._walk(purpose, (place + 1) % size, size, _FORTH)

    def integer(self, value: int) -> int:
        """Strictly increasing; numbers of up to four digits stay, slopes lie in 1.05 to 1.5."""
        size = abs(value)
        if size <= SMALL:
            return value
        octave = size.bit_length() - 1
        before, slopes = self._octave(octave)
        width = (1 << octave) // SEGMENTS
        segment, within = divmod(size - (1 << octave), width)
        extra = before + sum(slopes[:segment]) * width + slopes[segment] * within
        moved = size + extra // _UNIT
        return moved if value > 0 else -moved

    def fraction(self, whole: int, digits: str) -> str:
        """As many digits behind the point of a number, without its sign; increasing for each length.

        Final zeros stay and do not count, so that 1.250 is what 1.25 is.
        """
        told = digits.rstrip("0")[:_PLACES_AT_MOST]
        if len(told) <= SHORT:
            return digits
        first, place, size = int(told[0]), int(told[1:]), 10 ** (len(told) - 1)
        part, within = divmod(place * PARTS, size)
        begin, end = map(int, self.knots[(whole * 10 + first) % CELLS, part : part + 2])
        moved = max(size * begin // _UNIT + within * (end - begin) // _UNIT, 1)
        return f"{first}{moved:0{len(told) - 1}}".ljust(len(digits), "0")

    @cached_property
    def knots(self) -> Ints:
        """Where each map of what follows the first place puts its pieces' ends, in units of 2**-16."""
        drawn = np.frombuffer(self.drawn("fractions", "", 2 * CELLS * (PARTS - 1)), ">u2")
        shares = iter(drawn.astype(np.int64).reshape(PARTS - 1, CELLS))
        knots = np.zeros((CELLS, PARTS + 1), np.int64)
        knots[:, PARTS] = _UNIT
        for width, least, most in _HALVES:
            for at in range(width // 2, PARTS, width):
                low, high = knots[:, at - width // 2], knots[:, at + width // 2]
                share = int(least * _UNIT) + (next(shares) * int((most - least) * _UNIT) >> 16)
                knots[:, at] = low + ((high - low) * share >> 16)
        return knots

    def order(self, text: str, count: int) -> Ints:
        """The numbers up to a count, in an order that the key draws for the text."""
        return np.frombuffer(self.drawn("order", text, 8 * count), ">u8").argsort(kind="stable")

    def hexadecimal(self, digits: str) -> str:
        """Hexadecimal digits for hexadecimal digits, as many."""
        count = len(digits)
        return f"{self.permuted(f'hex{count}', int(digits, 16), 16**count):0{count}x}"

    def steps(self) -> tuple[Ints, Ints, Ints]:
        """`integer` of numbers of up to `STEPS` bits, by their octave, in units of 2**-16.

        What is added before an octave; within it up to a segment's begin, and in a segment.
        """
        octaves = [(0, (0,) * SEGMENTS)] * _FIRST_OCTAVE
        octaves += [self._octave(octave) for octave in range(_FIRST_OCTAVE, STEPS)]
        slopes = np.array([slopes for _, slopes in octaves])
        sums = np.cumsum(slopes, axis=1) - slopes
        return np.array([before for before, _ in octaves]), sums, slopes

    def _octave(self, octave: int) -> tuple[int, tuple[int, ...]]:
        """What the octaves before have added, and this octave's slopes by segment."""
        while len(self._octaves) <= octave - _FIRST_OCTAVE:
            number = len(self._octaves) + _FIRST_OCTAVE
            drawn = self.drawn("slopes", str(number), 4 * SEGMENTS)
            draws = (int.from_bytes(drawn[i : i + 4], "big") for i in range(0, len(drawn), 4))
            slopes = tuple(_FLATTEST + draw % (_STEEPEST - _FLATTEST) for draw in draws)
            added = 0
            if self._octaves:
                before, last = self._octaves[-1]
                added = before + sum(last) * ((1 << (number - 1)) // SEGMENTS)
            self._octaves.append((added, slopes))
        return self._octaves[octave - _FIRST_OCTAVE]

    def _walk(self, purpose: str, number: int, size: int, turns: range) -> int:
        """The Feistel network, its rounds in that order, walked until it lands in the domain."""
        bits = (size - 1).bit_length()
        low = (bits + 1) // 2
        low_mask, high_mask = (1 << low) - 1, (1 << (bits - low)) - 1
        key = self._subkey(purpose)
        while True:
            left, right = number >> low, number & low_mask
            for turn in turns:
                if turn % 2:
                    right ^= _round(key, turn, left) & low_mask
                else:
                    left ^= _round(key, turn, right) & high_mask
            number = left << low | right
            if number < size:
                return number


def _round(key: bytes, turn: int, half: int) -> int:
    text = (half << 2 | turn).to_bytes(8, "big")
    return int.from_bytes(blake2b(text, key=key, digest_size=8).digest(), "big")
