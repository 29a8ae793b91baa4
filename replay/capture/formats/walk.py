"""Reads the prefixes of all lines of a block together: a prefix is a program of steps, run compiled.

A field of free text ends where the literal behind it first begins. That is the pattern's shortest
match, so where the walk reaches a line's text it has found what the pattern would; the lines it
does not get through (an application named with spaces, or no prefix at all) are left to the pattern.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from replay.capture.formats.columns import Ints
from replay.capture.formats.fields import LOST, STEP_OF, Step, in_host, length_of, stands, until
from replay.capture.formats.leads import LEADS, PLACE
from replay.capture.formats.prefix import HEAD_AT_MOST, TEXT_AT_MOST, Item, Prefix
from replay.capture.formats.spans import Spans
from replay.capture.kernels import ONE, Bytes, Number, compiled


@dataclass(frozen=True, slots=True)
class Heads:
    """What stands ahead of the text of each line."""

    lead: npt.NDArray[np.int64]  # place in LEADS; -1 where a line has no prefix
    text: Ints  # where the text begins
    fields: dict[str, Spans]  # by escape


def heads(raw: memoryview, buffer: Bytes, lines: Spans, prefix: Prefix) -> Heads:
    """The heads of lines; `buffer` is `raw`."""
    names = tuple(dict.fromkeys(prefix.escapes))
    count = len(lines.begin)
    lead, text = np.full(count, LOST, np.int64), lines.begin.copy()
    spans = np.zeros((2, len(names), count), np.int64)
    limits = np.minimum(lines.end, lines.begin + HEAD_AT_MOST)
    steps, literals = _program(prefix)
    if len(steps):
        _walk(buffer, lines.begin, limits, steps, literals, *_LEADS, lead, text, *spans)
    fields = {name: Spans(*spans[:, at]) for at, name in enumerate(names)}
    found = Heads(lead, text, fields)
    _match(raw, lines, limits, prefix, found)
    return found


def _match(raw: memoryview, lines: Spans, limits: Ints, prefix: Prefix, found: Heads) -> None:
    """By the pattern what the walk has not reached."""
    match = prefix.pattern.match
    lost = np.flatnonzero(found.lead < 0)
    ways = zip(lost.tolist(), lines.begin[lost].tolist(), limits[lost].tolist(), strict=True)
    matched = [(row, its) for row, begin, end in ways if (its := match(raw, begin, end))]
    if not matched:
        return
    rows = np.array([row for row, _ in matched])
    spans = np.maximum([its.regs for _, its in matched], 0)
    found.lead[rows] = [PLACE[its["lead"]] for _, its in matched]
    found.text[rows] = spans[:, 0, 1]
    for group, name in reversed(list(enumerate(prefix.escapes, 1))):
        found.fields[name].begin[rows], found.fields[name].end[rows] = spans[:, group].T


@cache
def _program(prefix: Prefix) -> tuple[Ints, Bytes]:
    """A step per row (what, field or -1, literal's begin and end, bytes at most), and the literals.

    Empty for a prefix that cannot be walked: padded fields, or a text with nothing behind it.
    """
    items = prefix.items
    names = tuple(dict.fromkeys(prefix.escapes))
    rows, literals, seen = [], b"", set[str]()
    for place, item in enumerate(items):
        behind = items[place + 1] if place + 1 < len(items) else Item()
        step = STEP_OF[item.escape] if item.escape else Step.LITERAL
        if item.padded or not _ends(step, behind.literal):
            return np.zeros((0, 5), np.int64), np.zeros(0, np.uint8)
        if step == Step.TEXT and place + 2 >= len(items):
            step = Step.LAST_TEXT
        field = names.index(item.escape) if item.escape in names and item.escape not in seen else -1
        seen.add(item.escape)
        literal = behind.literal if step in (Step.TEXT, Step.LAST_TEXT) else item.literal
        begin = len(literals)
        literals += literal
        rows.append((step, field, begin, len(literals), TEXT_AT_MOST.get(item.escape, 0)))
    return np.array(rows, np.int64).reshape(-1, 5), np.frombuffer(literals, np.uint8)


def _ends(step: Step, behind: bytes) -> bool:
    """Whether what stands behind a field tells its end."""
    if step == Step.TEXT:
        return bool(behind)
    return step != Step.HOST or (bool(behind) and not in_host(behind[0]))


def _words() -> tuple[Bytes, Ints]:
    ends = np.cumsum([0, *map(len, LEADS)])
    return np.frombuffer(b"".join(LEADS), np.uint8), ends


_LEADS = _words()


@compiled
def _walk(
    data: Bytes,
    begin: Ints,
    limits: Ints,
    steps: Ints,
    literals: Bytes,
    words: Bytes,
    word_at: Ints,
    lead: Ints,
    text: Ints,
    begins: Ints,
    ends: Ints,
) -> None:
    for row in range(begin.size):
        at, end = np.uint64(begin[row]), np.uint64(limits[row])
        found = LOST
        for place in range(steps.shape[0]):
            step, field = steps[place, 0], steps[place, 1]
            if step == Step.SHORT_FORM:
                found = _lead(data, at, end, words, word_at)
                if found >= 0:
                    break
                continue
            first, stop = np.uint64(steps[place, 2]), np.uint64(steps[place, 3])
            if step == Step.LITERAL:
                there = stands(data, at, end, literals, first, stop)
                length = np.int64(stop - first) if there else LOST
            elif step == Step.TEXT:
                length = until(data, at, end, literals[first], steps[place, 4])
            elif step == Step.LAST_TEXT:
                length = _to_lead(
                    data, at, end, literals, first, stop, steps[place, 4], words, word_at
                )
            else:
                length = length_of(step, data, at, end)
            if length < 0:
                found = -2
                break
            if field >= 0:
                begins[field, row], ends[field, row] = at, at + np.uint64(length)
            at += np.uint64(length)
        if found == LOST:
            found = _lead(data, at, end, words, word_at)
        if found >= 0:
            lead[row] = found
            text[row] = at + np.uint64(word_at[found + 1] - word_at[found])


@compiled
def _lead(data: Bytes, at: Number, end: Number, words: Bytes, word_at: Ints) -> Number:
    """Which of LEADS stands there; -1 for none."""
    if at >= end:
        return LOST
    for place in range(word_at.size - 1):
        begin = np.uint64(word_at[place])
        if words[begin] == data[at] and stands(
            data, at, end, words, begin, np.uint64(word_at[place + 1])
        ):
            return place
    return LOST


@compiled
def _to_lead(
    data: Bytes,
    at: Number,
    end: Number,
    literals: Bytes,
    first: Number,
    stop: Number,
    at_most: Number,
    words: Bytes,
    word_at: Ints,
) -> Number:
    """How many bytes stand ahead of the first such literal upon which a lead follows; -1 for none."""
    begin = at
    while True:
        length = until(data, at, end, literals[first], at_most - np.int64(at - begin))
        if length < 0:
            return LOST
        at += np.uint64(length)
        if (
            stands(data, at, end, literals, first, stop)
            and _lead(data, at + (stop - first), end, words, word_at) >= 0
        ):
            return np.int64(at - begin)
        at += ONE
