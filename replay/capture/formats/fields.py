"""How long a field of a prefix is at many places of a block together: numpy over windows of bytes.

-1 where it does not stand there, or no end of it is in sight: such lines are left to the pattern.
"""

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.formats.leads import LEADS
from replay.capture.formats.prefix import CLIENT, HOSTS, TEXTS, Item
from replay.capture.formats.spans import Bools, Bytes, matches, windows

_TEXT_AT_MOST = 72  # bytes: names have 63
_HOST_AT_MOST = 48  # addresses of version 6 have 45, with a zone a little more
_NUMBER_AT_MOST = 20
LOST = -1
_LOCAL = b"[local]"


Ranges = tuple[tuple[int, int], ...]
"""A class of bytes, first and last of each run of them: compared, which is faster than looked up."""

_DIGITS: Ranges = ((0x30, 0x39),)
_HEX: Ranges = (*_DIGITS, (0x61, 0x66))
_VXID: Ranges = ((0x2F, 0x39),)
_LETTERS: Ranges = ((0x41, 0x5A), (0x61, 0x7A))
_STATE: Ranges = (*_DIGITS, (0x41, 0x5A))
_HOST: Ranges = (*_LETTERS, (0x30, 0x3A), (0x2D, 0x2E), (0x5F, 0x5F), (0x25, 0x25))
_FIRST_OF_LEAD = np.isin(np.arange(256), [lead[0] for lead in LEADS])
_STAMP = np.frombuffer(b"dddd-dd-dd dd:dd:dd.ddd ", np.uint8)


def leads(buffer: Bytes, at: Ints) -> Ints:
    """Which of LEADS stands at each place; -1 for none."""
    found = np.full(len(at), -1, np.int64)
    rows = np.flatnonzero(_FIRST_OF_LEAD[buffer[at]])
    for place, lead in enumerate(LEADS):
        if not len(rows):
            break
        there = matches(buffer, at[rows], lead)
        found[rows[there]] = place
        rows = rows[~there]
    return found


def length_of(buffer: Bytes, at: Ints, item: Item, behind: Item, *, last: bool) -> Ints:
    """How long an item is at each place; -1 where it does not stand there."""
    escape = item.escape
    if not escape:
        return np.where(matches(buffer, at, item.literal), len(item.literal), LOST)
    if escape in TEXTS:
        return _text(buffer, at, behind.literal, last=last)
    if escape in HOSTS:
        return _host(buffer, at, behind.literal, port=escape == "r")
    if escape in "mts":
        return _stamp(buffer, at, millis=escape == "m")
    if escape == "c":
        return _joined(buffer, at, _HEX, b".", _HEX)
    if escape == "n":
        return _joined(buffer, at, _DIGITS, b".", _DIGITS)
    if escape == "b":
        return np.where(matches(buffer, at, CLIENT), len(CLIENT), LOST)
    if escape == "e":
        return np.where(_inside(windows(buffer, 5)[at], _STATE).all(axis=1), 5, LOST)
    if escape == "v":
        return _run(buffer, at, _VXID, at_least=0)
    if escape == "Q":
        sign = (buffer[at] == ord("-")).astype(np.int64)
        length = _run(buffer, at + sign, _DIGITS)
        return np.where(length < 0, length, length + sign)
    return _run(buffer, at, _DIGITS, at_least=0 if escape == "P" else 1)


def _inside(found: Bytes, ranges: Ranges) -> Bools:
    inside = np.zeros(found.shape, np.bool_)
    for first, last in ranges:
        inside |= (found - np.uint8(first)) <= last - first
    return inside


def _run(
    buffer: Bytes, at: Ints, ranges: Ranges, *, at_least: int = 1, at_most: int = _NUMBER_AT_MOST
) -> Ints:
    """How many bytes of a class follow; -1 where they are too few, or no end is in sight."""
    outside = ~_inside(windows(buffer, at_most)[at], ranges)
    length = outside.argmax(axis=1)
    ends = outside[np.arange(len(at)), length]
    return np.where(ends & (length >= at_least), length, LOST)


