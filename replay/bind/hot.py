"""Which captured keys and values were hot, and where a copy of a cold one goes.

A value that two distinct kept transactions touched is hot, and so is a key that statistics name
among the common ones: it has a counterpart of its own, so that they meet again, as often as its share
is its own (see shares). A value that only one touched stands for many like it, so each copy draws
another: mostly a cold one, from where the cold ones of its slot lay; but a slot that was seen a few
times only says little of how often it meets hot ones, so there its key domain's popularity has a say,
as a prior worth `_PRIOR` executions.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from data_gen.keys import KeyDomain
from replay.bind.alike import Alike
from replay.bind.shares import Pool, kept_shares
from replay.bind.slots import Kind, Place
from replay.bind.span import Span, span_of
from replay.workload import Statement, Transaction, Workload

_PRIOR = 2.0
_TRIES = 8

Places = Callable[[Statement], tuple[Place, ...]]


@dataclass(slots=True)
class _Slot:
    """What was seen in one slot of a template."""

    space: str
    size: int  # of its key domain
    seen: Counter[str] = field(default_factory=Counter)  # kept executions by key
    number: int = 0  # of them, a transaction's counted once
    hot: int = 0  # kept executions with a hot key
    low: int = 0  # position of the first hot key
    high: int = -1  # of the last; before the first where there is none
    cold: list[tuple[int, float]] = field(default_factory=list)  # the others' positions, weights


@dataclass(frozen=True, slots=True, eq=False)
class Popular:
    """The hot keys of a space."""

    positions: tuple[int, ...]
    edges: npt.NDArray[np.float64]  # sums of their own shares, 1 at the end
    share: float  # of all executions that met one of them
    own: float  # what part of that is theirs, and not chance

    @classmethod
    def of(
        cls, pool: Pool, shares: Mapping[str, float], hot: Mapping[str, int]
    ) -> "Popular | None":
        """Those of the hot keys that have a share of their own; None where none has."""
        own = {token: shares[token] for token in hot if shares[token] > 0}
        share = sum(pool.weights[token] for token in hot) / sum(pool.weights.values())
        edges = np.cumsum(list(own.values()))
        if not own:
            return None
        return cls(
            positions=tuple(hot[token] for token in own),
            edges=edges / edges[-1],
            share=share,
            own=min(float(edges[-1]) / share, 1.0),
        )

    def drawn(self, rng: np.random.Generator) -> int:
        """One of them, by its own share."""
        return self.positions[int(np.searchsorted(self.edges, rng.random()))]


class Heat:
    """Hot values by space; positions for keys, hot or drawn."""

    def __init__(self, workload: Workload, places: Places, alike: Alike) -> None:
        self._alike = alike
        self._hot = _hot(workload, places)
        self._positions = _apart(self._hot, workload, places)
        self._slots: dict[tuple[str, int], _Slot] = {}
        pools: dict[str, Pool] = defaultdict(Pool)
        chances: dict[str, float] = {}
        hot: dict[str, dict[str, int]] = defaultdict(dict)  # space -> positions
        met: set[tuple[str, ...]] = set()  # by one transaction, which counts once
        newest = -1
        for transaction, template, place, token in _met(workload, places):
            if place.domain is None:
                continue
            if transaction.id != newest:
                newest, met = transaction.id, set()
            chances[place.space] = alike.chance(place.domain)
            slot = self._slots.setdefault(
                (template, place.number), _Slot(place.space, place.domain.size)
            )
            in_space, in_slot = (place.space, token), (template, str(place.number), token)
            if in_space not in met:
                pools[place.space].add(token, transaction.weight)
            if in_slot not in met:
                slot.seen[token] += 1
                slot.number += 1
            met |= {in_space, in_slot}
            position = self.position(place, token)
            if self.is_hot(place, token):
                slot.low = min(slot.low, position) if slot.hot else position
                slot.high = max(slot.high, position)
                slot.hot += 1
                hot[place.space][token] = position
            else:
                slot.cold.append((position, transaction.weight))
        pooled = {space: pool.shares(chances[space]) for space, pool in pools.items()}
        self._kept = {
            name: kept_shares(slot.seen, pools[slot.space], pooled[slot.space])
            for name, slot in self._slots.items()
        }
        self._spans: dict[tuple[str, int], Span] = {
            name: span_of(slot.cold, slot.size) for name, slot in self._slots.items()
        }
        self._popular = {
            space: Popular.of(pools[space], pooled[space], positions)
            for space, positions in hot.items()
        }

    def is_hot(self, place: Place, token: str) -> bool:
        """Whether transactions meet at this value."""
        if place.domain is not None and token in place.domain.hot:
            return True
        return (place.space, token) in self._hot

    def again(
        self, template: str, place: Place, token: str, rng: np.random.Generator
    ) -> int | None:
        """The position for one copy of a hot key: the very one, another hot one; None: one like it."""
        kept = self._kept.get((template, place.number), {}).get(token, 1.0)
        if rng.random() < kept:
            return self.position(place, token)
        popular, slot = self._popular.get(place.space), self._slots.get((template, place.number))
        if popular is not None and slot is not None and rng.random() < popular.own:
            for _ in range(_TRIES):
                found = popular.drawn(rng)
                if slot.low <= found <= slot.high:
                    return found
        assert place.domain is not None
        if token in place.domain.hot and not self._alike.knows(place.domain):
            return self.position(place, token)  # nothing tells which are like it
        return None

    def position(self, place: Place, token: str) -> int:
        """Where the generated key for a captured one stands; hot ones share it with no other."""
        assert place.domain is not None
        found = self._positions.get((place.space, token))
        return place.domain.place(token) if found is None else found

    def drawn(self, template: str, place: Place, like: int, rng: np.random.Generator) -> int:
        """A position for one copy of a key that stands at the position `like`, and for others."""
        slot = self._slots.get((template, place.number))
        popular = self._popular.get(place.space)
        if popular and slot and rng.random() < self._turns_hot(slot, popular.share):
            return popular.drawn(rng)
        assert place.domain is not None
        low, high = self._spans.get((template, place.number), (0, place.domain.size - 1))
        span = min(low, like), max(high, like)
        seen = slot.number if slot is not None else 1
        found = self._alike.drawn(place.domain, like, span, seen, rng)
        return self.drawn_cold(template, place, rng) if found is None else found

    def drawn_cold(self, template: str, place: Place, rng: np.random.Generator) -> int:
        """A position where cold keys of the slot lay."""
        assert place.domain is not None
        whole = (0, place.domain.size - 1)
        low, high = self._spans.get((template, place.number), whole)
        return int(rng.integers(low, high + 1))

    def _turns_hot(self, slot: _Slot, prior: float) -> float:
        """Probability that a copy of a cold key is a hot one: the posterior less what was hot."""
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
