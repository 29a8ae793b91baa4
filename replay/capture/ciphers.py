"""Keyed tokens of words of letters and digits, compiled: a capture makes tens of thousands.

The keyed function is SipHash-2-4 (Aumasson, Bernstein 2012). Words whose letters and digits stand in
the same places are permuted among themselves by a Feistel network of its outputs (Luby, Rackoff 1988)
that is walked until it lands in the domain (Black, Rogaway 2002), so that distinct words stay
distinct; where there are more such words than 2**48, letters are drawn one by one: collisions are out
of reach.
"""

import numpy as np

from replay.capture.kernels import ONE, Hashes, Ints, Mask, Number, compiled, place

_ROUNDS = 4
_HEX_AT_LEAST = 8  # letters of a word that is taken for a hash, if none is beyond f
_INIT = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_I0, _I1, _I2, _I3 = map(place, _INIT)
_FINAL, _LENGTH = place(0xFF), place(16 << 56)
_ZERO_DIGIT, _ONE_DIGIT, _SMALL_A = 48, 49, 97


def token_of(word: str, key: tuple[np.uint64, np.uint64]) -> str:
    """The token of a word of letters and digits; see Tokens.word."""
    lower = word.lower()
    if len(lower) != len(word):
        lower = word  # a letter that has no single small one
    letters = np.fromiter(map(ord, lower), np.int64, len(word))
    upper = np.fromiter(map(str.isupper, word), np.bool_, len(word))
    base, choices = np.empty(len(word), np.int64), np.empty(len(word), np.uint64)
    tokenise(letters, upper, base, choices, *key)
    return "".join(map(chr, letters.tolist()))


@compiled
def tokenise(
    letters: Ints, upper: Mask, base: Ints, choices: Hashes, key: np.uint64, other_key: np.uint64
) -> None:
    """Put a word's token in the place of its letters, which are small ones; `upper` says which were not.

    `base` and `choices` are room for as many letters.
    """
    count = letters.size
    is_number, is_hash = True, count >= _HEX_AT_LEAST
    for at in range(count):
        is_number &= letters[at] < 58
        is_hash &= letters[at] <= 102
    size, domain, tweak, number = ONE, 1.0, place_of(count), place_of(0)
    for at in range(count):
        letter = letters[at]
        base[at], choices[at] = _alphabet(letter, is_hash)
        if is_number and at == 0:  # no number gains or loses a leading zero
            base[at] = _ZERO_DIGIT if letter == _ZERO_DIGIT else _ONE_DIGIT
            choices[at] = np.uint64(1 if letter == _ZERO_DIGIT else 9)
        tweak = drawn(tweak, np.uint64(base[at]) << np.uint64(8) | choices[at], key, other_key)
        domain *= choices[at]
        if domain <= 2.0**48:
            size *= choices[at]
            place = np.uint64((letter - base[at]) % np.int64(choices[at]))
            number = number * choices[at] + place
    if domain <= 2.0**48:
        if size > ONE:
            before = _walk(number, size, tweak, key, other_key, True)
            number = _walk((before + ONE) % size, size, tweak, key, other_key, False)
        for step in range(count):
            at = count - 1 - step
            letters[at] = _cased(base[at] + np.int64(number % choices[at]), upper[at])
            number //= choices[at]
        return
    whole = tweak
    for at in range(count):
        whole = drawn(whole, np.uint64(letters[at]), key, other_key)
    for at in range(count):
        draw = drawn(whole, np.uint64(at), key, other_key) % choices[at]
        letters[at] = _cased(base[at] + np.int64(draw), upper[at])


@compiled
def _alphabet(letter: Number, is_hash: bool) -> tuple[Number, np.uint64]:
    """Where the alphabet of a small letter or digit begins, and how many it has.

    Letters beyond ASCII become others of the same length in UTF-8.
    """
    if letter < 58:
        return _ZERO_DIGIT, np.uint64(10)
    if letter < 0x80:
        return _SMALL_A, np.uint64(6 if is_hash else 26)
    if letter < 0x800:
        return 0x430, np.uint64(32)
    if letter < 0x10000:
        return 0x4E00, np.uint64(0x51A6)
    return 0x20000, np.uint64(0xA6D7)


@compiled
def _cased(letter: Number, upper: bool) -> Number:
    """The letter, large where that is asked for and there is one: Latin and Cyrillic ones are 32 before."""
    has_case = _SMALL_A <= letter < 123 or 0x430 <= letter < 0x450
    return letter - 32 if upper and has_case else letter


@compiled
def place_of(number: Number) -> np.uint64:
    """The number, unsigned."""
    return np.uint64(number)


@compiled
def _walk(
    number: np.uint64,
    size: np.uint64,
    tweak: np.uint64,
    key: np.uint64,
    other_key: np.uint64,
    back: bool,
) -> np.uint64:
    """The network, its rounds in that direction, until the number is below `size` again."""
    bits = 1
    while bits < 64 and (size - ONE) >> np.uint64(bits) > 0:
        bits += 1
    low = np.uint64((bits + 1) // 2)
    low_mask = (ONE << low) - ONE
    high_mask = (ONE << (np.uint64(bits) - low)) - ONE
    while True:
        left, right = number >> low, number & low_mask
        for step in range(_ROUNDS):
            turn = _ROUNDS - 1 - step if back else step
            if turn % 2:
                half = left << np.uint64(2) | np.uint64(turn)
                right ^= drawn(tweak, half, key, other_key) & low_mask
            else:
                half = right << np.uint64(2) | np.uint64(turn)
                left ^= drawn(tweak, half, key, other_key) & high_mask
        number = left << low | right
        if number < size:
            return number


@compiled
def drawn(one: np.uint64, other: np.uint64, key: np.uint64, other_key: np.uint64) -> np.uint64:
    """SipHash-2-4 of two words under a key of two."""
    a, b, c, d = key ^ _I0, other_key ^ _I1, key ^ _I2, other_key ^ _I3
    for word in (one, other, _LENGTH):
        d ^= word
        a, b, c, d = _mixed(a, b, c, d)
        a, b, c, d = _mixed(a, b, c, d)
        a ^= word
    c ^= _FINAL
    for _ in range(4):
        a, b, c, d = _mixed(a, b, c, d)
    return a ^ b ^ c ^ d


@compiled
def _mixed(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """One SipRound."""
    a += b
    b = _turned(b, np.uint64(13)) ^ a
    a = _turned(a, np.uint64(32))
    c += d
    d = _turned(d, np.uint64(16)) ^ c
    a += d
    d = _turned(d, np.uint64(21)) ^ a
    c += b
    b = _turned(b, np.uint64(17)) ^ c
    c = _turned(c, np.uint64(32))
    return a, b, c, d


@compiled
def _turned(word: np.uint64, bits: np.uint64) -> np.uint64:
    return word << bits | word >> (np.uint64(64) - bits)
