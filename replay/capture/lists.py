"""Lists in a text whose literals count as such already, folded as `sql.fingerprint` folds them.

Only what surely has one fingerprint becomes one text: a list behind IN of nothing but literals, or of
nothing but parameters where those of the whole text come in order, and a row of VALUES that is as the
row before it. So the lengths of lists cost no fingerprint each.
"""

import numpy as np

from replay.capture.kernels import ONE, ZERO, Bytes, Number, compiled, inlined, place
from replay.capture.masks import NAME

_NESTED_AT_MOST = 100  # brackets: where more nest, no list folds
_NOWHERE = -(1 << 40)
_BLANK, _BREAK, _QUOTE, _OPENS, _CLOSES, _COMMA = 32, 10, 34, 40, 41, 44
_LITERALS_BELOW = 4
_DOLLAR, _PARAMETERS_AT_MOST = 36, 99_999
_BEFORE_WORD = np.zeros(256, np.bool_)
_BEFORE_WORD[[_BLANK, _BREAK, _OPENS, _CLOSES]] = True
_IN, _VALUES = (np.frombuffer(word, np.uint8) for word in (b"in", b"values"))


@compiled
def fold_lists(text: Bytes, size: np.uint64) -> np.uint64:
    """Fold the lists of text[:size] where they stand; says how long it is then."""
    brackets = 0
    for step in range(size):
        brackets += text[step] == _OPENS or text[step] == 91  # [
    if brackets == 0 or brackets > _NESTED_AT_MOST:
        return size
    out, listed = ZERO, ZERO  # behind the bracket that opens a list; 0 for none
    row, last, last_end = ZERO, ZERO, ZERO  # this row, and the one before it
    quoted, depth, row_depth = False, 0, _NOWHERE
    in_order = _come_in_order(text, size)
    number, number_before, at = 0, 0, ZERO  # of the last parameter, and of that ahead of a list
    while at < size:
        byte = text[at]
        if in_order and byte == _DOLLAR and not quoted and _is_numbered(text, at, size):
            number += 1  # without the gaps that folded lists leave
            out = _put_parameter(text, out, number)
            at = _behind_digits(text, at + ONE, size)
            continue
        text[out] = byte
        at += ONE
        out += ONE
        quoted ^= byte == _QUOTE
        if quoted:
            continue
        if byte == _OPENS:
            before = out - ONE
            number_before = number
            listed = out if _is_behind(text, before, _IN) else ZERO
            if _is_behind(text, before, _VALUES):
                row_depth, row, last_end = depth, before, ZERO
            elif depth == row_depth:
                row = before
                if not (last_end and _is_comma(text, last_end, before)):
                    row_depth = _NOWHERE
            depth += 1
        elif byte == _CLOSES:
            depth -= 1
            end = _behind_first(text, listed, out - ONE) if listed else ZERO
            if listed and in_order and not end:
                end = _behind_first_parameter(text, listed, out - ONE)
                number = number_before + 1 if end else number
            if end:
                text[end] = _CLOSES
                out = end + ONE
            listed = ZERO
            if depth < row_depth:
                row_depth = _NOWHERE
            elif depth == row_depth:
                if last_end and _is_same(text, last, last_end, row, out):
                    out = last_end
                else:
                    last, last_end = row, out
    return out


@compiled
def _is_behind(text: Bytes, at: np.uint64, word: Bytes) -> Number:
    """Whether a place is right behind a word, or a blank behind it."""
    if at and (text[at - ONE] == _BLANK or text[at - ONE] == _BREAK):
        at -= ONE
    size = place(word.size)
    if at < size or (at > size and not _BEFORE_WORD[text[at - size - ONE]]):
        return False
    for step in range(size):
        if text[at - size + step] != word[step]:
            return False
    return True


@compiled
def _is_comma(text: Bytes, at: np.uint64, end: np.uint64) -> Number:
    """Whether a comma stands there, and blanks perhaps."""
    commas = 0
    while at < end:
        if text[at] == _COMMA:
            commas += 1
        elif text[at] != _BLANK and text[at] != _BREAK:
            return False
        at += ONE
    return commas == 1


@compiled
def _behind_first(text: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    """Where the first of several literals ends; 0 where anything else stands among them."""
    found, is_due = ZERO, True  # a literal, and no comma
    while at < end:
        byte = text[at]
        at += ONE
        if byte in (_BLANK, _BREAK):
            continue
        if is_due != (0 < byte < _LITERALS_BELOW) or not (is_due or byte == _COMMA):
            return ZERO
        if is_due and not found:
            found = at
        is_due = not is_due
    return ZERO if is_due else found


@compiled
def _is_same(
    text: Bytes, one: np.uint64, one_end: np.uint64, other: np.uint64, other_end: np.uint64
) -> Number:
    if one_end - one != other_end - other:
        return False
    for step in range(one_end - one):
        if text[one + step] != text[other + step]:
            return False
    return True


@inlined
def _is_numbered(text: Bytes, at: np.uint64, size: np.uint64) -> Number:
    """Whether a digit follows upon a dollar sign."""
    return at + ONE < size and 48 <= text[at + ONE] <= 57


@inlined
def _behind_digits(text: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    while at < end and 48 <= text[at] <= 57:
        at += ONE
    return at


@compiled
def _come_in_order(text: Bytes, size: np.uint64) -> Number:
    """Whether the parameters are $1, $2, $3 and so on, each once."""
    quoted, wanted, at = False, 1, ZERO
    while at < size:
        quoted ^= text[at] == _QUOTE
        if quoted or text[at] != _DOLLAR or not _is_numbered(text, at, size):
            at += ONE
            continue
        if at and NAME[text[at - ONE]]:  # a$1, or nonsense
            return False
        end, number = _behind_digits(text, at + ONE, size), 0
        while at + ONE < end and number <= _PARAMETERS_AT_MOST:
            at += ONE
            number = number * 10 + int(text[at]) - 48
            if number == 0:
                return False
        if number != wanted or (end < size and NAME[text[end]]):
            return False
        wanted += 1
        at = end
    return wanted > 1


@compiled
def _put_parameter(text: Bytes, at: np.uint64, number: Number) -> np.uint64:
    """Write a parameter; says where it ends."""
    text[at] = _DOLLAR
    end, rest = at + ONE, number
    while rest:
        end += ONE
        rest //= 10
    last = end
    while number:
        last -= ONE
        text[last] = 48 + number % 10
        number //= 10
    return end


@compiled
def _behind_first_parameter(text: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    """Where the first of several parameters ends; 0 where anything else stands among them."""
    found, is_due = ZERO, True  # a parameter, and no comma
    while at < end:
        byte = text[at]
        if byte in (_BLANK, _BREAK):
            at += ONE
            continue
        if is_due != (byte == _DOLLAR) or not (is_due or byte == _COMMA):
            return ZERO
        at += ONE
        if is_due:
            behind = _behind_digits(text, at, end)
            if behind == at:
                return ZERO
            at = behind
            if not found:
                found = at
        is_due = not is_due
    return ZERO if is_due else found
