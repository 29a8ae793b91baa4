"""Scrubs values of the commonest forms, compiled: numbers, dates, and texts of words.

The rule is `scrub.Scrubber`, whose tokens these are. A value that might be of any other form is left
to it: being wrong about a form would give a value two tokens, being careful costs some microseconds.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from replay.capture.ciphers import tokenise
from replay.capture.kernels import Bytes, Hashes, Ints, Mask, Number, compiled
from replay.capture.moves import dated, numbered

WORD_AT_MOST = 1000  # letters
LEFT = -1  # a value of another form
# What a character is; 0 where nobody has looked.
MARK, LETTER, LARGE, ODD = 1, 2, 3, 4
_CARD_AT_LEAST, _ULID, _UUID_HEAD = 14, 26, 8  # characters
ASCII = np.zeros(256, np.uint8)
ASCII[:128] = MARK
ASCII[[*b"abcdefghijklmnopqrstuvwxyz0123456789"]] = LETTER
ASCII[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]] = LARGE
ASCII[[*b":\\"]] = ODD  # times, addresses, escapes
_PATTERNS = np.zeros((128, 128), np.bool_)  # neighbours in a pattern of to_char
for _pair in (b"YY", b"HH", b"MM", b"DD", b"Mo", b"Da"):
    _PATTERNS[_pair[0], _pair[1]] = True


_FOLLOWS_P = np.zeros(256, np.bool_)  # in a word that is no interval
_FOLLOWS_P[[*b"ABCDEFGHIJKLMNOPQRSUVWXYZabcdefghijklmnopqrsuvwxyz"]] = True


class Maps(NamedTuple):
    """All that tokens depend on."""

    key: np.uint64  # of words
    other_key: np.uint64
    added: Ints  # to numbers: see Tokens.steps
    sums: Ints
    slopes: Ints
    knots: Ints  # of what is behind the point: see Tokens.knots
    today: int  # proleptic ordinal of the capture's day, and how far dates move
    days: int
    further: int
    wholes: Hashes  # sorted: values, and words in values, that may mean something by themselves
    words: Hashes
    kinds: Bytes  # by character
    small: npt.NDArray[np.int32]  # by character


class Room(NamedTuple):
    """Room for the letters of a word."""

    letters: Ints
    upper: Mask
    base: Ints
    choices: Hashes

    @classmethod
    def make(cls) -> "Room":
        """For a word as long as any."""
        return cls(
            np.empty(WORD_AT_MOST, np.int64),
            np.empty(WORD_AT_MOST, np.bool_),
            np.empty(WORD_AT_MOST, np.int64),
            np.empty(WORD_AT_MOST, np.uint64),
        )


@compiled
def scrub(data: Bytes, offsets: Ints, maps: Maps, out: Bytes, ends: Ints, room: Room) -> None:
    """Put each value's token behind the one before, and where it ends; LEFT where it has another form."""
    to = 0
    for row in range(ends.size):
        at, end = offsets[row], offsets[row + 1]
        ends[row] = LEFT
        if _is_among(hash_of(data, at, end), maps.wholes):
            continue
        behind = numbered(data, at, end, maps, out, to)
        if behind == LEFT:
            behind = dated(data, at, end, maps, out, to)
        if behind == LEFT and not _is_odd(data, at, end):
            behind = _worded(data, at, end, maps, out, to, room)
        ends[row] = behind
        to = max(to, behind)


@compiled
def hash_of(data: Bytes, at: Number, end: Number) -> np.uint64:
    """A hash that is blind to the case of ASCII letters."""
    found = np.uint64(0xCBF29CE484222325)
    for place in range(at, end):
        byte = data[place]
        found ^= np.uint64(byte | 32 if 65 <= byte <= 90 else byte)
        found *= np.uint64(0x100000001B3)
    return found


@compiled
def _is_among(wanted: np.uint64, hashes: Hashes) -> bool:
    place = np.searchsorted(hashes, wanted)
    return bool(place < hashes.size and hashes[place] == wanted)


