"""Where the copies of one slot's executions go: to the very key, to a popular one, or to one like it."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from replay.bind.popular import ALL, Popular, Reach, Sums
from replay.bind.shares import Given, Meeting, Rest, as_often, at_least, meeting_by
from replay.bind.span import Span

_WORTH = 8.0  # pairs; so many count for a slot meeting itself as often as it leans to what all meet
_MISSED = 3.0  # executions of a key: who should have so many may have none by chance
_CHANCE = 0.01  # so improbable, a key is not hot to the slot as it is to all
_TRIES = 8


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Going:
    """Of one slot's copies, how many go where."""

    kept: Mapping[str, float]  # of the copies of each key: they are that very key
    chance: float  # that one of the others is a popular key
    reach: Reach  # among the popular keys
    wanted: Mapping[
        int, float
    ]  # what is missing of popular keys' shares, by position; 1 of the rest

    @classmethod
    def of(
        cls,
        seen: Counter[str],
        own: Collection[str],
        popular: Popular,
        leaning: float,
        span: Span,
        rest: Rest,
    ) -> "Going":
        """What a slot met, some of it as often as only it does; how it leans, over which span."""
        reach = popular.reach(span)
        within = popular.within(reach)
        if within.square > 0:  # it met others there alone, and so the oftener
            leaning = min(leaning * popular.within(ALL).square / within.square, 1 / within.mass)
        total = seen.total()
        shares = {
            token: leaning * popular.shares[token]
            for token in _known(seen, popular, _MISSED / (total * max(leaning, 1e-9)))
            if span[0] <= popular.positions_of[token] <= span[1]
        }
        kept: Mapping[str, float] = {
            token: 1.0 if token in own else min(shares.get(token, 0.0) * total / count, 1.0)
            for token, count in seen.items()
        }
        given = _given(seen, kept, shares, within.times(leaning))
        met = Meeting.of(seen).rate(*meeting_by(seen, kept, rest, given), _WORTH)
        kept = as_often(seen, kept, met, rest, given, seldomer=False)
        free = 1 - sum(seen[token] / total * share for token, share in kept.items())
        return cls(
            kept=kept,
            chance=min(given.total / free, 1.0) if free > 0 and within.mass > 0 else 0.0,
            reach=reach,
            wanted={
                popular.positions_of[token]: given.seen.get(token, 0.0) / share
                for token, share in shares.items()
            },
        )

    def drawn(self, popular: Popular, rng: np.random.Generator) -> int | None:
        """A popular key for a copy that is not its very key, or None: one like it."""
        if not self.chance or rng.random() >= self.chance:
            return None
        for _ in range(_TRIES):
            position = popular.drawn(self.reach, rng)
            if rng.random() < self.wanted.get(position, 1.0):
                break
        return position


def _given(
    seen: Counter[str], kept: Mapping[str, float], shares: Mapping[str, float], all_: Sums
) -> Given:
    """What draws have to give: what the kept copies leave of the known keys' shares, and the others'."""
    total = seen.total()
    return Given(
        seen={
            token: max(share - kept.get(token, 0.0) * seen[token] / total, 0.0)
            for token, share in shares.items()
            if _may_be(seen[token], share * total)
        },
        unseen=max(all_.mass - sum(shares.values()), 0.0),
        square=max(all_.square - sum(share**2 for share in shares.values()), 0.0),
        cube=max(all_.cube - sum(share**3 for share in shares.values()), 0.0),
    )


def _known(seen: Counter[str], popular: Popular, least: float) -> Collection[str]:
    """The popular keys that a slot met, and those that it should have met."""
    hottest = takewhile(lambda token: popular.shares[token] >= least, popular.shares)
    return dict.fromkeys([*(token for token in seen if token in popular.shares), *hottest])


def _may_be(count: int, expected: float) -> bool:
    """Whether it is no more than chance that a key was met so seldom."""
    return count >= expected or 1 - at_least(count + 1, expected) > _CHANCE
