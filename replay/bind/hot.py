"""Which captured keys and values were hot, and where a copy of a cold one goes.

A value that two distinct kept transactions touched is hot, and so is a key that statistics name
among the common ones: it keeps its one counterpart, so that they meet again. A value that only one
touched stands for many like it, so each copy draws another: mostly a cold one, from where the cold
ones of its slot lay; but a slot that was seen a few times only says little of how often it meets
hot ones, so there its key domain's popularity has a say, as a prior worth `_PRIOR` executions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from data_gen.keys import KeyDomain
from replay.bind.alike import Alike
from replay.bind.slots import Kind, Place
from replay.bind.span import Span, span_of
from replay.workload import Statement, Transaction, Workload

_PRIOR = 2.0

Places = Callable[[Statement], tuple[Place, ...]]


@dataclass(slots=True)
class _Slot:
    """What was seen in one slot of a template."""

    size: int  # of its key domain
    hot: int = 0  # kept executions with a hot key
    cold: list[tuple[int, float]] = field(default_factory=list)  # the others' positions, weights


class Heat:
    """Hot values by space; positions for keys, hot or drawn."""

    def __init__(self, workload: Workload, places: Places, alike: Alike) -> None:
        self._alike = alike
        self._hot = _hot(workload, places)
        self._positions = _apart(self._hot, workload, places)
        self._slots: dict[tuple[str, int], _Slot] = {}
        popularity: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        touches: dict[str, float] = defaultdict(float)
        for transaction, template, place, token in _met(workload, places):
            if place.domain is None:
                continue
            slot = self._slots.setdefault((template, place.number), _Slot(place.domain.size))
            position = self.position(place, token)
            touches[place.space] += transaction.weight
            if self.is_hot(place, token):
                slot.hot += 1
                popularity[place.space][position] += transaction.weight
            else:
                slot.cold.append((position, transaction.weight))
        self._spans: dict[tuple[str, int], Span] = {
            name: span_of(slot.cold, slot.size) for name, slot in self._slots.items()
        }
        self._popular = {
            space: (tuple(weights), np.cumsum(list(weights.values())) / sum(weights.values()))
            for space, weights in popularity.items()
        }
        self._hot_share = {
            space: sum(weights.values()) / touches[space] for space, weights in popularity.items()
        }

    def is_hot(self, place: Place, token: str) -> bool:
        """Whether transactions meet at this value."""
        if place.domain is not None and token in place.domain.hot:
            return True
        return (place.space, token) in self._hot

    def position(self, place: Place, token: str) -> int:
        """Where the generated key for a captured one stands; hot ones share it with no other."""
        assert place.domain is not None
        found = self._positions.get((place.space, token))
        return place.domain.place(token) if found is None else found

    def drawn(self, template: str, place: Place, like: int, rng: np.random.Generator) -> int:
        """A position for one copy of a cold key that stands at the position `like`."""
        slot = self._slots.get((template, place.number))
        if slot is not None and rng.random() < self._turns_hot(slot, place.space):
            positions, edges = self._popular[place.space]
            return positions[int(np.searchsorted(edges, rng.random()))]
        assert place.domain is not None
        span = self._spans.get((template, place.number), (0, place.domain.size - 1))
        found = self._alike.drawn(place.domain, like, span, rng)
        return self.drawn_cold(template, place, rng) if found is None else found

    def drawn_cold(self, template: str, place: Place, rng: np.random.Generator) -> int:
        """A position where cold keys of the slot lay."""
        assert place.domain is not None
        whole = (0, place.domain.size - 1)
        low, high = self._spans.get((template, place.number), whole)
        return int(rng.integers(low, high + 1))

    def _turns_hot(self, slot: _Slot, space: str) -> float:
        """Probability that a copy of a cold key is a hot one: the posterior less what was hot."""
        prior = self._hot_share.get(space, 0.0)
        if not slot.cold:
            return prior
        seen = slot.hot + len(slot.cold)
        posterior = (slot.hot + _PRIOR * prior) / (seen + _PRIOR)
        return max(posterior - slot.hot / seen, 0.0) * seen / len(slot.cold)


def _hot(workload: Workload, places: Places) -> set[tuple[str, str]]:
    first: dict[tuple[str, str], int] = {}
    return {
        (place.space, token)
        for transaction, _, place, token in _met(workload, places)
        if first.setdefault((place.space, token), transaction.id) != transaction.id
    }


def _apart(
    hot: set[tuple[str, str]], workload: Workload, places: Places
) -> dict[tuple[str, str], int]:
    """A position of its own for each hot key, as near as can be to where it belongs."""
    domains: dict[str, KeyDomain] = {
        place.space: place.domain for _, _, place, _ in _met(workload, places) if place.domain
    }
    taken = {space: set(domain.hot.values()) for space, domain in domains.items()}
    positions: dict[tuple[str, str], int] = {}
    for space, token in sorted(hot):
        domain = domains.get(space)
        if domain is None or token in domain.hot or len(taken[space]) >= domain.size:
            continue
        position = domain.place(token)
        while position in taken[space]:
            position = (position + 1) % domain.size
        taken[space].add(position)
        positions[space, token] = position
    return positions


def _met(workload: Workload, places: Places) -> Iterator[tuple[Transaction, str, Place, str]]:
    """Captured keys and values, each with its transaction, template and place."""
    for transaction in workload.transactions:
        for statement in transaction.statements:
            for place, text in zip(places(statement), statement.values, strict=True):
                if text is not None and place.kind in {Kind.KEY, Kind.VALUE}:
                    for token in place.tokens(text):
                        yield transaction, statement.template, place, token
