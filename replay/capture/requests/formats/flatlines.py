"""JSON lines that all have the same keys in the same order, as servers write them: read by spans.

What stands between two values is the same in every line, so that lines are cut like those of any other
access log, ten times as fast as objects are made of them. A line that is not so (an escaped character, a
null, other keys) is read as JSON, by itself; which are is told exactly, by its quotes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from replay.capture.executions import Mask
from replay.capture.formats.columns import Broken, Ints
from replay.capture.formats.spans import Spans, texts
from replay.capture.requests.columns import (
    NAMED,
    TOLD,
    UNTIMED,
    Requests,
    absent_names,
    absent_texts,
    hosts_of,
    joined,
    named,
)
from replay.capture.requests.formats import cells, jsonlines
from replay.capture.requests.formats.jsonlines import NO_REQUEST, JsonLines

_QUOTE, _N = 34, 110


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
        data = np.frombuffer(block, np.uint8)
        begin, end = _lines(data)
        begins, ends = (np.zeros((len(self.fields), begin.size), np.int64) for _ in range(2))
        good = np.zeros(begin.size, np.bool_)
        bounds = np.cumsum([0, *map(len, self.literals)])
        text = np.frombuffer(b"".join(self.literals), np.uint8)
        cells.split(data, begin, end, text, bounds, begins, ends, good)
        good &= self._is_so(data, begin, end, begins, ends)
        rows = np.flatnonzero(good)
        fields = {
            name: Spans(begins[at][rows], ends[at][rows])
            for at, name in enumerate(self.fields)
            if name
        }
        found = _requests(data, begin[rows], fields, self.other.duration_unit_us)
        others = np.flatnonzero(~good & (end > begin)).tolist()
        if not others:
            return found
        return joined([found, self._others(block, begin[others].tolist(), end[others].tolist())])

    def _is_so(self, data: cells.Bytes, begin: Ints, end: Ints, begins: Ints, ends: Ints) -> Mask:
        """Which lines have this shape: nothing escaped, no other quotes, no null, nothing behind."""
        quotes = np.empty(begin.size, np.int64)
        cells.quotes(data, begin, end, quotes)
        stops = end - (data[np.maximum(end - 1, 0)] == ord("\r")) if begin.size else end
        is_so: Mask = quotes == self.quotes
        is_so &= ends[-1] + len(self.literals[-1]) == stops
        for at, literal in enumerate(self.literals[:-1]):
            if not literal.endswith(b'"'):
                is_so &= data[np.minimum(begins[at], data.size - 1)] != _N
        return is_so

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
        return found.at(place(found.begin), broken)


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


def _lines(data: cells.Bytes) -> tuple[Ints, Ints]:
    begin = np.concatenate(([0], np.flatnonzero(data == ord("\n")) + 1))
    begin = begin[begin < data.size]
    end = np.append(begin[1:] - 1, data.size - (data.size > 0 and data[-1] == ord("\n")))
    return begin, end[: begin.size]


def _requests(
    data: cells.Bytes, begin: Ints, fields: Mapping[str, Spans], duration_unit_us: int
) -> Requests:
    method, target = _asked(data, fields)
    moments = fields.get("begun") or fields["ended"]
    at_us = np.empty(begin.size, np.int64)
    cells.instants(data, moments.begin, moments.end, at_us)
    asked = (at_us >= 0) & (method.end > method.begin) & (target.end > target.begin)
    kept = np.flatnonzero(asked)
    broken = tuple(
        Broken(offset=int(begin[row]), reason=NO_REQUEST) for row in np.flatnonzero(~asked).tolist()
    )

    def number(name: str, unit: int) -> Ints:
        value = np.full(kept.size, UNTIMED, np.int64)
        if name in fields:
            cells.decimals(data, fields[name].begin[kept], fields[name].end[kept], unit, value)
        return value

    duration_us = number("duration", duration_unit_us)
    at_us = at_us[kept] - (0 if "begun" in fields else np.maximum(duration_us, 0))
    columns: dict[str, pa.Array] = {"method": named(texts(data, method.of(kept)))}
    for name in (*NAMED[1:], *TOLD[1:]):
        if name in fields:
            column = texts(data, fields[name].of(kept))
            columns[name] = named(column) if name in NAMED else column
        else:
            columns[name] = (absent_names if name in NAMED else absent_texts)(kept.size)
    columns["target"] = texts(data, target.of(kept))
    hosts = [texts(data, fields[n].of(kept)) for n in ("host", "upstream") if n in fields]
    return Requests(
        begin=begin[kept],
        at_us=at_us,
        duration_us=duration_us,
        status=np.maximum(number("status", 1), 0),
        size=np.maximum(number("size", 1), 0),
        hosts=hosts_of(hosts, columns["target"]),
        broken=broken,
        **columns,
    )


def _asked(data: cells.Bytes, fields: Mapping[str, Spans]) -> tuple[Spans, Spans]:
    if "line" not in fields:
        return fields["method"], fields["target"]
    found = np.zeros((4, len(fields["line"].begin)), np.int64)
    cells.request_lines(data, fields["line"].begin, fields["line"].end, found)
    return Spans(found[0], found[1]), Spans(found[2], found[3])
