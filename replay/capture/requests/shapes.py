"""Shapes of paths, compiled: what tells two requests apart but for the values in their paths.

A segment that only a value can be, by its form, counts as its kind: a number, a UUID, a hash, a date,
an address of e-mail, an identifier as base64 writes it. All else counts as it is written, so that two
shapes are never one by mistake; what else is a value is told later, by how many there are (`routes`).
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

from replay.capture.kernels import ONE, Bytes, Hashes, Ints, Number, compiled

WORD, INT, UUID, HEX, DATE, EMAIL, ID = range(7)
KINDS = ("", "{int}", "{uuid}", "{hex}", "{date}", "{email}", "{id}")
"""How a route shows a segment of each kind."""

_HEX_AT_LEAST, _ID_AT_LEAST, _LONG_ID = 8, 10, 20  # letters
_EXTENSION_AT_MOST = 5
_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MARK = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
_BEHIND = re.compile(rb"[?#]")


def hashes(methods: pa.DictionaryArray, targets: pa.BinaryArray, plain: Hashes) -> Hashes:
    """A hash of each request's method and the shape of its path; `plain`: segments kept as written."""
    data, at = _buffer(targets)
    of_method = np.array(
        [hash_of(method) for method in methods.dictionary.to_pylist()] or [0], np.uint64
    )
    found = np.empty(len(targets), np.uint64)
    _hashes(data, at, of_method[methods.indices.to_numpy()], plain, found)
    return found


def paths(targets: pa.BinaryArray) -> tuple[Ints, Ints]:
    """Where each target's path begins and ends in it: without scheme, host, query and fragment."""
    data, at = _buffer(targets)
    begins, ends = (np.empty(len(targets), np.int64) for _ in range(2))
    _paths(data, at, begins, ends)
    return begins, ends


def path_of(target: bytes) -> str:
    """A target's path as text."""
    return parts_of(target)[0]


def parts_of(target: bytes) -> tuple[str, str]:
    """A target's path, and what follows it, as texts."""
    if not target.startswith(b"/"):
        begins, _ = paths(column([target]))
        target = target[begins[0] :]
    found = _BEHIND.search(target)
    end = found.start() if found else len(target)
    return target[:end].decode("utf-8", "replace"), target[end:].decode("utf-8", "replace")


def segments(path: str) -> list[str]:
    """What stands between its slashes."""
    return path.split("/")


@lru_cache(maxsize=1 << 16)
def kind_of(segment: str) -> int:
    """What kind of value a segment is; WORD where it may be a word."""
    data = np.frombuffer(segment.encode(), np.uint8)
    return int(
        _kind(data, np.uint64(0), np.uint64(_stem(data, np.uint64(0), np.uint64(data.size))))
    )


@lru_cache(maxsize=1 << 16)
def shown(segment: str) -> str:
    """A segment as a route shows it: its kind for a value, with the extension it has."""
    kind = kind_of(segment)
    if kind == WORD:
        return segment
    data = np.frombuffer(segment.encode(), np.uint8)
    stem = int(_stem(data, np.uint64(0), np.uint64(data.size)))
    return KINDS[kind] + data[stem:].tobytes().decode("utf-8", "replace")


def plain_words(words: Sequence[str]) -> Hashes:
    """Hashes of segments that are words, whatever they look like."""
    return np.array([hash_of(word.encode()) for word in words], np.uint64)


def column(targets: Sequence[bytes]) -> pa.BinaryArray:
    """Targets as a column."""
    return pa.array(targets, pa.binary())


def _buffer(texts: pa.BinaryArray) -> tuple[Bytes, Ints]:
    _, offsets, data = texts.buffers()
    at = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data or b"", np.uint8), at.astype(np.int64)


def hashes_of(texts: pa.BinaryArray) -> Hashes:
    """`hash_of` of each text."""
    data, at = _buffer(texts)
    found = np.empty(len(texts), np.uint64)
    _plain_hashes(data, at, found)
    return found


def hash_of(text: bytes) -> int:
    """64 bits of a text."""
    found = int(_OFFSET)
    for byte in text:
        found = ((found ^ byte) * int(_PRIME)) & (1 << 64) - 1
    return found


@compiled
def _plain_hashes(data: Bytes, at: Ints, found: Hashes) -> None:
    for row in range(found.size):
        place, end = np.uint64(at[row]), np.uint64(at[row + 1])
        value = _OFFSET
        while place < end:
            value = (value ^ np.uint64(data[place])) * _PRIME
            place += ONE
        found[row] = value


@compiled
def _paths(data: Bytes, at: Ints, begins: Ints, ends: Ints) -> None:
    for row in range(begins.size):
        begin, end = np.uint64(at[row]), np.uint64(at[row + 1])
        path, stop = _path(data, begin, end)
        begins[row], ends[row] = path - begin, stop - begin


@compiled
def _path(data: Bytes, at: Number, end: Number) -> tuple[Number, Number]:
    """Begin and end of a target's path."""
    if at < end and data[at] != 47:  # http://host/path, as proxies are asked
        colon = at
        while colon < end and (97 <= data[colon] | 32 <= 122):
            colon += ONE
        two = colon + np.uint64(2)
        if two < end and data[colon] == 58 and data[colon + ONE] == 47 and data[two] == 47:
            at = two + ONE
            while at < end and data[at] not in (47, 63):
                at += ONE
    stop = at
    while stop < end and data[stop] not in (63, 35):
        stop += ONE
    return at, stop


@compiled
def _hashes(data: Bytes, at: Ints, of_method: Hashes, plain: Hashes, found: Hashes) -> None:
    for row in range(found.size):
        begin, end = _path(data, np.uint64(at[row]), np.uint64(at[row + 1]))
        value = of_method[row] * _PRIME ^ np.uint64(32)
        while begin <= end:
            stop = begin
            own = _OFFSET
            while stop < end and data[stop] != 47:
                own = (own ^ np.uint64(data[stop])) * _PRIME
                stop += ONE
            stem = _stem(data, begin, stop)
            kind = _kind(data, begin, stem)
            if kind != 0 and not _is_plain(own, plain):
                own = _MARK * np.uint64(kind)
                while stem < stop:
                    own = (own ^ np.uint64(data[stem])) * _PRIME
                    stem += ONE
            value = (value ^ own) * _PRIME
            value ^= value >> _SHIFT
            begin = stop + ONE
        found[row] = value


@compiled
def _is_plain(own: Number, plain: Hashes) -> bool:
    for place in range(plain.size):
        if plain[place] == own:
            return True
    return False


@compiled
def _is_at(data: Bytes, at: Number, end: Number) -> bool:
    """Whether `@` stands there, or `%40`."""
    if data[at] == 64:
        return True
    two = at + np.uint64(2)
    return bool(data[at] == 37 and two < end and data[at + ONE] == 52 and data[two] == 48)


@compiled
def _stem(data: Bytes, begin: Number, end: Number) -> Number:
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
def _kind(data: Bytes, begin: Number, end: Number) -> Number:
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
    return 6 if others == 0 and _is_id(length, digits, upper, lower, dashes) else 0


@compiled
def _is_id(length: Number, digits: Number, upper: Number, lower: Number, dashes: Number) -> Number:
    """Whether letters and digits are mixed as in no word: Stripe's, ULIDs, base64's, nanoids."""
    if upper and lower:
        return length >= _ID_AT_LEAST and digits >= 2
    if upper:
        return length >= _ID_AT_LEAST and digits >= 2 and dashes == 0
    return length >= _LONG_ID and digits >= 4 and dashes == 0
