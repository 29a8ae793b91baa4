"""Blocks digested by several processes, and their digests in the blocks' order."""

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from multiprocessing.connection import Connection

from replay.capture.blocks import Block
from replay.capture.captured import Filters
from replay.capture.digest import Digest, Digester
from replay.capture.formats.columns import Format
from replay.capture.helpers import helpers
from replay.capture.slots import Slots
from replay.capture.team import WAITING, in_order, team_of

_READ = 2  # blocks that are read meanwhile

Digested = tuple[int, Block, Digest]
"""Which digester digested it, the block, and the digest."""


def slots_for(jobs: int) -> Slots:
    """What blocks are read into, again and again."""
    return Slots(WAITING * (jobs - 1) + _READ, shared=jobs > 1)


def digested(
    blocks: Iterator[Block], filters: Filters, jobs: int, slots: Slots
) -> Iterator[Digested]:
    """The digest of every block, by this process and `jobs` - 1 others; both are there for their turn only."""
    own = Digester(filters=filters)

    def here(block: Block) -> Digest:
        return own.digest(block.input.format, block.data)

    begun = list(islice(blocks, 2 * (jobs > 1)))  # often there is but one
    if len(begun) <= 1:
        for block in chain(begun, blocks):
            yield 0, block, here(block)
            slots.give_back(block.slot)
        return
    with helpers(jobs - 1, partial(_work, slots, filters)) as started:
        team = team_of(started, slots)
        for worker, block, digest in in_order(chain(begun, blocks), here, team, _order):
            yield worker, block, digest
            slots.give_back(block.slot)


def _order(block: Block) -> tuple[int, int, Format]:
    return block.slot, len(block.data), block.input.format


def _work(slots: Slots, filters: Filters, _number: int, pipe: Connection) -> None:
    digester = Digester(filters=filters)
    while True:
        told: tuple[int, int, Format] = pipe.recv()
        slot, size, log_format = told
        pipe.send(slots.put(slot, digester.digest(log_format, slots.block(slot, size))))
