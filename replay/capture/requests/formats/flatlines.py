"""JSON lines that all have the same keys in the same order, as servers write them: read by spans.

What stands between two values is the same in every line, so that lines are cut like those of any other
access log, ten times as fast as objects are made of them. A line that is not so (an escaped character, a
null, other keys) is read as JSON, by itself; which are is told exactly, by its quotes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import msgspec
import numpy as np

from replay.capture.formats.columns import Broken, Ints
from replay.capture.requests.columns import TEXTS, Requests, joined
from replay.capture.requests.formats import jsonlines
from replay.capture.requests.formats.cells import NO_REQUEST, NOT_SO
from replay.capture.requests.formats.cut import ROLES, Plan, broken_of, cut
from replay.capture.requests.formats.jsonlines import NO_REQUEST as NOT_ASKED
from replay.capture.requests.formats.jsonlines import JsonLines

_QUOTE = ord('"')


@dataclass(frozen=True, slots=True)
class FlatLines:
    """A request log in JSON of one shape."""

    other: JsonLines  # for lines of another
    fields: tuple[str, ...]  # our name of each key, or nothing
    literals: tuple[bytes, ...]  # ahead of each value, and behind the last
    quotes: int  # of a line

    @property
    def name(self) -> str:
        """As a person calls it."""
        return self.other.name

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Behind the last line's end."""
        return self.other.cut(chunk, whole_file=whole_file)

    def parse(self, block: memoryview) -> Requests:
        """The requests of whole lines."""
        found, odd = cut(block, _plan(self))
        no_requests = odd[:, odd[2] == NO_REQUEST]
        found = replace(found, broken=broken_of(no_requests, {NO_REQUEST: NOT_ASKED}))
        begins, ends, _ = odd[:, odd[2] == NOT_SO].tolist()
        return joined(found, self._others(block, begins, ends)) if begins else found

    def _others(self, block: memoryview, begins: Sequence[int], ends: Sequence[int]) -> Requests:
        lines = [bytes(block[at:end]) for at, end in zip(begins, ends, strict=True)]
        found = self.other.parse(memoryview(b"\n".join(lines)))
        starts = np.cumsum([0, *(len(line) + 1 for line in lines)])
        real = np.array(begins)

        def place(offsets: Ints) -> Ints:
            which = np.searchsorted(starts, offsets, "right") - 1
            placed: Ints = real[which] + offsets - starts[which]
            return placed

        broken = tuple(
            Broken(offset=int(place(np.array([one.offset]))[0]), reason=one.reason)
            for one in found.broken
        )
        return replace(found, begin=place(found.begin), broken=broken)


def recognise(head: bytes) -> FlatLines | JsonLines | None:
    """The format where the head's lines are requests in JSON; by spans where they are alike."""
    found = jsonlines.recognise(head)
    if found is None:
        return None
    first = head.lstrip().partition(b"\n")[0].rstrip(b"\r")
    try:
        record = msgspec.json.decode(first)
        literals = _literals(first, record)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return found
    of_key = {path[0]: name for name, path in found.paths if len(path) == 1}
    is_flat = len(of_key) == len(found.paths) and "query" not in of_key.values()
    if not is_flat:
        return found
    names = tuple(of_key.get(key, "") for key in record)
    return FlatLines(found, names, literals, first.count(b'"'))


def _literals(line: bytes, record: Mapping[str, object]) -> tuple[bytes, ...]:
    """What stands around the values of a line; raises ValueError where that cannot be told."""
    if not record or b"\\" in line:
        raise ValueError
    literals, at = [], 0
    for key, value in record.items():
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - a shape, no fault
        mark = f'"{key}"'.encode()
        begin = line.index(mark, at) + len(mark)
        begin += len(line[begin:]) - len(line[begin:].lstrip(b": "))
        begin += line[begin] == _QUOTE
        literals.append(line[at:begin])
        at = begin + len(value.encode()) if isinstance(value, str) else _number_end(line, begin)
    return (*literals, line[at:])


def _number_end(line: bytes, at: int) -> int:
    while line[at : at + 1] not in (b",", b"}", b" ", b""):
        at += 1
    return at


@cache
def _plan(log: FlatLines) -> Plan:
    """How its lines are cut."""
    field = {name: at for at, name in enumerate(log.fields) if name}
    roles = {name: field[name] for name in ROLES if name in field}
    roles["time"] = field["begun"] if "begun" in field else field["ended"]
    return Plan(
        literals=log.literals,
        roles=roles,
        durations=[field["duration"]] if "duration" in field else [],
        texts={name: field[name] for name in TEXTS[2:] if name in field},
        hosts=[field[name] for name in ("host", "upstream") if name in field],
        duration_unit_us=log.other.duration_unit_us,
        quotes=log.quotes,
        is_begin="begun" in field,
    )
