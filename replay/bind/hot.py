"""Which captured keys and values were hot, and where a copy of a cold one goes.

A value that two distinct kept transactions touched is hot, and so is a key that statistics name
among the common ones: it has a counterpart of its own, so that they meet again, as often as its share
is its own (see shares). A value that only one touched stands for many like it, so most copies draw
another (but for as many as make two copies meet as often as the slot's did): mostly a cold one, from
where the cold ones of its slot lay; but a slot that was seen a few times only says little of how often
it meets hot ones, so there its key domain's popularity has a say, as a prior worth `_PRIOR` executions.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from data_gen.keys import KeyDomain
from replay.bind.alike import Alike
from replay.bind.met import Places, apart, hot_keys, met
from replay.bind.popular import Drawing, Popular
from replay.bind.shares import Pool, as_often, kept_shares
from replay.bind.slots import Place
from replay.bind.span import Span, span_of
from replay.workload import Workload

_PRIOR = 2.0
_TRIES = 8


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


class Heat:
    """Hot values by space; positions for keys, hot or drawn."""

    def __init__(self, workload: Workload, places: Places, alike: Alike) -> None:
        self._alike = alike
        self._hot = hot_keys(workload, places)
        self._positions = apart(self._hot, workload, places)
        self._slots: dict[tuple[str, int], _Slot] = {}
        pools: dict[str, Pool] = defaultdict(Pool)
        domains: dict[str, KeyDomain] = {}
        hot: dict[str, dict[str, int]] = defaultdict(dict)  # space -> positions
        known: set[tuple[str, ...]] = set()  # to one transaction, which counts once
        newest = -1
        for transaction, template, place, token in met(workload, places):
            if place.domain is None:
                continue
            if transaction.id != newest:
                newest, known = transaction.id, set()
            domains[place.space] = place.domain
            slot = self._slots.setdefault(
                (template, place.number), _Slot(place.space, place.domain.size)
            )
            in_space, in_slot = (place.space, token), (template, str(place.number), token)
            if in_space not in known:
                pools[place.space].add(token, transaction.weight)
            if in_slot not in known:
                slot.seen[token] += 1
                slot.number += 1
            known |= {in_space, in_slot}
            position = self.position(place, token)
            if self.is_hot(place, token):
                slot.low = min(slot.low, position) if slot.hot else position
                slot.high = max(slot.high, position)
                slot.hot += 1
                hot[place.space][token] = position
            else:
                slot.cold.append((position, transaction.weight))
        pooled = {space: pool.shares(alike.chance(domains[space])) for space, pool in pools.items()}
        self._spans: dict[tuple[str, int], Span] = {
            name: span_of(slot.cold, slot.size) for name, slot in self._slots.items()
        }
        self._popular = {
            space: Popular.of(pools[space], pooled[space], positions)
            for space, positions in hot.items()
        }
        self._kept = {
            name: as_often(
                slot.seen,
                kept_shares(slot.seen, pools[slot.space], pooled[slot.space]),
                self._least_chance(domains[slot.space]),
            )
            for name, slot in self._slots.items()
        }
        self._hot_in = hot
        self._missed: dict[tuple[str, int], Drawing | None] = {}
        self._turned: dict[tuple[str, int], Drawing | None] = {}

    def _least_chance(self, domain: KeyDomain) -> float:
        """That two meet at a key that is not popular: if all of these were alike, it could not be less."""
        popular = self._popular.get(domain.name)
        return 1 / max(domain.size - (len(popular.taken) if popular else 0), 1)

    def is_hot(self, place: Place, token: str) -> bool:
        """Whether transactions meet at this value."""
        if place.domain is not None and token in place.domain.hot:
            return True
        return (place.space, token) in self._hot

    def again(
        self, template: str, place: Place, token: str, rng: np.random.Generator
    ) -> int | None:
        """The position for one copy of a key: the very one, another hot one; None: one like it."""
        hot = self.is_hot(place, token)
        kept = self._kept.get((template, place.number), {}).get(token, float(hot))
        if rng.random() < kept:
            return self.position(place, token)
        if not hot:
            return None
        missed = self._cached(self._missed, template, place, self._missed_by)
        if missed is not None and rng.random() < missed.chance:
            return missed.drawn(rng)
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
        turned = self._cached(self._turned, template, place, self._turned_in)
        if turned is not None and rng.random() < turned.chance:
            return turned.drawn(rng)
        assert place.domain is not None
        low, high = self._spans.get((template, place.number), (0, place.domain.size - 1))
        span = min(low, like), max(high, like)
        slot, popular = (
            self._slots.get((template, place.number)),
            self._popular.get(place.space),
        )
        seen = slot.number if slot is not None else 1
        taken = popular.taken if popular is not None else ()  # these have all their executions
        for _ in range(_TRIES):
            found = self._alike.drawn(place.domain, like, span, seen, rng)
            if found is None:
                break
            if found not in taken:
                return found
        return self.drawn_cold(template, place, rng) if found is None else found

    def drawn_cold(self, template: str, place: Place, rng: np.random.Generator) -> int:
        """A position where cold keys of the slot lay."""
        assert place.domain is not None
        whole = (0, place.domain.size - 1)
        low, high = self._spans.get((template, place.number), whole)
        return int(rng.integers(low, high + 1))

    def _cached(
        self,
        known: dict[tuple[str, int], Drawing | None],
        template: str,
        place: Place,
        made: Callable[[_Slot, Popular, Mapping[str, float]], Drawing | None],
    ) -> Drawing | None:
        name = (template, place.number)
        if name not in known:
            slot, popular = self._slots.get(name), self._popular.get(place.space)
            kept = self._kept.get(name, {})
            known[name] = made(slot, popular, kept) if slot and popular else None
        return known[name]

    def _missed_by(
        self, slot: _Slot, popular: Popular, kept: Mapping[str, float]
    ) -> Drawing | None:
        """Popular keys that a slot did not meet: they come out of what it met by chance.

        Those that it met have their share already.
        """
        inside = (popular.positions >= slot.low) & (popular.positions <= slot.high)
        unseen = np.array([token not in slot.seen for token in popular.tokens])
        among = inside & unseen
        by_chance = sum(
            count * (1 - kept[token])
            for token, count in slot.seen.items()
            if token in self._hot_in[slot.space]
        )
        if not among.any() or by_chance <= 0:
            return None
        wanted = slot.number * float(popular.own[among].sum())
        return Drawing.of(popular, min(wanted / by_chance, 1.0), among)

    def _turned_in(
        self, slot: _Slot, popular: Popular, _kept: Mapping[str, float]
    ) -> Drawing | None:
        """All popular keys, where a slot was seen too seldom to say: the posterior less what was hot."""
        seen = slot.hot + len(slot.cold)
        posterior = (slot.hot + _PRIOR * popular.share) / (seen + _PRIOR)
        more = max(posterior - slot.hot / seen, 0.0) * seen
        chance = more / len(slot.cold) if slot.cold else popular.share
        return Drawing.of(popular, chance, np.ones(len(popular.tokens), np.bool_))
