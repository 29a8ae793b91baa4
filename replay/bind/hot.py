"""Which captured keys and values were hot, and where a copy of a cold one goes.

A value that two distinct kept transactions touched is hot: it keeps its one counterpart, so that
they meet again. A value that only one touched stands for many like it, so each copy draws another:
mostly a cold one, from where the cold ones of its slot lay; but a slot that was seen a few times
only says little of how often it meets hot ones, so there its key domain's popularity has a say,
as a prior worth `_PRIOR` executions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from replay.bind.slots import Kind, Place
from replay.workload import Statement, Transaction, Workload

_PRIOR = 8.0

Places = Callable[[Statement], tuple[Place, ...]]


@dataclass(slots=True)
class _Slot:
    """What was seen in one slot of a template."""

    hot: int = 0  # kept executions with a hot key
    cold: list[int] = field(default_factory=list)  # positions of the others' keys


class Heat:
    """Hot values by space; positions for keys, hot or drawn."""

    def __init__(self, workload: Workload, places: Places) -> None:
        self._hot = _hot(workload, places)
        self._slots: dict[tuple[str, int], _Slot] = defaultdict(_Slot)
        popularity: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        touches: dict[str, float] = defaultdict(float)
        for transaction in workload.transactions:
            for statement, place, token in _met(transaction, places):
                if place.domain is None or place.array:
                    continue
                slot = self._slots[statement.template, place.number]
                touches[place.space] += transaction.weight
                if self.is_hot(place.space, token):
                    slot.hot += 1
                    popularity[place.space][token] += transaction.weight
                else:
                    slot.cold.append(place.domain.place(token))
        self._popular = {
            space: (tuple(tokens), np.cumsum(list(tokens.values())) / sum(tokens.values()))
            for space, tokens in popularity.items()
        }
        self._hot_share = {
            space: sum(tokens.values()) / touches[space] for space, tokens in popularity.items()
        }

    def is_hot(self, space: str, token: str) -> bool:
        """Whether at least two kept transactions touched this value."""
        return (space, token) in self._hot

    def position(self, template: str, place: Place, token: str, rng: np.random.Generator) -> int:
        """Position of the generated key that this copy of a captured key gets."""
        domain = place.domain
        assert domain is not None
        if self.is_hot(place.space, token):
            return domain.place(token)
        slot = self._slots[template, place.number]
        if rng.random() < self._turns_hot(slot, place.space):
            tokens, edges = self._popular[place.space]
            return domain.place(tokens[int(np.searchsorted(edges, rng.random()))])
        if len(slot.cold) < 2:
            return int(rng.integers(domain.size))
        return int(rng.integers(min(slot.cold), max(slot.cold) + 1))

    def _turns_hot(self, slot: _Slot, space: str) -> float:
        """Probability that a copy of a cold key is a hot one: the posterior less what was hot."""
        seen, prior = slot.hot + len(slot.cold), self._hot_share.get(space, 0.0)
        if not seen or not slot.cold:
            return prior
        posterior = (slot.hot + _PRIOR * prior) / (seen + _PRIOR)
        return max(posterior - slot.hot / seen, 0.0) * seen / len(slot.cold)


def _hot(workload: Workload, places: Places) -> set[tuple[str, str]]:
    first: dict[tuple[str, str], int] = {}
    return {
        (place.space, token)
        for transaction in workload.transactions
        for _, place, token in _met(transaction, places)
        if first.setdefault((place.space, token), transaction.id) != transaction.id
    }


def _met(transaction: Transaction, places: Places) -> Iterator[tuple[Statement, Place, str]]:
    """Keys and values of a transaction, each with its statement and place."""
    for statement in transaction.statements:
        for place, token in zip(places(statement), statement.values, strict=True):
            if token is not None and place.kind in {Kind.KEY, Kind.VALUE}:
                yield statement, place, token
