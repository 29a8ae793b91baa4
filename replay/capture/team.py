"""Work that several processes share, and what comes of it in the order of the work.

This process works, too, whatever finds no helper free, so that no more processes run than are asked
for. What is large goes to helpers, and comes back, through memory that both see. What comes out does
not depend on who worked on what.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from replay.capture.helpers import Helper
from replay.capture.slots import NOWHERE, Slots

WAITING = 5  # pieces for each helper, with what has been made and waits for its turn
_AT_WORK = 3  # that a helper holds: one that it works on, and two while this process looks away


class Piece(Protocol):
    """A piece of work, with the slot of shared memory through which a helper can be given it."""

    @property
    def slot(self) -> int:
        """Its slot; NOWHERE where this process has to work on it itself."""


P = TypeVar("P", bound=Piece)
R = TypeVar("R")
_Done = tuple[bytes, list[tuple[int, int]]]
"""What tells how a result is got out of its slot."""


@dataclass(slots=True)
class Colleague(Generic[R]):
    """A helper, and the slots of the pieces that it works on."""

    number: int
    helper: Helper
    slots: Slots
    at_work: deque[int] = field(default_factory=deque)
    done: deque[_Done] = field(default_factory=deque)  # of the first of them

    def is_free(self, most: int) -> bool:
        """Whether it has fewer pieces than that to work on."""
        self._look()
        return len(self.at_work) - len(self.done) < most

    def give(self, slot: int, order: Any) -> None:
        """Let it work on a piece; the order is what tells it of the piece."""
        self.helper.send(order)
        self.at_work.append(slot)

    def is_ready(self) -> bool:
        """Whether `take` need not wait."""
        self._look()
        return bool(self.done)

    def take(self) -> R:
        """What it made of the piece that it was given first; arrays stay in the slot."""
        told = self.done.popleft() if self.done else self.helper.receive()
        made: R = self.slots.get(self.at_work.popleft(), *told)
        return made

    def _look(self) -> None:
        while self.helper.pipe.poll():
            self.done.append(self.helper.receive())


def team_of(started: Sequence[Helper], slots: Slots) -> list[Colleague[Any]]:
    """Helpers as colleagues, numbered from 1 on."""
    return [Colleague(number, helper, slots) for number, helper in enumerate(started, 1)]


class Dealing(Generic[P, R]):
    """Pieces dealt to helpers and to this process; by iteration, what was made of them in their order.

    That is who worked on it (0: this process), the piece, and what was made of it.
    """

    def __init__(
        self,
        pieces: Iterator[P],
        own: Callable[[P], R],
        team: Sequence[Colleague[R]],
        order: Callable[[P], Any],
        left: Callable[[], float] = lambda: math.inf,
        ahead: int = 0,
    ) -> None:
        """`own` makes here what a helper makes of a piece by its `order`; `left`: how many come yet.

        So many pieces more than the helpers' this process may be `ahead`, where its own part is large.
        """
        self._pieces, self._own, self._team, self._order = pieces, own, team, order
        self._left = left
        self._most = max(WAITING * len(team) + ahead, 1)
        self._waiting: deque[tuple[P, Colleague[R] | None, R | None]] = deque()
        self._ended = False

    def begin(self) -> None:
        """Give helpers work for a while, as this process has other things to do."""
        while not self._ended and len(self._waiting) < self._most and (free := self._free()):
            self._deal(free)

    def __iter__(self) -> Iterator[tuple[int, P, R]]:
        """First helpers are given work, then what is ready is handed on; this process works last of all."""
        while self._waiting or not self._ended:
            free = self._free()
            is_ready = self._waiting and _is_ready(self._waiting[0][1])
            if self._ended or len(self._waiting) >= self._most or (is_ready and not free):
                yield _result(*self._waiting.popleft())
            else:
                self._deal(free)

    def _free(self) -> list[Colleague[R]]:
        """Who has fewer pieces than they may; of the last ones, one for each of us, none is laid up for later."""
        most = _AT_WORK if self._left() > len(self._team) + 1 else 1
        return [one for one in self._team if one.is_free(most)]

    def _deal(self, free: Sequence[Colleague[R]]) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            self._ended = True
        elif free and piece.slot != NOWHERE:
            colleague = min(free, key=lambda one: len(one.at_work))
            colleague.give(piece.slot, self._order(piece))
            self._waiting.append((piece, colleague, None))
        else:
            self._waiting.append((piece, None, self._own(piece)))


def _is_ready(colleague: Colleague[R] | None) -> bool:
    return colleague is None or colleague.is_ready()


def _result(piece: P, colleague: Colleague[R] | None, made: R | None) -> tuple[int, P, R]:
    if colleague is not None:
        return colleague.number, piece, colleague.take()
    assert made is not None  # it was made here
    return 0, piece, made
