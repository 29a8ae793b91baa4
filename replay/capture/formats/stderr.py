"""The stderr format with any log_line_prefix: text, one line or several a record (manual, 20.8).

A record is its first line and the lines that begin with TAB, which PostgreSQL puts behind every
newline of a message; then its DETAIL, CONTEXT and STATEMENT, with prefixes and line numbers of their
own. An input that breaks off within a line loses that record.

Where the prefix has no %c, a session is named `0.` and the process id, hexadecimal: a number that
the system gives again. Background processes are of type `background` where the prefix shows that a
line is theirs: it stops at %q, or has neither user nor database.
"""

import re
from dataclasses import dataclass, field

from replay.capture.formats.columns import ESCAPES, Columns, Hints
from replay.capture.formats.found import found, own_lines, share
from replay.capture.formats.leads import KINDS, PLACE, Kind
from replay.capture.formats.prefix import HEAD_AT_MOST, Prefix
from replay.capture.formats.stamps import Zones
from replay.capture.formats.textblock import columns, zones_told

_TAIL = 1 << 16  # bytes at a chunk's end that are first searched for a record's begin
_GIVEN = 0.1  # share of the head's lines that a prefix must match to be believed when it is given


@dataclass(frozen=True, slots=True)
class Stderr:
    """Reads stderr logs of one prefix."""

    prefix: Prefix
    zones: Zones = field(default_factory=Zones)

    @property
    def name(self) -> str:
        """With its prefix, as log_line_prefix has it."""
        return f"stderr with log_line_prefix '{self.prefix.text}'"

    @property
    def lacks(self) -> tuple[str, ...]:
        """What stands in its prefix by no escape of its own."""
        escapes = self.prefix.escapes
        return tuple(name for name, escape in ESCAPES.items() if escape not in escapes)

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Where the last record begins; a line that is none of PostgreSQL's will do as well."""
        if whole_file:
            return len(chunk)
        size = _TAIL
        while True:
            begin = max(len(chunk) - size, 0)
            at = _last_begin(bytes(chunk[begin:]), self.prefix.pattern)
            if at:
                return begin + at
            if not begin:
                return 0
            size *= 4

    def begins_record(self, line: bytes) -> bool:
        """Whether a line begins a record, so that the log can be cut ahead of it."""
        match = self.prefix.pattern.match(line, 0, HEAD_AT_MOST)
        return match is not None and KINDS[PLACE[match["lead"]]] == Kind.RECORD

    def parse(self, block: memoryview) -> Columns:
        """Its records; a line that comes among those of other processes lies outside begin:end."""
        return columns(block, self.prefix, self.zones)


def recognise(head: bytes, hints: Hints) -> Stderr | None:
    """The format of a log whose prefix is known, or can be told from its head.

    Lines without a time of their own make no log that could be replayed.
    """
    prefix = known(head, hints)
    return made(head, prefix, hints) if prefix is not None and prefix.stamp else None


def known(head: bytes, hints: Hints) -> Prefix | None:
    """The prefix that is given, where the log bears it at all; else the one found."""
    given = Prefix(hints.log_line_prefix)
    if given.escapes and share(own_lines(head), given, guessed=False) >= _GIVEN:
        return given
    return found(head)


def made(head: bytes, prefix: Prefix, hints: Hints) -> Stderr:
    """The format of a log with that prefix, with what else its head tells."""
    return Stderr(prefix, Zones(hints.log_timezone, zones_told(head, prefix)))


def _last_begin(tail: bytes, prefix: re.Pattern[bytes]) -> int:
    """Where the last line of a piece of log begins that may begin a record; 0 where none does."""
    end = len(tail)
    while (newline := tail.rfind(b"\n", 0, end)) >= 0:
        begin, end = newline + 1, newline
        if begin == len(tail) or tail[begin] in b"\t\n":
            continue
        match = prefix.match(tail, begin, begin + HEAD_AT_MOST)
        if match is None:
            if tail.find(b"\n", begin) < 0:
                continue  # its prefix may be cut
            return begin
        if KINDS[PLACE[match["lead"]]] == Kind.RECORD:
            return begin
    return 0
