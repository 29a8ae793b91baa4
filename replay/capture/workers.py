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
from replay.capture.captured import Filters
from replay.capture.digest import Digest, Digester
from replay.capture.formats.columns import Format
from replay.capture.helpers import Helper, helpers
from replay.capture.slots import NOWHERE, Slots

_AT_WORK = 2  # blocks that a helper holds: one that it digests, and the next
_WAITING = 5  # for each helper; and blocks that wait until those before them have been taken
_READ = 2  # blocks that are read meanwhile

Digested = tuple[int, Block, Digest]
"""Which digester digested it, the block, and the digest."""


def slots_for(jobs: int) -> Slots:
    """What blocks are read into, again and again."""
    return Slots(_WAITING * (jobs - 1) + _READ, shared=jobs > 1)


def digested(
    blocks: Iterator[Block], filters: Filters, jobs: int, slots: Slots
) -> Iterator[Digested]:
    """The digest of every block, by this process and `jobs` - 1 others; both are there for their turn only."""
    own = Digester(filters=filters)
    begun = list(islice(blocks, 2 * (jobs > 1)))  # often there is but one
    if len(begun) <= 1:
        for block in chain(begun, blocks):
            yield 0, block, own.digest(block.input.format, block.data)
            slots.give_back(block.slot)
        return
    with helpers(jobs - 1, partial(_work, slots, filters)) as started:
        team = [Colleague(number, helper, slots) for number, helper in enumerate(started, 1)]
        for worker, block, digest in _together(chain(begun, blocks), own, team):
            yield worker, block, digest
            slots.give_back(block.slot)


_Done = tuple[bytes, list[tuple[int, int]]]
"""What tells how a digest is got out of its slot."""


@dataclass(slots=True)
class Colleague:
    """A helper, and the slots of the blocks that it digests."""

    number: int
    helper: Helper
    slots: Slots
    at_work: deque[int] = field(default_factory=deque)
    done: deque[_Done] = field(default_factory=deque)  # of the first of them

    def is_free(self) -> bool:
        """Whether it would have nothing to do soon."""
        self._look()
        return len(self.at_work) - len(self.done) < _AT_WORK

    def give(self, block: Block) -> None:
        """Let it digest a block."""
        self.helper.send((block.slot, len(block.data), block.input.format))
        self.at_work.append(block.slot)

    def is_ready(self) -> bool:
        """Whether `take` need not wait."""
        self._look()
        return bool(self.done)

    def take(self) -> Digest:
        """The digest of the block that it was given first."""
        told = self.done.popleft() if self.done else self.helper.receive()
        digest: Digest = self.slots.get(self.at_work.popleft(), *told)
        return digest

    def _look(self) -> None:
        while self.helper.pipe.poll():
            self.done.append(self.helper.receive())


_Waiting = tuple[Block, Colleague | None, Digest | None]


def _together(blocks: Iterator[Block], own: Digester, team: list[Colleague]) -> Iterator[Digested]:
    """First helpers are given work, then what is ready is handed on; this process digests last of all."""
    waiting: deque[_Waiting] = deque()  # in the blocks' order
    most = _WAITING * len(team)
    ended = False
    while waiting or not ended:
        free = [one for one in team if one.is_free()]
        is_ready = waiting and _is_ready(waiting[0])
        if ended or len(waiting) >= most or (is_ready and not free):
            yield _result(*waiting.popleft())
            continue
        block = next(blocks, None)
        if block is None:
            ended = True
        elif free and block.slot != NOWHERE:
            colleague = min(free, key=lambda one: len(one.at_work))
            colleague.give(block)
            waiting.append((block, colleague, None))
        else:
            waiting.append((block, None, own.digest(block.input.format, block.data)))


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
