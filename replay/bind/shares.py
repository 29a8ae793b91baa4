"""How much of a value's share in a sample is its own: plain arithmetic.

A sample of sixty keys that lay anywhere among thousands has each once, and two or three twice by
chance; replayed a hundred times over, they would meet a hundred times as often as production's did.
So every value's count is cut down to what is to be expected of it (Good 1953: of those seen r times
(r + 1) n(r + 1) / n(r), n(r) being how many were seen r times), and the rest goes to values like it.
Pairs are as real as there are more of them than chance makes.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_PAIR = 2
_CHANCE = 0.05  # so improbable in one slot, it is none
_MANY = 5  # values that were seen as often, or times that one was


@dataclass(slots=True)
class Pool:
    """The values that all statements met in one space."""

    seen: Counter[str] = field(default_factory=Counter)
    weights: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, value: str, weight: float) -> None:
        """Take note of one execution, which stands for `weight` of production's."""
        self.seen[value] += 1
        self.weights[value] += weight

    def shares(self, chance: float) -> Mapping[str, float]:
        """Each value's own share of all executions; `chance`: that two meet the same one by chance."""
        own, total = owned(self.seen.values(), chance), sum(self.weights.values())
        return {
            value: self.weights[value] / total * own[count] for value, count in self.seen.items()
        }


def kept_shares(seen: Counter[str], pool: Pool, own: Mapping[str, float]) -> Mapping[str, float]:
    """Of each value that one slot met: in what share of its executions it is that very one.

    That is all of it where the slot met the value more often than the pool's share of it lets chance do;
    else what the value's own share among all slots' executions makes of so many.
    """
    total, weight = seen.total(), sum(pool.weights.values())

    def kept(value: str, count: int) -> float:
        usual = total * pool.weights[value] / weight
        if count > 1 and _at_least(count, usual) * len(seen) < _CHANCE:
            return 1.0
        return min(own[value] * total / count, 1.0)

    return {value: kept(value, count) for value, count in seen.items()}


def as_often(seen: Counter[str], kept: Mapping[str, float], chance: float) -> Mapping[str, float]:
    """The kept shares, raised until two executions meet as often as the counted ones did.

    What a value is to be expected to have does not tell how far values differ: most of those that were
    seen once are cold, but they meet more often than if each were any key. So more of all values is kept,
    of the often seen ones first, until pairs are as many as the slot's were, `chance` being that two
    values which are spread meet. Few pairs say little: what is expected counts as one more.
    """
    total = seen.total()
    if total < _PAIR:
        return kept
    own = {value: count / total * kept[value] for value, count in seen.items()}
    expected = sum(share**2 for share in own.values()) + (1 - sum(own.values())) ** 2 * chance
    pairs = sum(count * (count - 1) for count in seen.values()) / 2
    of = total * (total - 1) / 2
    missing = (pairs + 1) / (of + 1 / expected) - expected
    often = {value for value, count in seen.items() if count >= _MANY}
    found = dict(kept)
    for values in (often, seen.keys() - often):
        rest = {value: seen[value] / total - own[value] for value in values}
        square = sum(share**2 for share in rest.values())
        cross = sum(own[value] * share for value, share in rest.items())
        if square > 0 and missing > 0:
            # The root of (own + more · rest)² = own² + missing, summed over the values.
            more = min((math.sqrt(cross**2 + square * missing) - cross) / square, 1.0)
            missing -= more * (2 * cross + more * square)
            found |= {value: kept[value] + more * (1 - kept[value]) for value in values}
    return found


def _at_least(count: int, mean: float) -> float:
    """The probability of so many, or more, of a Poisson variable."""
    terms = (math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count))
    return max(1.0 - sum(terms), 0.0)


def owned(counts: Iterable[int], chance: float) -> Mapping[int, float]:
    """By how often a value was seen: what share of that is its own."""
    times = Counter(counts)
    total = sum(seen * number for seen, number in times.items())
    if not times[1]:
        return dict.fromkeys(times, 1.0)
    pairs = max(times[2] - chance * total * (total - 1) / 2, 0.0)
    once = min(2 * pairs / times[1], 1.0)

    def share(seen: int) -> float:
        if seen == 1:
            return once
        if seen == _PAIR:
            return max(min(3 * times[3] / (2 * times[2]), 1.0), pairs / times[2])
        if times[seen] >= _MANY:
            return min((seen + 1) * times[seen + 1] / times[seen] / seen, 1.0)
        return 1 - (1 - once) / seen  # of so few values their own number tells too little

    return {seen: share(seen) for seen in list(times) if seen}
