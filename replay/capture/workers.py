"""Blocks digested by several processes, and their digests in the blocks' order.

This process digests, too, whatever finds no helper free, so that no more processes run than are asked
for. Blocks go to helpers, and digests come back, through memory that both see. What comes out does
not depend on who digests what.
"""

import mmap
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler

from replay.capture.blocks import Block
from replay.capture.digest import Digest, Digester, Filters
from replay.capture.formats.columns import Format
from replay.capture.helpers import Helper, helpers

_SLOTS = 2  # blocks that a helper holds: one that it digests, and the next
_ROOM = 17 << 20  # bytes of a slot: a block, and what was left of the one before
_WAITING_AT_MOST = 4  # digested blocks a process, for their turn
_IN_PIPE = -1

Digested = tuple[int, Block, Digest]
"""Which digester digested it, the block, and the digest."""


def digested(blocks: Iterator[Block], filters: Filters, jobs: int) -> Iterator[Digested]:
    """The digest of every block, by this process and `jobs` - 1 others."""
    own = Digester(filters=filters)
    # The first block loads all loops, for the helpers too; and often it is the only one.
    for block in islice(blocks, None if jobs == 1 else 1):
        yield 0, block, own.digest(block.input.format, block.data)
    second = next(blocks, None)
    if second is None:
        return
    rooms = [mmap.mmap(-1, _SLOTS * _ROOM) for _ in range(jobs - 1)]
    with helpers(jobs - 1, partial(_work, rooms, filters)) as started:
        pairs = enumerate(zip(started, rooms, strict=True), 1)
        team = [Colleague(number, helper, room) for number, (helper, room) in pairs]
        yield from _together(chain([second], blocks), own, team)


@dataclass(slots=True)
class Colleague:
    """A helper with its memory; slots are used in turn."""

    number: int
    helper: Helper
    room: mmap.mmap
    at_work: deque[int] = field(default_factory=deque)
    next: int = 0  # slot

    def takes(self, block: Block) -> bool:
        """Whether it can hold another block."""
        return len(self.at_work) < _SLOTS and len(block.data) <= _ROOM

    def give(self, block: Block) -> None:
        """Let it digest a block."""
        slot, size = self.next, len(block.data)
        self.room[slot * _ROOM : slot * _ROOM + size] = block.data
        self.helper.send((slot, size, block.input.format))
        self.at_work.append(slot)
        self.next = (slot + 1) % _SLOTS

    def is_ready(self) -> bool:
        """Whether `take` need not wait."""
        return self.helper.pipe.poll()

    def take(self) -> Digest:
        """The digest of the block that it was given first."""
        size: int = self.helper.receive()
        begin = self.at_work.popleft() * _ROOM
        if size == _IN_PIPE:
            found: Digest = ForkingPickler.loads(self.helper.receive_bytes())
        else:
            found = ForkingPickler.loads(memoryview(self.room)[begin : begin + size])
        return found


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
        most = _WAITING_AT_MOST * (len(team) + 1)
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


def _work(rooms: list[mmap.mmap], filters: Filters, number: int, pipe: Connection) -> None:
    digester, room = Digester(filters=filters), memoryview(rooms[number])
    while True:
        told: tuple[int, int, Format] = pipe.recv()
        slot, size, log_format = told
        begin = slot * _ROOM
        digest = ForkingPickler.dumps(digester.digest(log_format, room[begin : begin + size]))
        if len(digest) > _ROOM:
            pipe.send(_IN_PIPE)
            pipe.send_bytes(digest)
            continue
        room[begin : begin + len(digest)] = digest
        pipe.send(len(digest))
