"""How long a field of a prefix is at a place of a block, compiled; -1 where it does not stand there.

A field that other spellings may write, too (an autovacuum worker's type, a padded number), is told
only in its usual one: lines that have another are left to the prefix's pattern.
"""

from enum import IntEnum

import numpy as np

from replay.capture.formats.prefix import CLIENT
from replay.capture.kernels import ONE, ZERO, Bytes, Number, compiled, place

LOST = -1


class Step(IntEnum):
    """What a step of a walk reads."""

    LITERAL = 0
    SHORT_FORM = 1  # %q: what is of no session ends here
    TEXT = 2  # up to the literal behind it
    LAST_TEXT = 3  # the same, where the line's lead follows upon that literal
    NUMBER = 4
    NUMBER_OR_NONE = 5
    SIGNED = 6
    STAMP = 7
    STAMP_MILLIS = 8
    EPOCH = 9
    SESSION = 10
    VXID = 11
    STATE = 12
    HOST = 13
    HOST_PORT = 14
    CLIENT = 15


STEP_OF = {
    **dict.fromkeys("plx", Step.NUMBER),
    **dict.fromkeys("ts", Step.STAMP),
    **dict.fromkeys("udai*", Step.TEXT),
    **dict.fromkeys("hL", Step.HOST),
    "P": Step.NUMBER_OR_NONE,
    "Q": Step.SIGNED,
    "m": Step.STAMP_MILLIS,
    "n": Step.EPOCH,
    "c": Step.SESSION,
    "v": Step.VXID,
    "e": Step.STATE,
    "r": Step.HOST_PORT,
    "b": Step.CLIENT,
    "q": Step.SHORT_FORM,
}
_DIGIT, _HEX, _VXID, _LETTER, _STATE, _HOST = 1, 2, 4, 8, 16, 32


def _classes() -> Bytes:
    digits, small = b"0123456789", bytes(range(ord("a"), ord("z") + 1))
    members = {
        _DIGIT: digits,
        _HEX: digits + b"abcdef",
        _VXID: digits + b"/",
        _LETTER: small + small.upper(),
        _STATE: digits + small.upper(),
        _HOST: digits + small + small.upper() + b"_.:%-",
    }
    classes = np.zeros(256, np.uint8)
    for bit, its in members.items():
        classes[np.frombuffer(its, np.uint8)] |= bit
    return classes


CLASSES = _classes()
"""Which classes a byte is of."""
_FORM = np.frombuffer(b"dddd-dd-dd dd:dd:dd.ddd ", np.uint8)
_LOCAL = np.frombuffer(b"[local]", np.uint8)
_CLIENT = np.frombuffer(CLIENT, np.uint8)
_SECONDS, _MILLIS = place(19), place(23)  # bytes of a time
_STATE_SIZE, _LOCAL_SIZE, _CLIENT_SIZE = place(5), place(_LOCAL.size), place(_CLIENT.size)


def in_host(byte: int) -> bool:
    """Whether an address may have that byte."""
    return bool(CLASSES[byte] & _HOST)


@compiled
def stands(data: Bytes, at: Number, end: Number, words: Bytes, begin: Number, stop: Number) -> bool:
    """Whether words[begin:stop] stands there."""
    if at + (stop - begin) > end:
        return False
    while begin < stop:
        if data[at] != words[begin]:
            return False
        at += ONE
        begin += ONE
    return True


@compiled
def run(data: Bytes, at: Number, end: Number, wanted: Number) -> Number:
    """How many bytes of a class follow."""
    begin = at
    while at < end and CLASSES[data[at]] & wanted:
        at += ONE
    return np.int64(at - begin)


@compiled
def until(data: Bytes, at: Number, end: Number, byte: Number, at_most: Number) -> Number:
    """How many bytes stand ahead of the first such byte of the line; -1 where there is none."""
    begin = at
    while at < end and np.int64(at - begin) <= at_most:
        if data[at] == byte:
            return np.int64(at - begin)
        if data[at] == 10:
            return LOST
        at += ONE
    return LOST


@compiled
def length_of(step: Number, data: Bytes, at: Number, end: Number) -> Number:
    """How long the field is that a step reads there: all but literals and texts."""
    if step == Step.NUMBER:
        length = run(data, at, end, _DIGIT)
        return length or LOST
    if step == Step.SIGNED:
        sign = np.int64(at < end and data[at] == 45)
        length = run(data, at + np.uint64(sign), end, _DIGIT)
        return length + sign if length else LOST
    if step in (Step.STAMP, Step.STAMP_MILLIS):
        return _stamp(data, at, end, _MILLIS if step == Step.STAMP_MILLIS else _SECONDS)
    if step == Step.SESSION:
        return _joined(data, at, end, _HEX)
    if step == Step.NUMBER_OR_NONE:
        return run(data, at, end, _DIGIT)
    if step == Step.EPOCH:
        return _joined(data, at, end, _DIGIT)
    if step == Step.VXID:
        return run(data, at, end, _VXID)
    if step == Step.STATE:
        return 5 if run(data, at, min(end, at + _STATE_SIZE), _STATE) == 5 else LOST
    if step == Step.CLIENT:
        return _CLIENT.size if stands(data, at, end, _CLIENT, ZERO, _CLIENT_SIZE) else LOST
    return _host(data, at, end, step == Step.HOST_PORT)


@compiled
def _joined(data: Bytes, at: Number, end: Number, wanted: Number) -> Number:
    """Two runs of a class with a point between."""
    length = run(data, at, end, wanted)
    joint = at + np.uint64(length)
    if not length or joint >= end or data[joint] != 46:
        return LOST
    rest = run(data, joint + ONE, end, wanted)
    return length + 1 + rest if rest else LOST


@compiled
def _stamp(data: Bytes, at: Number, end: Number, width: Number) -> Number:
    """A time of so many bytes, a blank, and its zone."""
    zone = at + width + ONE
    if zone >= end or data[at + width] != 32:
        return LOST
    for step in range(width):
        form = _FORM[step]
        if form == 100:  # d
            if data[at + step] - np.uint8(48) > 9:
                return LOST
        elif data[at + step] != form:
            return LOST
    if data[zone] in (43, 45):
        length = run(data, zone + ONE, end, _DIGIT)
        size = length + 1 if length else 0
    else:
        size = run(data, zone, end, _LETTER)
    return np.int64(width) + 1 + size if size else LOST


@compiled
def _host(data: Bytes, at: Number, end: Number, with_port: Number) -> Number:
    """An address, with its port where it has one; what is none may be an empty field."""
    if stands(data, at, end, _LOCAL, ZERO, _LOCAL_SIZE):
        return _LOCAL.size
    length = run(data, at, end, _HOST)
    if not with_port:
        return length
    joint = at + np.uint64(length)
    if not length or joint >= end or data[joint] != 40:
        return 0
    digits = run(data, joint + ONE, end, _DIGIT)
    closed = joint + ONE + np.uint64(digits)
    return length + digits + 2 if digits and closed < end and data[closed] == 41 else 0
