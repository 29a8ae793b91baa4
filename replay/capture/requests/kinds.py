"""What kind of value a segment of a path is, by its form alone; compiled."""

import numpy as np

from replay.capture.kernels import ONE, Bytes, Number, compiled

WORD, INT, UUID, HEX, DATE, EMAIL, ID = range(7)

_HEX_AT_LEAST, _ID_AT_LEAST, _LONG_ID = 8, 10, 20  # letters
_EXTENSION_AT_MOST = 5
_HASH_AT_LEAST, _DIGITS_AT_LEAST = 12, 4  # letters, and digits among them, of one behind a name


@compiled
def _is_at(data: Bytes, at: Number, end: Number) -> bool:
    """Whether `@` stands there, or `%40`."""
    if data[at] == 64:
        return True
    two = at + np.uint64(2)
    return bool(data[at] == 37 and two < end and data[at + ONE] == 52 and data[two] == 48)


@compiled
def stem(data: Bytes, begin: Number, end: Number) -> Number:
    """Where a segment's extension begins, `.json` or `.pdf`; its end where it has none."""
    at = begin
    while at < end:
        if _is_at(data, at, end):  # an address of e-mail ends in a domain
            return end
        at += ONE
    while at > begin and 97 <= data[at - ONE] <= 122 and end - at <= np.uint64(_EXTENSION_AT_MOST):
        at -= ONE
    is_extension = at < end and at > begin + ONE and data[at - ONE] == 46
    return at - ONE if is_extension and end - at <= np.uint64(_EXTENSION_AT_MOST) else end


@compiled
def kind(data: Bytes, begin: Number, end: Number) -> Number:
    """What kind of value data[begin:end] is."""
    digits = upper = lower = hexes = dashes = marks = ats = others = np.int64(0)
    at = begin
    while at < end:
        byte = data[at]
        if 48 <= byte <= 57:
            digits += 1
            hexes += 1
        elif 65 <= byte <= 90:
            upper += 1
            hexes += np.int64(byte <= 70)
        elif 97 <= byte <= 122:
            lower += 1
            hexes += np.int64(byte <= 102)
        elif byte == 45:
            dashes += 1
        elif byte in (95, 61):
            marks += 1
        elif _is_at(data, at, end):
            ats += 1
        else:
            others += 1
        at += ONE
    length = np.int64(end - begin)
    if length == 0 or (digits == 0 and ats == 0):
        return 0
    if digits == length or (digits == length - 1 and data[begin] == 45):
        return 1
    if length == 36 and dashes == 4 and hexes == 32:
        return 2
    if hexes == length and length >= _HEX_AT_LEAST:
        return 3
    if length == 10 and dashes == 2 and digits == 8 and data[begin + np.uint64(4)] == 45:
        return 4
    if ats == 1 and length > 2:
        return 5
    if others:
        return 0
    if dashes and digits >= _DIGITS_AT_LEAST and _has_hash(data, begin, end):
        return 6
    return 6 if _is_id(length, digits, upper, lower, dashes) else 0


@compiled
def _has_hash(data: Bytes, begin: Number, end: Number) -> bool:
    """Whether something stands between dashes that is a hash, behind a name as in `job-3a422a9940a27f37`."""
    hexes = digits = np.int64(0)
    at = begin
    while at < end:
        byte = data[at]
        if 48 <= byte <= 57:
            hexes += 1
            digits += 1
        elif 65 <= byte <= 70 or 97 <= byte <= 102:
            hexes += 1
        elif byte == 45:
            hexes = digits = np.int64(0)
        else:  # another letter: that piece is a word
            while at < end and data[at] != 45:
                at += ONE
            hexes = digits = np.int64(0)
        if hexes >= _HASH_AT_LEAST and digits >= _DIGITS_AT_LEAST:
            return True
        at += ONE
    return False


@compiled
def _is_id(length: Number, digits: Number, upper: Number, lower: Number, dashes: Number) -> Number:
    """Whether letters and digits are mixed as in no word: Stripe's, ULIDs, base64's, nanoids."""
    if upper and lower:
        return length >= _ID_AT_LEAST and digits >= 2
    if upper:
        return length >= _ID_AT_LEAST and digits >= 2 and dashes == 0
    return length >= _LONG_ID and digits >= 4 and dashes == 0
