"""Tables of kept units made by several processes, batch after batch."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pickle import PickleBuffer
from typing import Any, Protocol

import pyarrow as pa

from replay import columnar
from replay.capture.helpers import helpers
from replay.capture.slots import NOWHERE, Slots
from replay.capture.team import WAITING, Dealing, team_of
from replay.schemas import STATEMENT_SCHEMA, TRANSACTION_SCHEMA

_AHEAD = 4  # cuts that this process may have made while helpers are at those before them
Make = Callable[[int, int], columnar.Batch]
_Made = tuple[Sequence[Any], bytes]
"""Tables, as they are or as a helper serialized them, and what it learned on the way."""


class Learning(Protocol):
    """What is learned while tables are made: processes learn it from one another."""

    def news(self) -> bytes:
        """What was learned since this was last asked."""

    def learn(self, news: bytes) -> None:
        """Take what another process learned."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Units from one place to another, and the slot that their tables come back in."""

    begin: int
    end: int
    slot: int = NOWHERE


@dataclass(frozen=True, slots=True)
class _Begun:
    """Helpers at work, until the stack is closed."""

    stack: ExitStack
    slots: Slots
    dealing: Dealing[Cut, _Made]


class Turns:
    """The tables of each cut, in order, made by so many processes, this one among them.

    Helpers begin at once; this process makes tables when they are asked for. Asked for once more, they
    are all made once more.
    """

    def __init__(
        self, make: Make, cuts: Sequence[tuple[int, int]], jobs: int, learning: Learning
    ) -> None:
        self._make, self._cuts, self._learning = make, cuts, learning
        self._helping = min(jobs, len(cuts)) - 1
        self._begun = self._begin() if self._helping > 0 else None

    def batches(self) -> Iterator[columnar.Batch]:
        """The tables."""
        if self._helping < 1:
            yield from (self._make(*cut) for cut in self._cuts)
            return
        begun, self._begun = self._begun or self._begin(), None
        with begun.stack:
            for worker, cut, (tables, news) in begun.dealing:
                if worker:
                    self._learning.learn(news)
                yield _received(tables) if worker else tuple(tables)
                begun.slots.give_back(cut.slot)

    def _begin(self) -> _Begun:
        make, slots = self._make, Slots(WAITING * self._helping + _AHEAD)
        yet = deque(self._cuts)
        pieces = (Cut(*yet.popleft(), slots.take(0)[1]) for _ in self._cuts)
        with ExitStack() as stack:
            work = partial(_work, make, self._learning, slots)
            team = team_of(stack.enter_context(helpers(self._helping, work)), slots)
            dealing = Dealing(
                pieces,
                lambda cut: (make(cut.begin, cut.end), b""),
                team,
                _order,
                yet.__len__,
                _AHEAD,
            )
            dealing.begin()
            return _Begun(stack.pop_all(), slots, dealing)


def _order(cut: Cut) -> tuple[int, int, int]:
    return cut.slot, cut.begin, cut.end


def _work(make: Make, learning: Learning, slots: Slots, _number: int, pipe: Connection) -> None:
    learning.news()  # what was known before
    while True:
        slot, begin, end = pipe.recv()
        tables = [rows.serialize() for rows in make(begin, end)]
        pipe.send(slots.put(slot, (tables, PickleBuffer(learning.news()))))


def _received(serialized: Sequence[pa.Buffer]) -> columnar.Batch:
    """The tables, in memory of this process."""
    schemas = (TRANSACTION_SCHEMA, STATEMENT_SCHEMA)
    return tuple(
        pa.ipc.read_record_batch(pa.py_buffer(bytes(buffer)), schema)
        for buffer, schema in zip(serialized, schemas, strict=True)
    )
