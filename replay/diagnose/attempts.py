"""The run's attempts as sorted columns, and joined to the transactions that they belong to.

Statements of one transaction stand together, in order. All of a run's may be more than memory holds:
then they stand on disk, and what is over all of them is made part by part. The wait for a pool slot is what lies
between due and began of a transaction's first statement, less the generator's own lag; one that
never got a slot waited until it was given up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay import ondisk

Ints = NDArray[np.int64]
Codes = NDArray[np.integer[Any]]

COLUMNS: dict[str, type[np.generic]] = {
    "arrival": np.int64,
    "template": np.int32,
    "pid": np.int32,
    "due_us": np.int64,
    "began_us": np.int64,
    "ended_us": np.int64,
    "lag_us": np.int64,
    "outcome": np.int32,
}


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """A run's attempts, a row a statement; see runtables.ATTEMPTS."""

    arrival: Ints
    template: Codes  # position in `names`
    names: tuple[str, ...]  # template ids
    pid: Codes
    due_us: Ints
    began_us: Ints  # -1: never sent
    ended_us: Ints
    lag_us: Ints
    outcome: Codes  # position in `outcomes`
    outcomes: tuple[str, ...]

    def parts(self) -> Iterator["Attempts"]:
        """All of them, some transactions together, in order: what is joined here is of a part."""
        begin = 0
        while begin < len(self.arrival):
            last = min(begin + ondisk.BLOCK, len(self.arrival)) - 1
            end = int(np.searchsorted(self.arrival, self.arrival[last], "right"))
            columns: dict[str, Any] = {
                name: np.asarray(getattr(self, name)[begin:end]) for name in COLUMNS
            }
            yield replace(self, **columns)
            begin = end

    @cached_property
    def transactions(self) -> int:
        """How many there are."""
        return sum(len(part.first) for part in self.parts())

    def statements(self, arrival: int) -> Ints:
        """Positions of a transaction's statements."""
        begin, end = (np.searchsorted(self.arrival, arrival, side) for side in ("left", "right"))
        return np.arange(begin, end)

    def among(self, wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
        """By template: whether it is wanted."""
        return np.array([wanted(name) for name in self.names], dtype=bool)

    @cached_property
    def first(self) -> Ints:
        """Position of each transaction's first statement."""
        return np.flatnonzero(np.diff(self.arrival, prepend=-1))

    @cached_property
    def last(self) -> Ints:
        """Position of each transaction's last statement."""
        return np.append(self.first[1:], len(self.arrival))[: len(self.first)] - 1

    @cached_property
    def number(self) -> Ints:
        """Of each statement: which transaction it is in, by position in `first`."""
        return np.repeat(np.arange(len(self.first)), self.last - self.first + 1)

    def any_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of each transaction: whether one of its statements is chosen."""
        return np.bincount(self.number, weights=chosen, minlength=len(self.first)) > 0

    @cached_property
    def sent(self) -> NDArray[np.bool_]:
        """Statements that reached the server."""
        return self.began_us >= 0

    @cached_property
    def service_us(self) -> Ints:
        """Time from sent to answered; 0 where it was never sent."""
        return np.where(self.sent, np.maximum(self.ended_us - self.began_us, 0), 0)

    @cached_property
    def slot_us(self) -> Ints:
        """Of each transaction: when it got its pool slot, or was given up."""
        got = np.where(self.sent, self.began_us - self.lag_us, self.ended_us)[self.first]
        return np.maximum(got, self.due_us[self.first])

    @cached_property
    def pool_wait_us(self) -> Ints:
        """Of each transaction: how long it waited for a pool slot."""
        return self.slot_us - self.due_us[self.first]

    @cached_property
    def latency_us(self) -> Ints:
        """Of each transaction: from due to the end of its last statement."""
        return self.ended_us[self.last] - self.due_us[self.first]

    @cached_property
    def mainly(self) -> Codes:
        """Of each transaction: the template of the statement that took the longest."""
        slowest = np.lexsort((self.service_us, self.number))[self.last]
        return self.template[slowest]
