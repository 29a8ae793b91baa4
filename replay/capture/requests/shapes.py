"""Shapes of paths, compiled: what tells two requests apart but for the values in their paths.

A segment that only a value can be, by its form, counts as its kind: a number, a UUID, a hash, a date,
an address of e-mail, an identifier as base64 writes it. All else counts as it is written, so that two
shapes are never one by mistake; what else is a value is told later, by how many there are (`routes`).
"""

import re
from functools import lru_cache

import numpy as np

from replay.capture.formats.texts import Spans, Texts
from replay.capture.kernels import (
    ONE,
    ZERO,
    Bytes,
    Hashes,
    as_bytes,
    compiled,
    inlined,
    place,
)
from replay.capture.requests.folds import (
    MARK,
    NAME_OWN,
    OFFSET,
    PRIME,
    SHIFT,
    Folds,
    folds,
    hash_of,
    hashed,
    is_in,
    is_value,
)
from replay.capture.requests.kinds import INT, WORD, kind, stem
from replay.capture.words import AT_ONCE, count_of_bits, find, first_of_bits, within

KINDS = ("", "{int}", "{uuid}", "{hex}", "{date}", "{email}", "{id}")
"""How a route shows a segment of each kind."""

NAME = "{name}"
"""The same of a word where words are values."""
_BLANK = place(32)
_BEHIND = re.compile(rb"[?#]")
_IN_VALUES = re.compile("[0-9@%]")  # one of these is in all that is no word


def hashes(methods: Texts, targets: Texts, known: Folds) -> tuple[Hashes, Hashes]:
    """A hash of each request's method and the shape of its path, and the same with every word in it."""
    found, worded = (np.empty(len(targets), np.uint64) for _ in range(2))
    names = methods.data, methods.begins, methods.ends
    _hashes(*names, targets.data, targets.begins, targets.ends, known, found, worded)
    return found, worded


def worded_hashes(methods: Texts, targets: Texts) -> Hashes:
    """The second of `hashes`, which no place of names changes."""
    return hashes(methods, targets, folds())[1]


def own_hash(segment: str) -> int:
    """What a segment of a route counts as."""
    if segment == NAME:
        return int(NAME_OWN)
    for kind_, name in enumerate(KINDS):
        if name and segment.startswith(name):
            return hash_of(segment[len(name) :].encode(), int(MARK) * kind_ & (1 << 64) - 1)
    return hash_of(segment.encode())


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
    if segment.isascii() and segment.isdecimal():
        return INT, len(segment)
    data = as_bytes(segment.encode())
    behind = stem(data, ZERO, place(data.size))
    return int(kind(data, ZERO, place(behind))), int(behind)


def hashes_of(texts: Texts) -> Hashes:
    """`hash_of` of each text."""
    found = np.empty(len(texts), np.uint64)
    _plain_hashes(texts.data, texts.begins, texts.ends, found)
    return found


@compiled
def _plain_hashes(data: Bytes, begins: Spans, ends: Spans, found: Hashes) -> None:
    for row in range(found.size):
        found[row] = hashed(data, place(begins[row]), place(ends[row]), OFFSET)


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
    methods: Bytes,
    first: Spans,
    behind: Spans,
    data: Bytes,
    begins: Spans,
    ends: Spans,
    known: Folds,
    found: Hashes,
    worded: Hashes,
) -> None:
    for row in range(found.size):
        begin, end = _path(data, place(begins[row]), place(ends[row]))
        value = hashed(methods, place(first[row]), place(behind[row]), OFFSET) * PRIME ^ _BLANK
        whole, base = value, begin
        slashes, digits, marks = _marked(data, begin, end)
        while begin <= end:
            ahead = begin - base
            size = first_of_bits(slashes >> ahead) if ahead < AT_ONCE else AT_ONCE
            if ahead + size >= AT_ONCE:  # what is known does not go so far
                base, ahead = begin, ZERO
                slashes, digits, marks = _marked(data, begin, end)
                size = first_of_bits(slashes)
            if size < AT_ONCE:
                inside = (ONE << size) - ONE
                numbers, odd = count_of_bits(digits >> ahead & inside), marks >> ahead & inside
            else:
                size, numbers, odd = _counted(data, begin, end)
            stop = begin + size
            own, is_word = _segment(data, begin, stop, numbers, odd, known.plain)
            whole = (whole ^ own) * PRIME
            whole ^= whole >> SHIFT
            at_names = is_word and is_in(value, known.places)
            if at_names and is_value(data, begin, stop, value, own, known):
                own = NAME_OWN
            value = (value ^ own) * PRIME
            value ^= value >> SHIFT
            begin = stop + ONE
        worded[row] = whole
        found[row] = whole if is_in(whole, known.apart) else value


@inlined
def _segment(
    data: Bytes,
    begin: np.uint64,
    stop: np.uint64,
    digits: np.uint64,
    marks: np.uint64,
    plain: Hashes,
) -> tuple[np.uint64, bool]:
    """The hash of what a segment is, and whether it is a word; some have digits, some `@` or `%`."""
    if digits | marks == ZERO:  # what is nearly every word
        return hashed(data, begin, stop, OFFSET), True
    behind, value = stop, INT
    if digits != stop - begin:
        behind = stem(data, begin, stop)
        value = kind(data, begin, behind)
    own = hashed(data, begin, stop, OFFSET)
    if value == WORD or is_in(own, plain):
        return own, True
    return hashed(data, behind, stop, MARK * place(value)), False


@inlined
def _marked(
    data: Bytes, begin: np.uint64, end: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Of sixty-four bytes which are slashes, digits, and `@` or `%`; a path ends as if with a slash."""
    left, once = end - begin, np.uint8(1)
    if begin + AT_ONCE <= place(data.size):
        slashes = within(data, begin, np.uint8(47), once)
        digits = within(data, begin, np.uint8(48), np.uint8(10))
        marks = within(data, begin, np.uint8(64), once) | within(data, begin, np.uint8(37), once)
    else:
        slashes = digits = marks = ZERO
        step = ZERO
        while step < min(left, AT_ONCE):
            byte, bit = data[begin + step], ONE << step
            slashes |= bit if byte == 47 else ZERO
            digits |= bit if 48 <= byte <= 57 else ZERO
            marks |= bit if byte in (64, 37) else ZERO
            step += ONE
    if left < AT_ONCE:
        slashes = slashes & ((ONE << left) - ONE) | ONE << left
    return slashes, digits, marks


@inlined
def _counted(
    data: Bytes, begin: np.uint64, end: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64]:
    """How long a segment is, how many digits it has, and how often `@` or `%`."""
    at, digits, marks = begin, ZERO, ZERO
    while at < end and data[at] != 47:
        digits += place(48 <= data[at] <= 57)
        marks += place(data[at] in (64, 37))
        at += ONE
    return at - begin, digits, marks
