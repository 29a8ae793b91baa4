"""Reads the prefixes of all lines of a block together: numpy walks over them item by item.

A field of free text ends where the literal behind it first begins. That is the pattern's shortest
match, so where the walk reaches a line's text it has found what the pattern would; the lines it
does not get through (an application named with spaces, or no prefix at all) are left to the pattern.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replay.capture.formats.columns import Ints
from replay.capture.formats.fields import LOST, leads, length_of
from replay.capture.formats.leads import LEADS, PLACE
from replay.capture.formats.prefix import HEAD_AT_MOST, Item, Prefix
from replay.capture.formats.spans import Bytes, Spans

_LENGTHS = np.array([len(lead) for lead in LEADS])


@dataclass(frozen=True, slots=True)
class Heads:
    """What stands ahead of the text of each line."""

    lead: npt.NDArray[np.int64]  # place in LEADS; -1 where a line has no prefix
    text: Ints  # where the text begins
    fields: dict[str, Spans]  # by escape


def heads(raw: bytes, buffer: Bytes, lines: Spans, prefix: Prefix) -> Heads:
    """The heads of lines; `buffer` is `raw`, of which PADDING may be more than its lines."""
    count = len(lines.begin)
    found = Heads(
        np.full(count, -1, np.int64),
        lines.begin.copy(),
        {
            name: Spans(np.zeros(count, np.int64), np.zeros(count, np.int64))
            for name in prefix.escapes
        },
    )
    _walk(buffer, lines, prefix, found)
    _match(raw, lines, prefix, found)
    return found


def _match(raw: bytes, lines: Spans, prefix: Prefix, found: Heads) -> None:
    """By the pattern what the walk has not reached, or only beyond the line's end."""
    match = prefix.pattern.match
    lost = np.flatnonzero((found.lead < 0) | (found.text > lines.end))
    found.lead[lost] = LOST
    found.text[lost] = lines.begin[lost]
    limits = np.minimum(lines.end, lines.begin + HEAD_AT_MOST)
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


def _walk(buffer: Bytes, lines: Spans, prefix: Prefix, found: Heads) -> None:
    items = prefix.items
    if any(item.padded for item in items):
        return
    rows, at, seen = np.arange(len(lines.begin)), lines.begin, set[str]()
    for place, item in enumerate(items):
        if item.escape == "q":
            lead = leads(buffer, at)
            _arrive(found, rows, at, lead)
            going = lead < 0
            rows, at = rows[going], at[going]
            continue
        behind = items[place + 1] if place + 1 < len(items) else Item()
        length = length_of(buffer, at, item, behind, last=place + 2 >= len(items))
        going = length >= 0
        if not going.all():
            rows, at, length = rows[going], at[going], length[going]
        if item.escape and item.escape not in seen:
            seen.add(item.escape)
            field = found.fields[item.escape]
            field.begin[rows], field.end[rows] = at, at + length
        at = at + length
    _arrive(found, rows, at, leads(buffer, at))


def _arrive(found: Heads, rows: Ints, at: Ints, lead: Ints) -> None:
    there = lead >= 0
    found.lead[rows[there]] = lead[there]
    found.text[rows[there]] = at[there] + _LENGTHS[lead[there]]
