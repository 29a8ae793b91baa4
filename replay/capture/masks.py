"""A hash of an SQL text that is blind to its literals, so that equal hashes mean equal templates.

Lexical rules: those of `sql.scanner`, PostgreSQL manual 4.1 "Lexical Structure", and scan.l. Strings
and numbers count as what they are, whatever their value; comments and white space count as a blank,
or as a line break where they hold one that may join two strings. Letters count as small ones.
Numbers of one or two digits behind BY, or behind a comma behind it, keep their value: they may be
positions in a list of columns.
Works on bytes of any encoding that extends ASCII. 128 bits: no two texts of a log meet by chance.
"""

import numpy as np

from replay.capture.kernels import (
    ONE,
    TWO,
    ZERO,
    Bytes,
    Ints,
    Number,
    compiled,
    inlined,
)
from replay.capture.words import EIGHT, SIXTEEN, product, up_to, word_at

_STRING, _NUMBER, _BLANK, _BREAK = 1, 2, 32, 10
_IN_DOLLARS, _OPEN = 3, 4  # strings that no other joins
NAME = np.zeros(256, np.bool_)  # bytes of names
NAME[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789$"]] = True
NAME[0x80:] = True
_SPACE = np.zeros(256, np.bool_)
_SPACE[[*b" \t\n\r\f\v"]] = True
_SMALL = np.arange(256, dtype=np.uint8)
_SMALL[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]] += 32
# What a byte begins; what is 0 stands for itself.
_LETTER, _DIGIT, _DOLLAR, _WHITE, _QUOTE, _NAME_QUOTE, _COMMENT = range(1, 8)
_KIND = np.zeros(256, np.uint8)
_KIND[NAME] = _LETTER
_KIND[[*b"0123456789"]] = _DIGIT
_KIND[_SPACE] = _WHITE
_KIND[[*b"$'\"-/"]] = [_DOLLAR, _QUOTE, _NAME_QUOTE, _COMMENT, _COMMENT]
_PRIME, _OTHER_PRIME = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_SEED, _OTHER_SEED = np.uint64(0xCBF29CE484222325), np.uint64(0x2545F4914F6CDD1D)


@compiled
def hash_of(
    data: Bytes, at: np.uint64, end: np.uint64, literals: Ints, text: Bytes
) -> tuple[np.uint64, np.uint64, int]:
    """The two halves of the hash of data[at:end], and how many literals it holds.

    Begin, end and kind (1 string, 2 number) of the first of them are written to the rows of
    `literals`, as many as it has. `text` is room for the text.
    """
    size, count = folded(data, at, end, literals, text)
    one, other = exact_hash(text, ZERO, size, ZERO)
    return one, other, count


