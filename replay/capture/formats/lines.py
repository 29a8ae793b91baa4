"""A block of a stderr log by lines, and the fields of those lines that begin a record."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from replay.capture.formats.columns import Ints, names
from replay.capture.formats.leads import KINDS, Kind
from replay.capture.formats.prefix import Prefix
from replay.capture.formats.spans import Bools, Spans, few, number
from replay.capture.formats.walk import Heads, heads
from replay.capture.kernels import ONE, Bytes, as_bytes, compiled, place
from replay.capture.words import AT_ONCE, count_in, first_of_bits, within

_KINDS = np.array([*KINDS, Kind.FOREIGN])  # the last is for -1, no lead
_NEWLINE, _RETURN = np.uint8(10), np.uint8(13)


@dataclass(frozen=True, slots=True)
class Block:
    """A block, its lines that begin without TAB, and what stands ahead of their text."""

    buffer: Bytes
    lines: Spans  # with the lines that begin with TAB after each; without the last newline
    several: Bools  # which have such
    heads: Heads
    kinds: Ints
    whole: bool  # whether it ends with a line


@dataclass(frozen=True, slots=True)
class Rows:
    """The lines of a block that begin a record."""

    block: Block
    lines: Ints

    @property
    def count(self) -> int:
        """How many."""
        return len(self.lines)

    def has(self, escape: str) -> bool:
        """Whether the prefix has that field."""
        return escape in self.block.heads.fields

    def field(self, escape: str) -> Spans:
        """Where a field of the prefix stands."""
        return self.block.heads.fields[escape].of(self.lines)

    def names(self, escape: str) -> pa.DictionaryArray:
        """A field of the prefix as a column of few values; empty where the prefix has it not."""
        if not self.has(escape):
            return nothing(self.count)
        return few(self.block.buffer, self.field(escape))

    def number(self, escape: str) -> Ints:
        """A field of the prefix as numbers; 0 where the prefix has it not."""
        if not self.has(escape):
            return np.zeros(self.count, np.int64)
        return number(self.block.buffer, self.field(escape))


def nothing(count: int) -> pa.DictionaryArray:
    """A column of few values that no record has."""
    return names(np.zeros(count, np.int32), [b""])


def read(raw: bytes | memoryview, prefix: Prefix) -> Block:
    """The lines of a block."""
    buffer, size = as_bytes(raw), len(raw)
    room = int(count_in(buffer, _NEWLINE)) + 1
    begin, several = np.zeros(room, np.int64), np.zeros(room, np.bool_)
    count = _begins(buffer, begin, several)
    begin, several = begin[:count], several[:count]
    whole = bool(size) and buffer[size - 1] == _NEWLINE
    end = np.append(begin[1:] - 1, size - whole)[: len(begin)]
    if len(end) and buffer[end[0] - 1] == _RETURN:  # written or copied by Windows
        end = end - (buffer[end - 1] == _RETURN)
    lines = Spans(begin, end)
    found = heads(memoryview(raw), buffer, lines, prefix)
    kinds = np.where(end == begin, int(Kind.BLANK), _KINDS[found.lead])
    return Block(buffer, lines, several, found, kinds, bool(whole))


@compiled
def _begins(data: Bytes, begins: Ints, several: Bools) -> int:
    """Write where lines begin that do not with TAB, and which have such behind them; how many there are.

    The first one is a line, whatever it begins with.
    """
    size, at = place(data.size), place(0)
    count = place(min(size, ONE))
    while at < size:
        breaks = place(0)
        if at + AT_ONCE <= size:
            breaks = within(data, at, _NEWLINE, np.uint8(1))
        else:
            for step in range(size - at):
                breaks |= place(data[at + step] == _NEWLINE) << place(step)
        while breaks:
            begin = at + first_of_bits(breaks) + ONE
            breaks &= breaks - ONE
            if begin == size:
                break
            if data[begin] == 9:
                several[count - ONE] = True
            else:
                begins[count] = begin
                count += ONE
        at += AT_ONCE
    return int(count)
