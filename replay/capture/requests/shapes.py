"""Shapes of paths, compiled: what tells two requests apart but for the values in their paths.

A segment that only a value can be, by its form, counts as its kind: a number, a UUID, a hash, a date,
an address of e-mail, an identifier as base64 writes it. All else counts as it is written, so that two
shapes are never one by mistake; what else is a value is told later, by how many there are (`routes`).
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from replay.capture.formats.texts import Spans, Texts
from replay.capture.kernels import (
    ONE,
    ZERO,
    Bytes,
    Hashes,
    Number,
    as_bytes,
    compiled,
    inlined,
    place,
)
from replay.capture.requests.kinds import INT, WORD, kind, stem
from replay.capture.words import find

KINDS = ("", "{int}", "{uuid}", "{hex}", "{date}", "{email}", "{id}")
"""How a route shows a segment of each kind."""

_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MARK = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
_BEHIND = re.compile(rb"[?#]")
_IN_VALUES = re.compile("[0-9@%]")  # one of these is in all that is no word


def hashes(methods: Texts, targets: Texts, plain: Hashes) -> Hashes:
    """A hash of each request's method and the shape of its path; `plain`: segments kept as written."""
    found = np.empty(len(targets), np.uint64)
    of_method = hashes_of(methods)
    _hashes(targets.data, targets.begins, targets.ends, of_method, plain, found)
    return found


def path_of(target: bytes) -> str:
    """A target's path as text."""
    return parts_of(target)[0]


def parts_of(target: bytes) -> tuple[str, str]:
    """A target's path, and what follows it, as texts."""
    if not target.startswith(b"/"):
        begin, _ = _path(as_bytes(target), place(0), place(len(target)))
        target = target[int(begin) :]
    found = _BEHIND.search(target)
    end = found.start() if found else len(target)
    return target[:end].decode("utf-8", "replace"), target[end:].decode("utf-8", "replace")


def segments(path: str) -> list[str]:
    """What stands between its slashes."""
    return path.split("/")


@lru_cache(maxsize=1 << 16)
def kind_of(segment: str) -> int:
    """What kind of value a segment is; WORD where it may be a word."""
    return _told(segment)[0]


@lru_cache(maxsize=1 << 16)
def shown(segment: str) -> str:
    """A segment as a route shows it: its kind for a value, with the extension it has."""
    value, behind = _told(segment)
    if value == WORD:
        return segment
    return KINDS[value] + segment.encode()[behind:].decode("utf-8", "replace")


def _told(segment: str) -> tuple[int, int]:
    """A segment's kind, and where its extension begins."""
    if not _IN_VALUES.search(segment):
        return WORD, len(segment)
    data = as_bytes(segment.encode())
    behind = stem(data, ZERO, place(data.size))
    return int(kind(data, ZERO, place(behind))), int(behind)


def plain_words(words: Sequence[str]) -> Hashes:
    """Hashes of segments that are words, whatever they look like."""
    return np.array([hash_of(word.encode()) for word in words], np.uint64)


def hashes_of(texts: Texts) -> Hashes:
    """`hash_of` of each text."""
    found = np.empty(len(texts), np.uint64)
    _plain_hashes(texts.data, texts.begins, texts.ends, found)
    return found


def hash_of(text: bytes) -> int:
    """64 bits of a text."""
    found = int(_OFFSET)
    for byte in text:
        found = ((found ^ byte) * int(_PRIME)) & (1 << 64) - 1
    return found


@compiled
def _plain_hashes(data: Bytes, begins: Spans, ends: Spans, found: Hashes) -> None:
    for row in range(found.size):
        found[row] = hashed(data, place(begins[row]), place(ends[row]))


@inlined
def hashed(data: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    """`hash_of` of a text."""
    value = _OFFSET
    while at < end:
        value = (value ^ place(data[at])) * _PRIME
        at += ONE
    return value


@compiled
def _path(data: Bytes, at: np.uint64, end: np.uint64) -> tuple[np.uint64, np.uint64]:
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
    return at, find(data, at, find(data, at, end, 63), 35)


@compiled
def _hashes(
    data: Bytes, begins: Spans, ends: Spans, of_method: Hashes, plain: Hashes, found: Hashes
) -> None:
    for row in range(found.size):
        begin, end = _path(data, place(begins[row]), place(ends[row]))
        value = of_method[row] * _PRIME ^ place(32)
        while begin <= end:
            own, stop = _segment(data, begin, end, plain)
            value = (value ^ own) * _PRIME
            value ^= value >> _SHIFT
            begin = stop + ONE
        found[row] = value


@inlined
def _segment(
    data: Bytes, begin: np.uint64, end: np.uint64, plain: Hashes
) -> tuple[np.uint64, np.uint64]:
    """The hash of what a segment is, and where it ends."""
    stop, own = begin, _OFFSET
    digits, marks = place(0), False
    while stop < end and data[stop] != 47:
        byte = data[stop]
        own = (own ^ place(byte)) * _PRIME
        digits += place(48 <= byte <= 57)
        if byte in (64, 37):
            marks = True
        stop += ONE
    if digits == place(0) and not marks:  # what is nearly every word
        return own, stop
    behind, value = stop, INT
    if digits != stop - begin:
        behind = stem(data, begin, stop)
        value = kind(data, begin, behind)
    if value != WORD and not _is_plain(own, plain):
        own = _MARK * place(value)
        while behind < stop:
            own = (own ^ place(data[behind])) * _PRIME
            behind += ONE
    return own, stop


@compiled
def _is_plain(own: Number, plain: Hashes) -> bool:
    for word in range(plain.size):
        if plain[word] == own:
            return True
    return False
