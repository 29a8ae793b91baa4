"""Blocks digested by several processes, and their digests in the blocks' order.

This process digests, too, whatever finds no helper free, so that no more processes run than are asked
for. Blocks go to helpers, and digests come back, through memory that both see. What comes out does
not depend on who digests what.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from multiprocessing.connection import Connection

from replay.capture.blocks import Block
from replay.capture.digest import Digest, Digester, Filters
from replay.capture.formats.columns import Format
from replay.capture.helpers import Helper, helpers
from replay.capture.slots import NOWHERE, Slots

# Blocks that a helper holds: one that it digests, and the next. This process does all that is in
# order, so it digests only what helpers will not come to meanwhile.
_AT_WORK = 4
_READ = 2  # blocks that are read meanwhile

Digested = tuple[int, Block, Digest]
"""Which digester digested it, the block, and the digest."""


def slots_for(jobs: int) -> Slots:
    """What blocks are read into: one process needs none."""
    return Slots((_AT_WORK * (jobs - 1) + 1 + _READ) * (jobs > 1))


def digested(
    blocks: Iterator[Block], filters: Filters, jobs: int, slots: Slots
) -> Iterator[Digested]:
    """The digest of every block, by this process and `jobs` - 1 others; both are there for their turn only."""
    own = Digester(filters=filters)
    # The first block loads all loops, for the helpers too; and often it is the only one.
    for block in islice(blocks, None if jobs == 1 else 1):
        yield 0, block, own.digest(block.input.format, block.data)
        slots.give_back(block.slot)
    second = next(blocks, None)
    if second is None:
        return
    with helpers(jobs - 1, partial(_work, slots, filters)) as started:
        team = [Colleague(number, helper, slots) for number, helper in enumerate(started, 1)]
        for worker, block, digest in _together(chain([second], blocks), own, team):
            yield worker, block, digest
            slots.give_back(block.slot)


@dataclass(slots=True)
class Colleague:
    """A helper, and the slots of the blocks that it digests."""

    number: int
    helper: Helper
    slots: Slots
    at_work: deque[int] = field(default_factory=deque)

    def takes(self, block: Block) -> bool:
        """Whether it can hold another block."""
        return len(self.at_work) < _AT_WORK and block.slot != NOWHERE

    def give(self, block: Block) -> None:
        """Let it digest a block."""
        self.helper.send((block.slot, len(block.data), block.input.format))
        self.at_work.append(block.slot)

    def is_ready(self) -> bool:
        """Whether `take` need not wait."""
        return self.helper.pipe.poll()

    def take(self) -> Digest:
        """The digest of the block that it was given first."""
        digest: Digest = self.slots.get(self.at_work.popleft(), *self.helper.receive())
        return digest


_Waiting = tuple[Block, Colleague | None, Digest | None]


def _together(blocks: Iterator[Block], own: Digester, team: list[Colleague]) -> Iterator[Digested]:
    waiting: deque[_Waiting] = deque()  # in the blocks' order
    for block in blocks:
        free = [one for one in team if one.takes(block)]
        if free:
            colleague = min(free, key=lambda one: len(one.at_work))
            colleague.give(block)
            waiting.append((block, colleague, None))
        else:
            waiting.append((block, None, own.digest(block.input.format, block.data)))
        most = _AT_WORK * len(team)
        while waiting and (len(waiting) > most or _is_ready(waiting[0])):
            yield _result(*waiting.popleft())
    while waiting:
        yield _result(*waiting.popleft())


def _is_ready(first: _Waiting) -> bool:
    _, colleague, _ = first
    return colleague is None or colleague.is_ready()


def _result(block: Block, colleague: Colleague | None, digest: Digest | None) -> Digested:
    if colleague is not None:
        return colleague.number, block, colleague.take()
    assert digest is not None  # it was digested here
    return 0, block, digest


def _work(slots: Slots, filters: Filters, _number: int, pipe: Connection) -> None:
    digester = Digester(filters=filters)
    while True:
        told: tuple[int, int, Format] = pipe.recv()
        slot, size, log_format = told
        pipe.send(slots.put(slot, digester.digest(log_format, slots.block(slot, size))))
