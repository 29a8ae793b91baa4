"""Which captured keys and values were hot, and where a copy of a transaction meets them.

A value that two distinct kept transactions touched is hot, and so is a key that statistics name among
the common ones: it has a counterpart of its own. How hot a key is, is told by all slots of its domain
together, so that two statements meet at it as often as production's did, and not each only itself: a
slot's copies are spread by that common hotness, as far as the slot leans to it (see leaning). Keys that
one slot alone meets again and again stay that slot's own. What is left of a sample's keys stands for
many that were met once: its copies go to keys whose rows look like theirs, from where the cold ones of
the slot lay.
"""

from collections import defaultdict

import numpy as np

from data_gen.keys import KeyDomain
from replay.bind.alike import Alike
from replay.bind.going import Going
from replay.bind.leaning import Common, unlike
from replay.bind.met import Name, Places, apart, hot_keys, slots_of
from replay.bind.popular import Popular
from replay.bind.slots import Place
from replay.bind.span import Span, span_of
from replay.workload import Workload

_TRIES = 8


class Heat:
    """Hot values by space; positions for keys, hot or drawn."""

    def __init__(self, workload: Workload, places: Places, alike: Alike) -> None:
        self._alike = alike
        self._hot = hot_keys(workload, places)
        self._slots = slots_of(workload, places)
        domains = {slot.domain.name: slot.domain for slot in self._slots.values()}
        by_space: dict[str, list[Name]] = defaultdict(list)
        for name in sorted(self._slots):
            if self._slots[name].first:
                by_space[self._slots[name].domain.name].append(name)
        self._common = {
            space: Common.of(
                [self._slots[name].first for name in names],
                domains[space].size,
                alike.chance(domains[space]),
            )
            for space, names in by_space.items()
        }
        self._leaning = {
            name: leaning
            for space, names in by_space.items()
            for name, leaning in zip(names, self._common[space].leanings, strict=True)
        }
        shares = {space: common.shares for space, common in self._common.items()}
        popular = {(space, t) for space, own in shares.items() for t, s in own.items() if s > 0}
        self._positions = apart(self._hot | popular, domains)
        self._popular = {
            space: Popular.of(own, {t: self._at(domains[space], t) for t in own})
            for space, own in shares.items()
        }
        self._taken = {
            space: {self._at(domains[space], token) for token in common.hot}
            for space, common in self._common.items()
        }
        self._goings: dict[Name, Going] = {}
        self._spans: dict[Name, Span] = {}

    def is_hot(self, place: Place, token: str) -> bool:
        """Whether transactions meet at this value."""
        if place.domain is not None and token in place.domain.hot:
            return True
        return (place.space, token) in self._hot

    def again(
        self, template: str, place: Place, token: str, rng: np.random.Generator
    ) -> int | None:
        """The position for one copy of a key: the very one, a popular one; None: one like it."""
        assert place.domain is not None
        hot = self.is_hot(place, token)
        going = self._going((template, place.number))
        if rng.random() < (going.kept.get(token, float(hot)) if going else float(hot)):
            return self.position(place, token)
        found = going.drawn(self._popular[place.space], rng) if going else None
        if found is None and token in place.domain.hot and not self._alike.knows(place.domain):
            return self.position(place, token)  # nothing tells which are like it
        return found

    def position(self, place: Place, token: str) -> int:
        """Where the generated key for a captured one stands; hot ones share it with no other."""
        assert place.domain is not None
        return self._at(place.domain, token)

    def drawn(self, template: str, place: Place, like: int, rng: np.random.Generator) -> int:
        """A position for one copy of a key that stands at the position `like`, and for others."""
        assert place.domain is not None
        name = (template, place.number)
        low, high = self._cold(name) if name in self._slots else (0, place.domain.size - 1)
        span = min(low, like), max(high, like)
        seen = self._slots[name].seen.total() if name in self._slots else 1
        taken = self._taken.get(place.space, ())  # these have all their executions
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
        name = (template, place.number)
        low, high = self._cold(name) if name in self._slots else (0, place.domain.size - 1)
        return int(rng.integers(low, high + 1))

    def _at(self, domain: KeyDomain, token: str) -> int:
        found = self._positions.get((domain.name, token))
        return domain.place(token) if found is None else found

    def _cold(self, name: Name) -> Span:
        """Where the keys lay that are not hot."""
        if name not in self._spans:
            self._spans[name] = self._span(name, only_cold=True)
        return self._spans[name]

    def _span(self, name: Name, *, only_cold: bool) -> Span:
        slot = self._slots[name]
        space, hot = slot.domain.name, slot.domain.hot
        lay = [
            (self._at(slot.domain, token), weight)
            for token, weight in slot.weights.items()
            if not only_cold or not (token in hot or (space, token) in self._hot)
        ]
        return span_of(lay, slot.domain.size)

    def _going(self, name: Name) -> Going | None:
        """Of a slot that was met; made when it is asked for first."""
        if name not in self._slots:
            return None
        if name not in self._goings:
            slot = self._slots[name]
            common = self._common[slot.domain.name]
            self._goings[name] = Going.of(
                slot.seen,
                unlike(slot.seen, common.everywhere),
                self._popular[slot.domain.name],
                self._leaning.get(name, 1.0),
                self._span(name, only_cold=False),
                common.rest,
            )
        return self._goings[name]