def _joined(buffer: Bytes, at: Ints, first: Ranges, joint: bytes, second: Ranges) -> Ints:
    length = _run(buffer, at, first)
    middle = at + np.maximum(length, 0)
    rest = _run(buffer, middle + 1, second)
    whole = (length >= 0) & (rest >= 0) & matches(buffer, middle, joint)
    return np.where(whole, length + 1 + rest, LOST)


def _stamp(buffer: Bytes, at: Ints, *, millis: bool) -> Ints:
    width = 23 if millis else 19
    form = np.append(_STAMP[:width], np.uint8(ord(" ")))
    found = windows(buffer, width + 1)[at]
    digits = form == ord("d")
    good = (found[:, ~digits] == form[~digits]).all(axis=1)
    good &= ((found[:, digits] - np.uint8(ord("0"))) <= 9).all(axis=1)
    zone = at + width + 1
    sign = (buffer[zone] == ord("+")) | (buffer[zone] == ord("-"))
    length = _run(buffer, zone, _LETTERS, at_most=8)
    if sign.any():
        length = np.where(sign, _run(buffer, zone + 1, _DIGITS, at_most=8) + 1, length)
        good &= ~sign | (length > 0)
    return np.where(good & (length > 0), width + 1 + length, LOST)


def _text(buffer: Bytes, at: Ints, behind: bytes, *, last: bool) -> Ints:
    """Up to the literal behind; the last text of a prefix goes up to the lead of the line."""
    if not behind:
        return np.full(len(at), LOST)
    length = _until(buffer, at, behind[0])
    if not last:
        return length
    after = at + np.maximum(length, 0)
    good = (length >= 0) & matches(buffer, after, behind)
    good[good] = leads(buffer, after[good] + len(behind)) >= 0
    rest = np.flatnonzero(~good)
    if len(rest):
        length[rest] = _to_lead(buffer, at[rest], behind)
    return length


def _until(buffer: Bytes, at: Ints, byte: int) -> Ints:
    there = windows(buffer, _TEXT_AT_MOST)[at] == byte
    length = there.argmax(axis=1)
    return np.where(there[np.arange(len(at)), length], length, LOST)


def _to_lead(buffer: Bytes, at: Ints, behind: bytes) -> Ints:
    """Up to the first of the commonest leads with the literal ahead of it."""
    room = windows(buffer, _TEXT_AT_MOST + 32)[at]
    there = (room[:, :-2] == ord(":")) & (room[:, 1:-1] == ord(" ")) & (room[:, 2:] == ord(" "))
    colon = there.argmax(axis=1)
    length = np.full(len(at), LOST)
    for lead in LEADS[:5]:
        begin = colon - (len(lead) - 3) - len(behind)
        fits = np.flatnonzero(there[np.arange(len(at)), colon] & (length < 0) & (begin >= 0))
        fits = fits[matches(buffer, at[fits] + begin[fits], behind + lead)]
        length[fits] = begin[fits]
    return length


def _host(buffer: Bytes, at: Ints, behind: bytes, *, port: bool) -> Ints:
    """An address, with its port where it has one; what is none may be an empty field."""
    host = _run(buffer, at, _HOST, at_least=0, at_most=_HOST_AT_MOST)
    if port:
        after = at + np.maximum(host, 0)
        digits = _run(buffer, after + 1, _DIGITS)
        closed = after + 1 + np.maximum(digits, 0)
        good = (host > 0) & (digits > 0)
        good &= matches(buffer, after, b"(") & matches(buffer, closed, b")")
        host = np.where(good, host + digits + 2, 0)
    elif not behind or _inside(np.frombuffer(behind[:1], np.uint8), _HOST).any():
        return np.full(len(at), LOST)
    return np.where(matches(buffer, at, _LOCAL), len(_LOCAL), host)
