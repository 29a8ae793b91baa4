"""Blocks digested by several processes, and their digests in the blocks' order."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, islice
from multiprocessing.connection import Connection

from replay.capture.blocks import Block, blocks_of
from replay.capture.captured import Filters
from replay.capture.digest import Digest, Digester
from replay.capture.formats.columns import Format
from replay.capture.helpers import helpers
from replay.capture.inputs import Input
from replay.capture.memory import keep_freed
from replay.capture.slots import Slots
from replay.capture.stopping import Stop, stopping
from replay.capture.team import WAITING, Dealing, team_of

log = logging.getLogger(__name__)

_READ = 1  # block that is read meanwhile
_FIRST = 2 << 20  # bytes of an input's first block, for which all others wait

Digested = tuple[int, Block, Digest]
"""Which digester digested it, the block, and the digest."""


class Digesting:
    """The digest of every block of some inputs, by this process and others, until it is asked to stop."""

    def __init__(
        self, inputs: Sequence[Input], filters: Filters, jobs: int, stop: Stop, stack: ExitStack
    ) -> None:
        """Helpers begin at once, where there is more than a block; they end with the stack."""
        self.inputs, self.stop = inputs, stop
        self.broken_off: list[str] = []  # names of inputs that could not be read to their end
        # What blocks are read into, again and again.
        self._slots = Slots(WAITING * (jobs - 1) + _READ, shared=jobs > 1)
        size = (_FIRST,) if jobs > 1 else ()
        blocks = stop.until_asked(blocks_of(inputs, self._broke_off, self._slots, *size))
        first = list(islice(blocks, 1))
        if jobs > 1 and not _goes_on(first):
            first += islice(blocks, 1)
        helping = jobs - 1 if len(first) > 1 or _goes_on(first) else 0
        work = partial(_work, self._slots, filters)
        team = team_of(stack.enter_context(helpers(helping, work)), self._slots)
        own = self._own = Digester(filters=filters)
        self._dealing = Dealing(
            chain(first, blocks),
            lambda block: own.digest(block.input.format, block.data),
            team,
            lambda block: (block.slot, len(block.data), block.input.format),
        )
        self._dealing.begin()

    def __iter__(self) -> Iterator[Digested]:
        """In the blocks' order; a block and its digest are there for their turn only."""
        for worker, block, digest in self._dealing:
            if worker:
                self._own.templates.learn(digest.learned)
            yield worker, block, digest
            self._slots.give_back(block.slot)

    def _broke_off(self, log_file: Input, error: Exception) -> None:
        log.warning("%s: %s", log_file.name, error)
        self.broken_off.append(log_file.name)


@contextmanager
def digesting(inputs: Sequence[Input], filters: Filters, jobs: int = 1) -> Iterator[Digesting]:
    """Digest inputs by so many processes, for the length of the block; Ctrl-C asks it to stop."""
    with stopping() as stop, ExitStack() as stack:
        yield Digesting(inputs, filters, jobs, stop, stack)


def _goes_on(first: Sequence[Block]) -> bool:
    """Whether an input surely does, of which so much was read."""
    return any(block.read < block.input.bytes for block in first)


def _work(slots: Slots, filters: Filters, _number: int, pipe: Connection) -> None:
    keep_freed()  # each block takes as much
    digester = Digester(filters=filters)
    while True:
        told: tuple[int, int, Format] = pipe.recv()
        slot, size, log_format = told
        pipe.send(slots.put(slot, digester.digest(log_format, slots.block(slot, size))))
