"""Lists in a text whose literals count as such already, folded as `sql.fingerprint` folds them.

Only what surely has one fingerprint becomes one text: a list behind IN of nothing but literals, and a
row of VALUES that is as the row before it. So the lengths of lists cost no fingerprint each.
"""

import numpy as np

from replay.capture.kernels import ONE, ZERO, Bytes, Number, compiled, place

_NESTED_AT_MOST = 100  # brackets: where more nest, no list folds
_NOWHERE = -(1 << 40)
_BLANK, _BREAK, _QUOTE, _OPENS, _CLOSES, _COMMA = 32, 10, 34, 40, 41, 44
_LITERALS_BELOW = 4
_BEFORE_WORD = np.zeros(256, np.bool_)
_BEFORE_WORD[[_BLANK, _BREAK, _OPENS, _CLOSES]] = True
_IN, _VALUES = (np.frombuffer(word, np.uint8) for word in (b"in", b"values"))


@compiled
def fold_lists(text: Bytes, size: np.uint64) -> np.uint64:
    """Fold the lists of text[:size] where they stand; says how long it is then."""
    brackets = 0
    for at in range(size):
        brackets += text[at] == _OPENS or text[at] == 91  # [
    if brackets == 0 or brackets > _NESTED_AT_MOST:
        return size
    out, listed = ZERO, ZERO  # behind the bracket that opens a list; 0 for none
    row, last, last_end = ZERO, ZERO, ZERO  # this row, and the one before it
    quoted, depth, row_depth = False, 0, _NOWHERE
    for at in range(size):
        byte = text[at]
        text[out] = byte
        out += ONE
        quoted ^= byte == _QUOTE
        if quoted:
            continue
        if byte == _OPENS:
            before = out - ONE
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
