"""Work that several processes share, and what comes of it in the order of the work.

This process works, too, whatever finds no helper free, so that no more processes run than are asked
for. What is large goes to helpers, and comes back, through memory that both see. What comes out does
not depend on who worked on what.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from replay.capture.helpers import Helper
from replay.capture.slots import NOWHERE, Slots

WAITING = 5  # pieces for each helper, with what has been made and waits for its turn
_AT_WORK = 2  # that a helper holds: one that it works on, and the next


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

    def is_free(self) -> bool:
        """Whether it would have nothing to do soon."""
        self._look()
        return len(self.at_work) - len(self.done) < _AT_WORK

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


def in_order(
    pieces: Iterator[P],
    own: Callable[[P], R],
    team: Sequence[Colleague[R]],
    order: Callable[[P], Any],
) -> Iterator[tuple[int, P, R]]:
    """Who worked on it (0: this process), each piece, and what was made of it, in the pieces' order.

    First helpers are given work, then what is ready is handed on; this process works last of all.
    """
    waiting: deque[tuple[P, Colleague[R] | None, R | None]] = deque()
    most = WAITING * len(team)
    ended = False
    while waiting or not ended:
        free = [one for one in team if one.is_free()]
        is_ready = waiting and _is_ready(waiting[0][1])
        if ended or len(waiting) >= most or (is_ready and not free):
            yield _result(*waiting.popleft())
            continue
        piece = next(pieces, None)
        if piece is None:
            ended = True
        elif free and piece.slot != NOWHERE:
            colleague = min(free, key=lambda one: len(one.at_work))
            colleague.give(piece.slot, order(piece))
            waiting.append((piece, colleague, None))
        else:
            waiting.append((piece, None, own(piece)))


def _is_ready(colleague: Colleague[R] | None) -> bool:
    return colleague is None or colleague.is_ready()


def _result(piece: P, colleague: Colleague[R] | None, made: R | None) -> tuple[int, P, R]:
    if colleague is not None:
        return colleague.number, piece, colleague.take()
    assert made is not None  # it was made here
    return 0, piece, made
