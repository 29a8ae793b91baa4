"""Other keys whose rows look like a key's: of about as many children, and with values as common.

So a copy of a statement that reads a customer of a hundred orders does not read one of none. How wide
"about" is depends on how many keys a slot was seen with: each of twenty stands for a twentieth of all.
"""

import numpy as np

from data_gen.keys import KeyDomain
from data_gen.profile import SchemaProfile
from data_gen.rows import looks
from data_gen.shuffle import Ints
from replay.bind.span import Span
from replay.target import Generated

_ENOUGH = 8  # keys of one kind; fewer would be hit over and over
_WIDER = 4  # times its share of all keys, over which each key seen is spread
_TWICE = 2  # children more or fewer at most
_TRIES = 8


class Alike:
    """Positions of keys by what their rows look like."""

    def __init__(self, profile: SchemaProfile, generated: Generated) -> None:
        self._profile = profile
        self._generated = generated
        self._groups: dict[str, tuple[_Groups, _Groups] | None] = {}

    def knows(self, domain: KeyDomain) -> bool:
        """Whether anything is known of what the domain's rows look like."""
        return self._of(domain) is not None

    def chance(self, domain: KeyDomain) -> float:
        """The probability that two who pick a key by its children pick the same."""
        groups = self._of(domain)
        return 1 / max(domain.size, 1) if groups is None else groups[1].chance

    def drawn(
        self, domain: KeyDomain, like: int, span: Span, seen: int, rng: np.random.Generator
    ) -> int | None:
        """One of the keys that look like the one at a position, if any in the span; None: unknown.

        `seen` is the number of keys that the slot was seen with.
        """
        groups = self._of(domain)
        if groups is None:
            return None
        wanted = max(_ENOUGH, _WIDER * domain.size // max(seen, 1))
        one, every = (group.around(like, wanted) for group in groups)
        enough = one[1] - one[0] >= min(wanted, every[1] - every[0])
        first, rest = (0, 1) if enough else (1, 0)
        for number in (first, rest):
            found = groups[number].drawn((one, every)[number], span, rng)
            if found is not None:
                return found
        return None

    def _of(self, domain: KeyDomain) -> "tuple[_Groups, _Groups] | None":
        if domain.name not in self._groups:
            made = self._generated
            found = looks(
                self._profile,
                domain.table,
                domain.column,
                scale=made.scale,
                seed=made.seed,
                base_time=made.base_time,
            )
            self._groups[domain.name] = (
                None
                if found is None
                else (_Groups(*found), _Groups(np.zeros_like(found[0]), found[1]))
            )
        return self._groups[domain.name]


class _Groups:
    """Positions by kind and number of children, ascending; those with more are drawn more often."""

    def __init__(self, kinds: Ints, children: Ints) -> None:
        self._kinds = kinds
        self._children = children
        self._order = np.lexsort((children, kinds))
        self._sorted = children[self._order]
        self._sums = np.concatenate(([0], np.cumsum(self._sorted + 1)))
        shares = (self._sorted + 1) / self._sums[-1]
        self.chance = float((shares**2).sum())
        self._starts = np.searchsorted(kinds[self._order], np.arange(int(kinds.max()) + 2))

    def around(self, position: int, wanted: int) -> Span:
        """Where keys of the same kind and about as many children stand: as many as wanted, or all alike."""
        kind, children = int(self._kinds[position]), int(self._children[position])
        begin, end = (int(at) for at in self._starts[kind : kind + 2])
        own = self._sorted[begin:end]
        asked = [children, -(-children // _TWICE)], [children, children * _TWICE]
        low, least = begin + np.searchsorted(own, asked[0], side="left")
        high, most = begin + np.searchsorted(own, asked[1], side="right")
        missing = max(wanted - (int(high) - int(low)), 0)
        first = max(int(low) - -(-missing // 2), int(least))
        return first, min(first + max(wanted, int(high) - first), int(most))

    def drawn(self, among: Span, span: Span, rng: np.random.Generator) -> int | None:
        """One of those in a part of the order, as far as they lie in the span."""
        low, high = (int(self._sums[at]) for at in among)
        if low == high:
            return None
        for _ in range(_TRIES):
            at = int(np.searchsorted(self._sums, rng.integers(low, high), side="right")) - 1
            position = int(self._order[at])
            if span[0] <= position <= span[1]:
                return position
        part = self._order[among[0] : among[1]]
        inside = part[(part >= span[0]) & (part <= span[1])]
        return int(inside[rng.integers(inside.size)]) if inside.size else None