@inlined
def exact_hash(
    data: Bytes, at: np.uint64, end: np.uint64, seed: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """The two halves of a hash of data[at:end] as it is."""
    one, other = _SEED ^ (end - at), _OTHER_SEED ^ seed
    while at + SIXTEEN <= end:
        word, behind = word_at(data, at), word_at(data, at + EIGHT)
        one = product(word ^ _PRIME, behind ^ one)
        other = product(word ^ other, behind ^ _OTHER_PRIME)
        at += SIXTEEN
    if at < end:
        word, behind = up_to(data, at, end), ZERO
        if at + EIGHT < end:
            behind = up_to(data, at + EIGHT, end)
        one = product(word ^ _PRIME, behind ^ one)
        other = product(word ^ other, behind ^ _OTHER_PRIME)
    return one, other


@compiled
def folded(
    data: Bytes, at: np.uint64, end: np.uint64, literals: Ints, text: Bytes
) -> tuple[np.uint64, int]:
    """Write what data[at:end] counts as, never longer; its length, and how many literals there are."""
    begin, out = at, ZERO
    count = 0
    before = _BLANK  # what the last thing was, a byte as it counts
    depth, by_depth = 0, -1  # of brackets; where a BY stands whose list goes on
    while at < end:
        byte, start = data[at], at
        kind = _KIND[byte]
        if kind == _LETTER or (kind in (_DIGIT, _DOLLAR) and NAME[before]):
            word = out
            while at < end and NAME[data[at]]:
                text[out] = _SMALL[data[at]]
                at += ONE
                out += ONE
            is_by = out - word == TWO and text[word] == 98 and text[word + ONE] == 121
            if is_by and not NAME[before]:
                by_depth = depth
            before = int(text[out - ONE])
            continue
        if kind == _WHITE or (kind == _COMMENT and _begins_comment(data, at, end)):
            at, token = _after_space(data, at, end)
            if before in (_BLANK, _BREAK):
                continue
        elif kind == _NAME_QUOTE:
            at = _after_name(data, at + ONE, end)
            for step in range(at - start):
                text[out + step] = data[start + step]
            out += at - start
            before = 34
            continue
        elif kind in (_DIGIT, _QUOTE, _DOLLAR):
            token, keeps = _NUMBER, False
            if kind == _DIGIT:
                while at < end and 48 <= data[at] <= 57:
                    at += ONE
                keeps = bool(at < end and NAME[data[at]])  # 0x1F, 1e5
                if by_depth >= 0 and at - start <= TWO:
                    keeps = keeps or _begins_item(text, out)
            elif kind == _QUOTE:
                escapes = before == 101 and not (at >= begin + TWO and NAME[data[at - TWO]])
                at, token = _after_string(data, at + ONE, end, escapes)
            else:
                at = _after_dollar_quote(data, at, end)
                token = _IN_DOLLARS if at > start + ONE else 36
            if token != 36:
                goes_on = before == 46 and 0 < count <= literals.shape[0]  # 1.5
                if goes_on and literals[count - 1, 1] + 1 == np.int64(start):
                    literals[count - 1, 1] = at
                else:
                    if count < literals.shape[0]:
                        literals[count, 0], literals[count, 1] = start, at
                        literals[count, 2] = _NUMBER if token == _NUMBER else _STRING
                    count += 1
            if keeps:  # digits stand nowhere else but in names
                for step in range(at - start):
                    text[out + step] = data[start + step]
                out += at - start
                before = _NUMBER
                continue
        else:
            token = int(byte)
            at += ONE
            depth += (token == 40) - (token == 41)
            if token == 59 or depth < by_depth:  # ; and the bracket around BY's list
                by_depth = -1
        text[out] = token
        out += ONE
        before = token
    return out, count


@compiled
def _begins_item(text: Bytes, out: np.uint64) -> bool:
    """Whether what comes next stands behind BY or a comma."""
    if out and (text[out - ONE] == _BLANK or text[out - ONE] == _BREAK):
        out -= ONE
    if out < TWO:
        return False
    return bool(text[out - ONE] == 44 or (text[out - ONE] == 121 and text[out - TWO] == 98))


@inlined
def _begins_comment(data: Bytes, at: np.uint64, end: np.uint64) -> Number:
    if at + ONE >= end:
        return False
    return (data[at] == 45 and data[at + ONE] == 45) or (data[at] == 47 and data[at + ONE] == 42)


@inlined
def _after_space(data: Bytes, at: np.uint64, end: np.uint64) -> tuple[np.uint64, Number]:
    """Where white space and comments end, and what they count as."""
    token, in_stars = _BLANK, False
    while at < end:
        if _SPACE[data[at]]:
            if data[at] in (10, 13):
                token = _BREAK
            at += ONE
        elif not _begins_comment(data, at, end):
            break
        elif data[at] == 45:
            while at < end and data[at] not in (10, 13):
                at += ONE
        else:
            at, in_stars = _after_comment(data, at + TWO, end), True
    return at, _BLANK if in_stars else token


@compiled
def _after_comment(data: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    depth = 1
    while at < end:
        if at + ONE < end and data[at] == 47 and data[at + ONE] == 42:
            depth += 1
            at += TWO
        elif at + ONE < end and data[at] == 42 and data[at + ONE] == 47:
            depth -= 1
            at += TWO
            if depth == 0:
                return at
        else:
            at += ONE
    return end


@inlined
def _after_string(
    data: Bytes, at: np.uint64, end: np.uint64, escapes: bool
) -> tuple[np.uint64, int]:
    """Where a string ends, and what it counts as."""
    while at < end:
        if escapes and data[at] == 92:
            at += TWO
        elif data[at] != 39:
            at += ONE
        elif at + ONE < end and data[at + ONE] == 39:
            at += TWO
        else:
            return at + ONE, _STRING
    return end, _OPEN


@compiled
def _after_name(data: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    while at < end:
        if data[at] != 34:
            at += ONE
        elif at + ONE < end and data[at + ONE] == 34:
            at += TWO
        else:
            return at + ONE
    return end


@compiled
def _after_dollar_quote(data: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    """Where a quoted string ends that begins with `$tag$`; behind the dollar where none does."""
    close = at + ONE
    while close < end and data[close] != 36:
        if not NAME[data[close]] or (close == at + ONE and 48 <= data[close] <= 57):
            return at + ONE
        close += ONE
    if close >= end:
        return at + ONE
    size = close + ONE - at
    place = close + ONE
    while place + size <= end:
        same = ZERO
        while same < size and data[place + same] == data[at + same]:
            same += ONE
        if same == size:
            return place + size
        place += ONE
    return end
