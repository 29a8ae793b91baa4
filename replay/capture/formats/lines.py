"""A block of a stderr log by lines, and the fields of those lines that begin a record."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from replay.capture.formats.columns import Ints, names
from replay.capture.formats.leads import KINDS, Kind
from replay.capture.formats.prefix import Prefix
from replay.capture.formats.spans import Bools, Spans, number, texts
from replay.capture.formats.walk import Heads, heads
from replay.capture.kernels import Bytes

_KINDS = np.array([*KINDS, Kind.FOREIGN])  # the last is for -1, no lead
_TAB, _NEWLINE = b"\t\n"


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
        return texts(self.block.buffer, self.field(escape)).dictionary_encode()

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
    buffer, size = np.frombuffer(raw, np.uint8), len(raw)
    begin = np.concatenate(([0], np.flatnonzero(buffer == _NEWLINE) + 1))
    begin = begin[begin < size]
    own = buffer[begin] != _TAB
    own[:1] = True
    places = np.flatnonzero(own)
    begin = begin[own]
    whole = bool(size) and buffer[size - 1] == _NEWLINE
    end = np.append(begin[1:] - 1, size - whole)[: len(begin)]
    lines = Spans(begin, end)
    found = heads(memoryview(raw), buffer, lines, prefix)
    kinds = np.where(end == begin, int(Kind.BLANK), _KINDS[found.lead])
    several = np.diff(places, append=len(own)) > 1
    return Block(buffer, lines, several, found, kinds, bool(whole))
