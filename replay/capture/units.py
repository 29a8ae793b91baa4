"""Units: whole transactions, and statements outside of any; each with a priority for sampling."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replay.capture.digest import Digest
from replay.capture.executions import NONE, Executions, Mask
from replay.capture.formats.columns import Ints
from replay.capture.kernels import ONE, Bytes, compiled
from replay.capture.priority import NEVER, Priorities, mix
from replay.capture.words import put

_NO_BLOCK = memoryview(b"")


class Sources:
    """The records that executions point to: a block's by their row, carried ones below NONE.

    A record's first byte is the number of its format.
    """

    def __init__(
        self, block: memoryview = _NO_BLOCK, digest: Digest | None = None, number: int = 0
    ) -> None:
        self._block = block
        self._digest = digest
        self._number = bytes([number])
        self._carried: list[bytes] = []

    def add(self, record: bytes) -> int:
        """A place for a record that an earlier block held; NONE for an empty one."""
        if not record:
            return NONE
        self._carried.append(record)
        return NONE - len(self._carried)

    def __getitem__(self, place: int) -> bytes:
        """The record; empty for NONE."""
        if place < 0:
            return b"" if place == NONE else self._carried[NONE - 1 - place]
        assert self._digest is not None
        return self._number + bytes(
            self._block[self._digest.begin[place] : self._digest.end[place]]
        )

    def begins(self, places: Ints) -> Ints:
        """Where the block's own records begin in it."""
        assert self._digest is not None
        return self._digest.begin[places]

    def sizes(self, places: Ints) -> Ints:
        """Bytes of the records; 0 for NONE."""
        sizes = np.zeros(places.size, np.int64)
        if self._digest is not None:
            inside = places >= 0
            sizes[inside] = (self._digest.end - self._digest.begin)[places[inside]]
        for place in np.flatnonzero(places < NONE).tolist():
            sizes[place] = len(self[int(places[place])]) - 1
        return sizes

    def gathered(self, places: Ints) -> tuple[Bytes, Ints]:
        """The records behind one another, and where each begins, and the last ends."""
        sizes = self.sizes(places)
        begins = np.concatenate(([0], np.cumsum(sizes + (places != NONE))))
        texts = np.empty(int(begins[-1]), np.uint8)
        if self._digest is not None:
            block = np.frombuffer(self._block, np.uint8)
            _gather(block, self._digest.begin, self._number[0], places, begins, texts)
        for place in np.flatnonzero(places < NONE).tolist():
            texts[begins[place] : begins[place + 1]] = np.frombuffer(self[places[place]], np.uint8)
        return texts, begins


@compiled
def _gather(block: Bytes, at: Ints, number: int, places: Ints, begins: Ints, texts: Bytes) -> None:
    """Put the block's records, each behind its format's number, where they begin."""
    for row in range(places.size):
        if places[row] < 0:
            continue
        source, out = np.uint64(at[places[row]]), np.uint64(begins[row])
        size = np.uint64(begins[row + 1]) - out - ONE
        texts[out] = number
        put(texts, out + ONE, block, source, size)


@dataclass(slots=True, kw_only=True)
class Units:
    """Finished units; the executions of one stand together."""

    executions: Executions
    first: Ints  # place of each unit's first execution
    priority: Priorities
    session: Sequence[bytes]  # id, by unit
    sources: Sources

    def __len__(self) -> int:
        """How many."""
        return len(self.first)

    def without(self, templates: Mask) -> "Units":
        """Those of a single execution each, but for those of these templates."""
        kept = np.flatnonzero(~templates[self.executions.template])
        return Units(
            executions=self.executions.taken(kept),
            first=np.arange(kept.size),
            priority=self.priority[kept],
            session=[self.session[place] for place in kept.tolist()],
            sources=self.sources,
        )


def session_seed(seed: int, session: bytes) -> int:
    """What a session's priorities derive from: 64 bits."""
    text = b"%d:%s" % (seed, session)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def priorities(seeds: Priorities, lines: Ints) -> Priorities:
    """Priorities of units, by their session's seed and the line that they begin at.

    The finaliser of splitmix64 (Steele, Lea, Flood 2014) over a Weyl step a line. Uniform below
    NEVER.
    """
    mixed = mix(seeds + lines.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.minimum(mixed, NEVER - np.uint64(1))
