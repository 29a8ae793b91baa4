"""How much of a value's share in a sample is its own: plain arithmetic.

A sample of sixty keys that lay anywhere among thousands has each once, and two or three twice by
chance; replayed a hundred times over, they would meet a hundred times as often as production's did.
So every value's count is cut down to what is to be expected of it (Good 1953: of those seen r times
(r + 1) n(r + 1) / n(r), n(r) being how many were seen r times), and the rest goes to values like it.
Pairs are as real as there are more of them than chance makes.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

_PAIR = 2
_HOT = 2  # times the share that a key would have if all were alike
_TURNS = 3
_NORMAL = 200  # mean of a Poisson variable from which it is a normal one, near enough
_MANY = 5  # values that were seen as often, or times that one was


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """How often two executions met, in a sample."""

    pairs: float = 0.0  # that met
    among: float = 0.0  # of so many
    squares: float = 0.0  # of how many each execution could have met, summed

    @classmethod
    def of(cls, seen: Counter[str], weight: float = 1.0) -> "Meeting":
        """Every two executions of one slot, each counted so much."""
        number = seen.total()
        pairs = sum(count * (count - 1) for count in seen.values()) / 2
        could = max(number - 1, 0) * weight
        return cls(
            pairs=pairs,
            among=number * weight * could / 2,
            squares=number * weight * could**2,
        )

    def __add__(self, other: "Meeting") -> "Meeting":
        return Meeting(
            pairs=self.pairs + other.pairs,
            among=self.among + other.among,
            squares=self.squares + other.squares,
        )

    def rate(self, expected: float, spread: float, worth: float) -> float:
        """The probability that two meet; what was expected is as sure as so many pairs make it.

        A pair is not alone: a key that is met once more meets all who met it. `spread` tells of that:
        the variance of how often an execution is met. What differs from the expected by more than its
        own error was not to be expected, and counts the more (as the positive-part estimate of James
        and Stein 1961 has it).
        """
        if not self.among:
            return expected
        met = self.pairs / self.among
        error = self.squares * spread / self.among**2 + max(met, expected) / self.among
        usual = max(expected**2 / worth, (met - expected) ** 2 - 2 * error)
        return (met * usual + expected * error) / (usual + error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Shares of a slot's copies that draws give to some values, whichever value was captured."""

    seen: Mapping[str, float] = field(default_factory=dict)  # to those that the slot met
    unseen: float = 0.0  # to all others
    square: float = 0.0  # the sum of the squares of the others' shares
    cube: float = 0.0  # of their cubes

    @property
    def total(self) -> float:
        """Of all copies."""
        return sum(self.seen.values()) + self.unseen


_NONE = Given()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Keys among which copies that meet no key in particular are spread."""

    size: int
    open: float  # the share that some of them have of all other copies

    @classmethod
    def of(cls, seen: Counter[str], size: int) -> "tuple[Rest, Collection[str]]":
        """All of `size` keys but the hot ones, and these: their share is known, and is all of it."""
        total = max(seen.total(), 1)
        hot = {value for value, count in seen.items() if count * size > _HOT * total}
        shared = sum(count for value, count in seen.items() if value not in hot)
        return cls(size=max(size - len(hot), 1), open=shared / total), hot


def own_shares(seen: Counter[str], chance: float) -> Mapping[str, float]:
    """Of each value's executions, the share that is its own; `chance`: that two meet by chance."""
    own = owned(seen.values(), chance)
    return {value: own[count] for value, count in seen.items()}


def meeting_by(
    seen: Counter[str], kept: Mapping[str, float], rest: Rest, given: Given = _NONE
) -> tuple[float, float]:
    """The probability that two copies meet, and the variance of how often one does, by its value."""
    own = _own(seen, kept, given)
    free = max(1 - sum(own.values()) - given.unseen, 0.0)
    met = sum(share**2 for share in own.values()) + given.square
    rate = met + free * (free + 2 * (1 - free) * rest.open) / rest.size
    return rate, max(sum(share**3 for share in own.values()) + given.cube - rate**2, 0.0)


def as_often(
    seen: Counter[str],
    kept: Mapping[str, float],
    rate: float,
    rest: Rest,
    given: Given = _NONE,
    *,
    seldomer: bool = True,
) -> Mapping[str, float]:
    """The kept shares, changed until two copies meet at a rate; never `seldomer` where that is not asked.

    What a value is to be expected to have does not tell how far values differ: most of those that were
    seen once are cold, but they meet more often than if each were any key. So more of all values is kept,
    of the often seen ones first, or less, of the seldom seen ones first.
    """
    for _ in range(_TURNS):  # the more is kept, the less is left to meet by chance
        missing = rate - meeting_by(seen, kept, rest, given)[0]
        if missing > 0:
            kept = _raised(seen, kept, missing, given)
        elif seldomer:
            kept = _lowered(seen, kept, -missing)
    return kept


def _raised(
    seen: Counter[str], kept: Mapping[str, float], missing: float, given: Given
) -> Mapping[str, float]:
    total, own, found = seen.total(), _own(seen, kept, given), dict(kept)
    for values in _by_turns(seen):
        rest = {value: seen[value] / total * (1 - kept[value]) for value in values}
        square = sum(share**2 for share in rest.values())
        cross = sum(own[value] * share for value, share in rest.items())
        if square > 0 and missing > 0:
            # The root of (own + more · rest)² = own² + missing, summed over the values.
            more = min((math.sqrt(cross**2 + square * missing) - cross) / square, 1.0)
            missing -= more * (2 * cross + more * square)
            found |= {value: kept[value] + more * (1 - kept[value]) for value in values}
    return found


def _lowered(seen: Counter[str], kept: Mapping[str, float], beyond: float) -> Mapping[str, float]:
    own, found = _own(seen, kept, _NONE), dict(kept)
    for values in reversed(_by_turns(seen)):
        square = sum(own[value] ** 2 for value in values)
        if square > 0 and beyond > 0:
            left = math.sqrt(max(1 - beyond / square, 0.0))
            beyond -= (1 - left**2) * square
            found |= {value: kept[value] * left for value in values}
    return found


def _own(seen: Counter[str], kept: Mapping[str, float], given: Given) -> Mapping[str, float]:
    total = max(seen.total(), 1)
    return {
        value: count / total * kept[value] + given.seen.get(value, 0.0)
        for value, count in seen.items()
    }


def _by_turns(seen: Counter[str]) -> tuple[Collection[str], Collection[str]]:
    often = {value for value, count in seen.items() if count >= _MANY}
    return often, seen.keys() - often


def at_least(count: int, mean: float) -> float:
    """The probability of so many, or more, of a Poisson variable."""
    if mean > _NORMAL:
        return math.erfc((count - 0.5 - mean) / math.sqrt(2 * mean)) / 2
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
