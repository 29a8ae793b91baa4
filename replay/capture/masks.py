"""A hash of an SQL text that is blind to its literals, so that equal hashes mean equal templates.

Lexical rules: those of `sql.scanner`, PostgreSQL manual 4.1 "Lexical Structure", and scan.l. Strings
and numbers count as what they are, whatever their value; comments and white space count as a blank,
or as a line break where they hold one, because that may join two strings. Letters count as small ones.
Numbers of one or two digits behind BY keep their value: they may be positions in a list of columns.
Works on bytes of any encoding that extends ASCII. 128 bits: no two texts of a log meet by chance.
"""

import numpy as np

from replay.capture.kernels import ONE, TWO, ZERO, Bytes, Ints, Number, compiled

_STRING, _NUMBER, _BLANK, _BREAK = 1, 2, 32, 10
_NAME = np.zeros(256, np.bool_)  # bytes of names
_NAME[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789$"]] = True
_NAME[0x80:] = True
_SPACE = np.zeros(256, np.bool_)
_SPACE[[*b" \t\n\r\f\v"]] = True
_SMALL = np.arange(256, dtype=np.uint8)
_SMALL[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]] += 32
_PRIME, _OTHER_PRIME = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)
_SEED, _OTHER_SEED = np.uint64(0xCBF29CE484222325), np.uint64(0x2545F4914F6CDD1D)


@compiled
def hash_of(
    data: Bytes, at: np.uint64, end: np.uint64, literals: Ints
) -> tuple[np.uint64, np.uint64, int]:
    """The two halves of the hash of data[at:end], and how many literals it holds.

    Begin, end and kind (1 string, 2 number) of the first of them are written to the rows of
    `literals`, as many as it has.
    """
    one, other = _SEED, _OTHER_SEED
    begin = at
    count = 0
    before = _BLANK  # what the last thing was, a byte as it counts
    first, letters = 0, 0  # of the last word the first letter and the length
    depth, by_depth = 0, -1  # of brackets; where a BY stands whose list goes on
    while at < end:
        byte, start = data[at], at
        if _SPACE[byte] or _begins_comment(data, at, end):
            at, token = _after_space(data, at, end)
            if before in (_BLANK, _BREAK):
                continue
        elif byte == 39:  # '
            escapes = before == 101 and not (at >= begin + TWO and _NAME[data[at - TWO]])
            at, token = _after_string(data, at + ONE, end, escapes), _STRING
        elif byte == 34:  # "
            by_depth = depth if letters == 2 and first == 98 and before == 121 else by_depth
            letters = 0
            close = _after_name(data, at + ONE, end)
            while at < close:
                one = (one ^ np.uint64(data[at])) * _PRIME
                other = (other ^ np.uint64(data[at])) * _OTHER_PRIME
                other ^= other >> np.uint64(29)
                at += ONE
            before = 34
            continue
        elif 48 <= byte <= 57 and not _NAME[before]:
            token = _NUMBER
            while at < end and 48 <= data[at] <= 57:
                at += ONE
            if by_depth >= 0 and at - start <= TWO:
                token = 0x100 + 10 * data[start] + data[at - ONE]
        elif byte == 36 and not _NAME[before]:  # $
            close = _after_dollar_quote(data, at, end)
            token = _STRING if close > at + ONE else 36
            at = close
        else:
            token = _SMALL[byte]
            at += ONE
        if token in (_STRING, _NUMBER) or token > 0xFF:
            goes_on = before == 46 and 0 < count <= literals.shape[0]  # 1.5
            if goes_on and literals[count - 1, 1] + 1 == np.int64(start):
                literals[count - 1, 1] = at
            else:
                if count < literals.shape[0]:
                    literals[count, 0], literals[count, 1] = start, at
                    literals[count, 2] = _STRING if token == _STRING else _NUMBER
                count += 1
        if token > 0xFF:
            before = _NUMBER
        elif _NAME[token]:
            first = token if letters == 0 else first
            letters += 1
            before = token
        else:
            by_depth = depth if letters == 2 and first == 98 and before == 121 else by_depth
            letters = 0
            depth += (token == 40) - (token == 41)
            if token == 59 or depth < by_depth:  # ; and the bracket around BY's list
                by_depth = -1
            before = token
        one = (one ^ np.uint64(token)) * _PRIME
        other = (other ^ np.uint64(token)) * _OTHER_PRIME
        other ^= other >> np.uint64(29)
    return one, other, count


@compiled
def _begins_comment(data: Bytes, at: np.uint64, end: np.uint64) -> Number:
    if at + ONE >= end:
        return False
    return (data[at] == 45 and data[at + ONE] == 45) or (data[at] == 47 and data[at + ONE] == 42)


@compiled
def _after_space(data: Bytes, at: np.uint64, end: np.uint64) -> tuple[np.uint64, Number]:
    """Where white space and comments end, and what they count as."""
    token = _BLANK
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
            at = _after_comment(data, at + TWO, end)
    return at, token


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


@compiled
def _after_string(data: Bytes, at: np.uint64, end: np.uint64, escapes: bool) -> np.uint64:
    while at < end:
        if escapes and data[at] == 92:
            at += TWO
        elif data[at] != 39:
            at += ONE
        elif at + ONE < end and data[at + ONE] == 39:
            at += TWO
        else:
            return at + ONE
    return end


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
        if not _NAME[data[close]] or (close == at + ONE and 48 <= data[close] <= 57):
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
