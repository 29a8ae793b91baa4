"""Characters in bulk: random words, codes that never repeat, and stretches of prose."""

import functools

import numpy as np
import numpy.typing as npt

from data_gen.cells import Octets, Piece
from data_gen.shuffle import Ints, Words, drawn, key_of, mixed, permutation
from data_gen.values.spelling import digits, spell
from data_gen.values.spelling import words as words_of

Quads = npt.NDArray[np.uint32]  # four characters each

DIGITS = "0123456789"
LOWER = "abcdefghijklmnopqrstuvwxyz"
CODE = DIGITS + LOWER

_CHUNK = 4  # characters that 16 random bits give
_CHUNKS_A_DRAW = 4  # of 64 bits
_TEXT = (
    "about above across after again along among answer around basic because before between body "
    "book build carry change city clear close color common course cover cross direct draw early "
    "earth enough ever example family field figure final follow force form front general great "
    "green ground group grow half hand heard heavy help high home house hundred idea inch island "
    "kind land large late learn letter level life light line list listen long machine main mark "
    "measure might mile minute money morning mountain move music name near never night north note "
    "notice number object often open order paper part pattern people piece place plain plane plant "
    "play point power problem product question quick reach ready real record river road rule same "
    "science second sentence several shape short simple slow small sound south space special stand "
    "start state story street strong study table teach thing thought thousand time together toward "
    "travel tree true unit usual vowel voice warm watch water week weight wheel while white whole "
    "wonder word work world write year young"
)
_PROSE_LENGTH = 1 << 16


def words() -> tuple[str, ...]:
    """The language: common English words."""
    return tuple(_TEXT.split())


def code_width(distinct: int, symbols: int = len(CODE)) -> int:
    """How many symbols tell that many values apart; none for a single one."""
    width = 0
    while symbols**width < distinct:
        width += 1
    return width


def codes(points: Ints, width: int, alphabet: str, *, size: int, key: int) -> Octets:
    """Numbers below `size` as words of one width, all different, in no visible order."""
    rest = permutation(size, key).forward(points % size) if size > 1 else np.zeros_like(points)
    word = np.empty((points.size, width), np.uint8)
    digits(word, rest, np.frombuffer(alphabet.encode(), np.uint8))
    return word


def random_words(points: Ints, width: int, alphabet: str, key: int) -> Octets:
    """Random characters, the same for the same point; repetition is possible."""
    word = np.empty((points.size, -(-width // _CHUNK)), np.uint32)
    words_of(word, points, _chunks(alphabet), _keys(key, width))
    return word.view(np.uint8)[:, :width]


def numbered_words(
    points: Ints, widths: Ints, alphabet: str, code: int, *, distinct: int, keys: tuple[int, int]
) -> Piece:
    """Random characters of one of the widths, their last `code` the number of the point.

    Numbers are below `distinct`; `keys` are for the characters and for the order of the numbers. A
    word of digits does not begin with a zero: JSON's numbers allow none.
    """
    key, code_key = keys
    room = -(-(max(int(widths.max()), code)) // _CHUNK) * _CHUNK
    out, lengths = np.empty((points.size, room), np.uint8), np.empty(points.size, np.int64)
    spell(
        *(out, out.view(np.uint32), lengths, points, widths, np.uint64(key)),
        *(_chunks(alphabet), _leading(alphabet), _keys(key, room)),
        *(code, np.frombuffer(alphabet.encode(), np.uint8)),
        *permutation(max(distinct, 1), code_key).steps,
    )
    return Piece(out, lengths)


def prose(points: Ints, lengths: Ints, longest: int, key: int) -> Piece:
    """Stretches of running text of the given lengths; `longest` is the longest of all points."""
    text = _prose(key, max(_PROSE_LENGTH, 2 * longest))
    windows = np.lib.stride_tricks.sliding_window_view(text, max(longest, 1))
    return Piece(windows, lengths, drawn(points, key, windows.shape[0]))


@functools.lru_cache(maxsize=512)
def _keys(key: int, width: int) -> Words:
    """A key for each 64 bits that so many characters take."""
    draws = range(0, -(-width // _CHUNK), _CHUNKS_A_DRAW)
    return np.array([key_of(key, chunk) for chunk in draws], np.uint64)


@functools.lru_cache(maxsize=16)
def _leading(alphabet: str) -> Octets:
    """The first character of each chunk of a word."""
    chunks = _chunks(DIGITS[1:] if alphabet == DIGITS else alphabet)
    return np.ascontiguousarray(chunks.view(np.uint8)[::_CHUNK])


@functools.lru_cache(maxsize=16)
def _chunks(alphabet: str) -> Quads:
    bits = mixed(np.arange(1 << 16, dtype=np.int64), len(alphabet)).view(np.uint8)
    symbols = np.frombuffer(alphabet.encode(), np.uint8)
    chosen = symbols[bits.reshape(1 << 16, 8)[:, :_CHUNK] % len(alphabet)]
    return np.ascontiguousarray(chosen).view(np.uint32).reshape(1 << 16)


@functools.lru_cache(maxsize=4)
def _prose(key: int, length: int) -> Octets:
    words = _TEXT.split()
    picks = mixed(np.arange(length // 4), key) % np.uint64(len(words))
    text = " ".join(words[int(pick)] for pick in picks)
    return np.frombuffer(text.encode()[:length], np.uint8)
