"""Places of paths at which words are values, as compiled code knows them: by hashes of what leads there.

So a request for one more user's page costs no more than any other, and needs no look at the tree of routes.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from replay.capture.kernels import ONE, ZERO, Bytes, Hashes, compiled, inlined, place
from replay.capture.requests.actions import ACTIONS, EXTENSIONS
from replay.capture.words import EIGHT, find, up_to

OFFSET, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
MARK = np.uint64(0x9E3779B97F4A7C15)
"""A value counts as its kind's multiple of it."""
SHIFT = np.uint64(29)
NAME_OWN = np.uint64(0x3C6EF372FE94F82B)
"""What a word counts as where words are values."""
_ALL = (1 << 64) - 1
_POINT = 46
_BITS = place(64)


class Folds(NamedTuple):
    """Sets of hashes: tables with room, in which 0 is nobody."""

    places: Hashes  # of the ways to places where words are values
    words: Hashes  # of the ways to words there that are none
    stays: Hashes  # of words that are none anywhere
    extensions: Hashes  # that such a word may have
    plain: Hashes  # of words that look like values
    apart: Hashes  # of whole shapes in which no word is one


def folds(
    places: Iterable[int] = (),
    words: Iterable[int] = (),
    *,
    literals: Iterable[str] = (),
    apart: Iterable[int] = (),
) -> Folds:
    """Of ways by their hashes; `literals` are words that somebody's pattern names, values by form or not."""
    named = [hash_of(word.encode()) for word in literals]
    stays = (hash_of(word.encode()) for word in ACTIONS)
    extensions = (hash_of(word.encode()) for word in EXTENSIONS)
    sets = (places, words, (*stays, *named), extensions, named, apart)
    return Folds(*map(_table, sets))


def way(ahead: int, own: int) -> int:
    """The hash of a way and one segment more, whose own hash that is."""
    value = (ahead ^ own) * int(PRIME) & _ALL
    return value ^ value >> int(SHIFT)


def way_of(method: int) -> int:
    """Where all paths of a method begin, by its hash."""
    return (method * int(PRIME) ^ 32) & _ALL


def hash_of(text: bytes, begin: int = int(OFFSET)) -> int:
    """64 bits of a text, eight bytes at a time."""
    found = begin + len(text) & _ALL
    for at in range(0, len(text), 8):
        found = (found ^ int.from_bytes(text[at : at + 8], "little")) * int(MARK) & _ALL
        found ^= found >> int(SHIFT)
    return found


@inlined
def hashed(data: Bytes, at: np.uint64, end: np.uint64, begin: np.uint64) -> np.uint64:
    """The same of a text in the data."""
    value = begin + (end - at)
    while at < end:
        value = (value ^ up_to(data, at, end)) * MARK
        value ^= value >> SHIFT
        at += EIGHT
    return value


def _table(hashes: Iterable[int]) -> Hashes:
    held = np.fromiter({one for one in hashes if one}, np.uint64)
    table = np.zeros(1 << max(3, int(4 * held.size).bit_length()), np.uint64)
    _fill(held, table)
    return table


@compiled
def _fill(hashes: Hashes, table: Hashes) -> None:
    mask = place(table.size - 1)
    for row in range(hashes.size):
        slot = hashes[row] & mask
        while table[slot] != ZERO:
            slot = (slot + ONE) & mask
        table[slot] = hashes[row]


@inlined
def is_in(key: np.uint64, table: Hashes) -> bool:
    """Whether a set holds a hash."""
    mask = place(table.size - 1)
    slot = key & mask
    while table[slot] != ZERO:
        if table[slot] == key:
            return True
        slot = (slot + ONE) & mask
    return False


@compiled
def is_value(
    data: Bytes,
    begin: np.uint64,
    end: np.uint64,
    ahead: np.uint64,
    own: np.uint64,
    known: Folds,
) -> bool:
    """Whether a word is a value at a place where words are, to which `ahead` leads: see `routes`."""
    behind = (ahead ^ own) * PRIME
    if is_in(behind ^ (behind >> SHIFT), known.words) or is_in(own, known.stays):
        return False
    return not _is_action(data, begin, end, known)


@inlined
def _is_action(data: Bytes, begin: np.uint64, end: np.uint64, known: Folds) -> bool:
    """`actions.is_action`."""
    point = find(data, begin, end, _POINT)
    if not is_in(_hashed_small(data, begin, point), known.stays):
        return False
    at = point + ONE
    return bool(at >= end) or is_in(_hashed_small(data, at, end), known.extensions)


@inlined
def _hashed_small(data: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    """`hashed` of a text in small letters."""
    value, word, shift = OFFSET + (end - at), ZERO, ZERO
    while at < end:
        byte = data[at]
        word |= place(byte | 32 if 65 <= byte <= 90 else byte) << shift
        shift += EIGHT
        at += ONE
        if shift == _BITS or at == end:
            value = (value ^ word) * MARK
            value ^= value >> SHIFT
            word, shift = ZERO, ZERO
    return value
