"""Other keys whose rows look like a key's: of as many children, and with values as common.

So a copy of a statement that reads a customer of a hundred orders does not read one of none.
"""

import numpy as np

from data_gen.keys import KeyDomain
from data_gen.profile import SchemaProfile
from data_gen.rows import looks
from data_gen.shuffle import Ints
from replay.bind.span import Span
from replay.target import Generated

_ENOUGH = 8  # of one kind; fewer would be hit over and over, so that only their children count


class Alike:
    """Positions of keys by what their rows look like."""

    def __init__(self, profile: SchemaProfile, generated: Generated) -> None:
        self._profile = profile
        self._generated = generated
        self._groups: dict[str, tuple[_Groups, _Groups] | None] = {}

    def drawn(
        self, domain: KeyDomain, like: int, span: Span, rng: np.random.Generator
    ) -> int | None:
        """One of the keys that look like the one at a position, if any in the span; None: unknown."""
        groups = self._of(domain)
        if groups is None:
            return None
        for group, least in zip(groups, (_ENOUGH, 1), strict=True):
            found = group.around(like, span)
            if found.size >= least:
                return int(found[rng.integers(found.size)])
        return None

    def _of(self, domain: KeyDomain) -> "tuple[_Groups, _Groups] | None":
        if domain.name not in self._groups:
            made = self._generated
            kinds = looks(
                self._profile,
                domain.table,
                domain.column,
                scale=made.scale,
                seed=made.seed,
                base_time=made.base_time,
            )
            found = None if kinds is None else (_Groups(kinds[0]), _Groups(kinds[1]))
            self._groups[domain.name] = found
        return self._groups[domain.name]


class _Groups:
    """Positions by kind, ascending."""

    def __init__(self, kinds: Ints) -> None:
        self._kinds = kinds
        self._order = np.argsort(kinds, kind="stable")
        self._starts = np.searchsorted(kinds[self._order], np.arange(int(kinds.max()) + 2))

    def around(self, position: int, span: Span) -> Ints:
        """Positions of the same kind inside the span."""
        kind = int(self._kinds[position])
        group: Ints = self._order[self._starts[kind] : self._starts[kind + 1]]
        low, high = np.searchsorted(group, [span[0], span[1] + 1])
        return group[low:high]
