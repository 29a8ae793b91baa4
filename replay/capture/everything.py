"""In the place of a sample: every unit, in a vault, so that a workload can be replayed as recorded.

Memory holds 16 bytes a unit; their records go to disk, enciphered, a block of units at a time.
"""

from array import array
from bisect import bisect_right
from functools import lru_cache

import msgspec
import numpy as np

from replay.capture.bottomk import Weights
from replay.capture.formats.columns import Ints
from replay.capture.priority import Priorities
from replay.capture.sample import Strata
from replay.capture.stored import Batch, Stored, StoredExecution, batch_of
from replay.capture.units import Units
from replay.capture.vault import Vault

_BLOCK = 256  # units that are written and read together
_SPILLED = 8 << 20  # bytes that are put into the vault together
_BLOCKS_HELD = 64  # decoded, in memory: units that ended together began at about one time


class Everything(Strata):
    """Takes units as a Sampler does, and gives them all; it holds no places of a sample."""

    def __init__(self) -> None:
        super().__init__(k=1)
        self._starts = array("q")  # epoch µs, by number
        self._priorities = array("Q")
        self._pending: list[Stored] = []
        self._blocks: list[tuple[int, int]] = []  # begin and end in the vault, or in `_unspilled`
        self._firsts: list[int] = []  # number of each block's first unit
        self._unspilled = bytearray()
        self._spilled_blocks = 0
        self._vault = Vault()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Stored]).decode
        self._block = lru_cache(maxsize=_BLOCKS_HELD)(self._read)

    def take(self, units: Units, _identities: Priorities, _request: Ints | None = None) -> None:
        """Take units; nothing is left out."""
        found, sources = units.executions, units.sources
        ends = np.append(units.first, len(found))[1:].tolist()
        columns = zip(
            *(c.tolist() for c in (found.template, found.start_us, found.spent_us, found.state)),
            *(c.tolist() for c in (found.source, found.call)),
            strict=True,
        )
        executions = [
            StoredExecution(template, start, spent, state, sources[source], sources[call])
            for template, start, spent, state, source, call in columns
        ]
        begins = units.first.tolist()
        for unit, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            self._add(Stored(units.session[unit], int(units.priority[unit]), executions[begin:end]))

    def kept(self) -> tuple[Ints, Weights]:
        """All units, by number and in order of start; each stands for itself."""
        starts = np.frombuffer(self._starts, np.int64)
        order = np.lexsort((np.frombuffer(self._priorities, np.uint64), starts))
        return order, np.ones(order.size)

    def sizes(self, numbers: Ints) -> Ints:
        """Bytes of those units' records, about: the mean of those that were written together."""
        self._close_block()
        bounds = np.array(self._blocks, np.int64).reshape(-1, 2)
        units = np.diff(np.array([*self._firsts, len(self._starts)]))
        blocks = np.searchsorted(np.array(self._firsts), numbers, side="right") - 1
        sizes: Ints = ((bounds[:, 1] - bounds[:, 0]) // units)[blocks]
        return sizes

    def batch(self, numbers: Ints) -> Batch:
        """The units of those numbers, in that order."""
        self._close_block()
        blocks = [bisect_right(self._firsts, number) - 1 for number in numbers.tolist()]
        places = zip(blocks, numbers.tolist(), strict=True)
        units = [self._block(block)[number - self._firsts[block]] for block, number in places]
        return batch_of(units, numbers)

    def _add(self, unit: Stored) -> None:
        if not self._pending:
            self._firsts.append(len(self._starts))
        self._starts.append(unit.start_us)
        self._priorities.append(unit.priority)
        self._pending.append(unit)
        if len(self._pending) == _BLOCK:
            self._close_block()

    def _close_block(self) -> None:
        if not self._pending:
            return
        begin = len(self._unspilled)
        self._unspilled += self._encode(self._pending)
        self._blocks.append((begin, len(self._unspilled)))
        self._pending = []
        if len(self._unspilled) > _SPILLED:
            at = self._vault.put(memoryview(self._unspilled))
            for number in range(self._spilled_blocks, len(self._blocks)):
                begin, end = self._blocks[number]
                self._blocks[number] = at + begin, at + end
            self._spilled_blocks = len(self._blocks)
            self._unspilled = bytearray()

    def _read(self, number: int) -> list[Stored]:
        begin, end = self._blocks[number]
        if number < self._spilled_blocks:
            return self._decode(self._vault.read(begin, end))
        return self._decode(self._unspilled[begin:end])
