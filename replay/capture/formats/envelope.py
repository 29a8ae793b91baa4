"""Logs of the clouds: a stderr log whose lines come one by one in envelopes of the cloud's own.

A wrapping takes what is in a block out of its envelopes; that is a stderr log, which `stderr` reads,
and what it says of places is told again in those of the block.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import msgspec
import numpy as np
import pyarrow as pa

from replay.capture.formats.columns import TEXTS, Broken, Columns, Hints
from replay.capture.formats.stderr import Stderr, known, made

_TAIL = 1 << 16  # bytes at a chunk's end that are first searched for a record's begin


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one envelope holds; no dataclass, because one is made for every event."""

    begin: int  # of the envelope in the block
    text: bytes  # a line of the log or several
    stamp: str = ""  # the cloud's own; empty: it has none
    pid: int = 0
    sqlstate: bytes = b""
    backend_type: bytes = b""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The events of a block, and what in it is none."""

    events: list[Event] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


class Wrapping(Protocol):
    """One kind of envelope; without state, and can be pickled."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def begins(self) -> re.Pattern[bytes]:
        """Matches where an envelope may begin, at the start of a line."""

    @property
    def splits_lines(self) -> bool:
        """Whether further lines of a text come as events of their own, without a sign of it."""

    @property
    def is_finer(self) -> bool:
        """Whether its times are the server's own, with milliseconds."""

    def unwrap(self, block: bytes) -> Unwrapped:
        """The events of a block that begins with an envelope; the last one may be cut off."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """Reads a stderr log that comes in envelopes."""

    wrapping: Wrapping
    inner: Stderr

    @property
    def name(self) -> str:
        """The cloud, and the log in its envelopes."""
        return f"{self.wrapping.name}, {self.inner.name}"

    @property
    def lacks(self) -> tuple[str, ...]:
        """What the log's own lines lack: no envelope tells it."""
        return self.inner.lacks

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Where the last event begins that begins a record; one that is none will do as well."""
        if whole_file:
            return len(chunk)
        size = _TAIL
        while True:
            begin = max(len(chunk) - size, 0)
            tail = bytes(chunk[begin:])
            first = self.wrapping.begins.search(tail, 1 if begin else 0)
            if first is not None:
                unwrapped = self.wrapping.unwrap(tail[first.start() :])
                places = [
                    *(e.begin for e in unwrapped.events if self.inner.begins_record(e.text)),
                    *(broken.offset for broken in unwrapped.broken if not broken.cut_off),
                ]
                at = begin + first.start() + max(places, default=0)
                if places and at:
                    return at
            if not begin:
                return 0
            size *= 4

    def parse(self, block: memoryview) -> Columns:
        """The records in a block's envelopes."""
        held = bytes(block)
        unwrapped = self.wrapping.unwrap(held)
        events = unwrapped.events
        texts = [self._lines(event.text, first=not at) for at, event in enumerate(events)]
        found = self.inner.parse(memoryview(b"".join(texts)))
        starts = np.cumsum([0, *map(len, texts)])
        places = np.array([*(event.begin for event in events), len(held)], np.int64)
        of = np.searchsorted(starts, found.begin, side="right") - 1
        broken = unwrapped.broken + [
            replace(one, offset=int(places[np.searchsorted(starts, one.offset, side="right") - 1]))
            for one in found.broken
        ]
        return replace(
            self._filled(found, [events[at] for at in of.tolist()]),
            begin=places[of],
            end=places[np.searchsorted(starts, found.end, side="left")],
            broken=tuple(sorted(broken, key=lambda one: one.offset)),
        )

    def _lines(self, text: bytes, *, first: bool) -> bytes:
        """An event's text as PostgreSQL writes it: lines that go on begin with TAB."""
        pattern = self.inner.prefix.pattern
        goes_on = self.wrapping.splits_lines and not first and not text.startswith(b"\t")
        if goes_on and not pattern.match(text):
            text = b"\t" + text
        if text.count(b"\n", 0, -1) == text.count(b"\n\t"):
            return text
        head, *rest = text.split(b"\n")
        lines = [
            line if line.startswith(b"\t") or pattern.match(line) else b"\t" + line
            for line in rest[:-1]
        ]
        lines.append(rest[-1] and b"\t" + rest[-1])
        return b"\n".join([head, *lines])

    def _filled(self, found: Columns, events: list[Event]) -> Columns:
        """With what the envelopes say and the prefix does not."""
        prefix, escapes = self.inner.prefix, self.inner.prefix.escapes
        if not prefix.stamp or (prefix.stamp == "t" and self.wrapping.is_finer):
            at_us = [iso_us(event.stamp) for event in events]
            found = replace(found, at_us=np.array(at_us, np.int64))
        if "e" not in escapes and any(event.sqlstate for event in events):
            found = replace(found, sqlstate=_names([event.sqlstate for event in events]))
        if "b" not in escapes and any(event.backend_type for event in events):
            found = replace(found, backend_type=_names([event.backend_type for event in events]))
        if not {"c", "p"} & {*escapes}:
            found = replace(found, session=_names([b"0.%x" % event.pid for event in events]))
        return found


def wrapped(wrapping: Wrapping, head: bytes, hints: Hints) -> Wrapped | None:
    """The format of a log that begins with such envelopes; None where they hold no stderr log."""
    events = wrapping.unwrap(head).events
    text = b"".join(event.text.partition(b"\n")[0] + b"\n" for event in events)
    prefix = known(text, hints)
    if prefix is None or not (prefix.stamp or all(iso_us(event.stamp) for event in events)):
        return None
    return Wrapped(wrapping, made(text, prefix, hints))


def iso_us(stamp: str) -> int:
    """Epoch µs of `2026-01-31T23:59:59.123Z`, or of the same with a blank and `UTC`; 0: no such."""
    try:
        moment = datetime.fromisoformat(stamp.replace(" UTC", "Z"))
    except ValueError:
        return 0
    return round(moment.timestamp() * 1_000_000) if moment.tzinfo else 0


def _names(values: list[bytes]) -> pa.DictionaryArray:
    return pa.array(values, TEXTS).dictionary_encode()