@compiled
def _is_odd(data: Bytes, at: Number, end: Number) -> bool:
    """Whether a text may be more than words between marks: a card, a uuid, an address."""
    if at == end:
        return False
    first = data[at]
    if first in (40, 91, 123):  # ( [ {
        return True
    if at + 3 <= end and first == 48 and data[at + 1] == 48 and data[at + 2] == 48:
        return True
    behind = at + 1 if first == 45 else at
    if behind + 1 < end and data[behind] | 32 == 112 and not _FOLLOWS_P[data[behind + 1]]:
        return True  # P1D, PT1H
    digits, run, dots, plain = 0, 0, 0, True
    for place in range(at, end):
        byte = data[place]
        is_digit = 48 <= byte <= 57
        if is_digit:
            digits += 1
        elif byte not in (32, 45):
            digits = 0
        if digits >= _CARD_AT_LEAST:
            return True
        dots += byte == 46
        plain &= is_digit or byte in (46, 47)
        if byte == 45 and (_in_date(data, at, place, end) or _in_uuid(data, place, end, run)):
            return True
        run = run + 1 if byte < 128 and ASCII[byte] in (LETTER, LARGE) else 0
        if place > at and byte < 128 and data[place - 1] < 128 and _PATTERNS[data[place - 1], byte]:
            return True
    return plain and dots == 3


@compiled
def _in_date(data: Bytes, at: Number, place: Number, end: Number) -> bool:
    """Whether the dash is the first of 2026-03-01."""
    if place < at + 4 or place + 6 > end or data[place + 3] != 45:
        return False
    for digit in (place - 4, place - 3, place - 2, place - 1):
        if not 48 <= data[digit] <= 57:
            return False
    for digit in (place + 1, place + 2, place + 4, place + 5):
        if not 48 <= data[digit] <= 57:
            return False
    return True


@compiled
def _in_uuid(data: Bytes, place: Number, end: Number, run: Number) -> bool:
    """Whether the dash may be the first of a uuid, behind a run of so many letters and digits."""
    return bool(run == _UUID_HEAD and place + 5 < end and data[place + 5] == 45)


@compiled
def _worded(
    data: Bytes, at: Number, end: Number, maps: Maps, out: Bytes, to: Number, room: Room
) -> Number:
    """Words become tokens, what stands between them stays."""
    letters, upper = room.letters, room.upper
    count, begin = 0, at
    while at <= end:
        letter, behind = _character(data, at, end)
        kind = MARK if at == end else maps.kinds[letter]
        if kind in (0, ODD) or count == WORD_AT_MOST:
            return LEFT
        if kind != MARK:
            if count == 0:
                begin = at
            letters[count], upper[count] = maps.small[letter], kind == LARGE
            count += 1
        else:
            if count:
                if count == _ULID or _is_known(data, begin, at, maps.words):
                    return LEFT
                word = letters[:count]
                tokenise(word, upper, room.base, room.choices, maps.key, maps.other_key)
                for place in range(count):
                    to = _put(letters[place], out, to)
                count = 0
            for place in range(at, min(behind, end)):
                out[to] = data[place]
                to += 1
        at = behind
    return to


@compiled
def _is_known(data: Bytes, begin: Number, end: Number, words: Hashes) -> bool:
    """Whether a word is one of those words, or holds one between digits; or is a mantissa: 12e."""
    if _is_among(hash_of(data, begin, end), words):
        return True
    at = begin
    while at < end and 48 <= data[at] <= 57:
        at += 1
    if begin < at < end and data[at] | 32 == 101:
        exponent = at + 1
        while exponent < end and 48 <= data[exponent] <= 57:
            exponent += 1
        if exponent == end:
            return True
    while at < end:
        first = at
        while at < end and not 48 <= data[at] <= 57:
            at += 1
        is_part = first < at < end or first > begin
        if is_part and _is_among(hash_of(data, first, at), words):
            return True
        while at < end and 48 <= data[at] <= 57:
            at += 1
    return False


@compiled
def _character(data: Bytes, at: Number, end: Number) -> tuple[Number, Number]:
    """The code point at a place in UTF-8, and where the next one begins."""
    if at >= end:
        return 0, at + 1
    byte = np.int64(data[at])
    if byte < 0x80:
        return byte, at + 1
    more = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
    letter = byte & (0x3F >> more)
    for place in range(at + 1, at + 1 + more):
        letter = letter << 6 | np.int64(data[place]) & 0x3F
    return letter, at + 1 + more


@compiled
def _put(letter: Number, out: Bytes, to: Number) -> Number:
    """Write a code point in UTF-8; says where it ends."""
    if letter < 0x80:
        out[to] = letter
        return to + 1
    more = 1 if letter < 0x800 else 2 if letter < 0x10000 else 3
    out[to] = (0xFF00 >> (more + 1)) & 0xFF | letter >> 6 * more
    for step in range(more):
        out[to + 1 + step] = 0x80 | letter >> 6 * (more - 1 - step) & 0x3F
    return to + 1 + more
