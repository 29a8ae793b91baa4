"""How hot the keys of a domain are to all of its slots, and how much each slot goes by it: plain arithmetic.

Two statements meet at the keys that both find hot. So a domain has one hotness, taken from all that
its slots met, and a slot goes by it more or less than the average one does: who looks for authors meets
authors, who looks for anybody meets them as seldom as they are. How much is told by how often a slot
met what other slots met, for whose two shares multiply; slots that differ by no more than chance lean
alike.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replay.bind.shares import Meeting, Rest, as_often, at_least, meeting_by, own_shares

_CHANCE = 0.05  # so improbable in one slot, it is none
_PRIOR = 0.5  # executions; so many count for a kind of slots being as all are
_WORTH_OWN, _WORTH_SELF = 1.0, 4.0  # pairs: of what is expected, of what each slot met of itself
_TURNS = 12  # each brings the leanings closer; these are enough for a thousandth
_ALONE = 4.0  # times as often as others: no other slot goes by it
_ALIKE = 2.0  # standard errors
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What the slots of a domain have in common."""

    everywhere: Counter[str]  # executions of all slots by value
    shares: Mapping[str, float]  # of them, each value's own
    leanings: Sequence[
        float
    ]  # by slot: how much it goes by these shares; the executions' mean is 1
    hot: Collection[str]  # values that copies do not meet by chance
    rest: Rest

    @classmethod
    def of(cls, slots: Sequence[Counter[str]], size: int, chance: float) -> "Common":
        """Slots of a domain of `size` keys; `chance`: that two meet a key by chance."""
        everywhere = Counter[str]()
        for slot in slots:
            everywhere.update(slot)
        common = Counter(everywhere)
        for slot in slots:
            for value in beyond(slot, everywhere, _ALONE):
                common[value] -= slot[value]
        common = +common
        leanings, cross = _leanings(slots, common)
        rest, hot = Rest.of(common, size)
        own = own_shares(common, chance)
        rate, spread = meeting_by(common, own, rest)
        rate = _of_itself(slots, common, leanings).rate(rate, spread, _WORTH_OWN)
        own = as_often(common, own, cross.rate(rate, spread, _WORTH_SELF), rest)
        total = everywhere.total()
        return cls(
            everywhere=everywhere,
            shares={value: count / total * own[value] for value, count in common.items()},
            leanings=tuple(leanings.tolist()),
            hot=hot,
            rest=rest,
        )


def beyond(seen: Counter[str], everywhere: Mapping[str, int], times: float) -> Collection[str]:
    """Values that a slot met so many times as often as other slots did, and not by chance."""
    return {
        value
        for value, usual in _usual(seen, everywhere).items()
        if seen[value] > times * usual and at_least(seen[value], usual) * len(seen) < _CHANCE
    }


def unlike(seen: Counter[str], everywhere: Mapping[str, int]) -> Collection[str]:
    """Values that a slot met oftener or seldomer than other slots did, and not by chance."""
    return {
        value
        for value, usual in _usual(seen, everywhere).items()
        if min(at_least(seen[value], usual), 1 - at_least(seen[value] + 1, usual)) * len(seen)
        < _CHANCE
    }


def _usual(seen: Counter[str], everywhere: Mapping[str, int]) -> Mapping[str, float]:
    """How often a slot was to meet the values that it met again, as often as others did."""
    total = seen.total()
    others = sum(everywhere.values()) - total
    if others <= 0:
        return {}
    return {
        value: total * (everywhere[value] - count + 1) / others
        for value, count in seen.items()
        if count > 1
    }


def _leanings(slots: Sequence[Counter[str]], common: Counter[str]) -> tuple[_Floats, Meeting]:
    """How each slot leans, and how often two of different slots met, each counted as it leans."""
    number = np.array([slot.total() for slot in slots], float)
    met = np.array([_with_others(slot, common) for slot in slots], float)
    usual = sum(count**3 for count in common.values()) / max(common.total(), 1)
    error = np.array([_error(slot, common, usual) for slot in slots], float)
    of, pairs = np.ones(number.size), float(met.sum()) / 2
    for _ in range(_TURNS if pairs else 0):
        leant = number * of
        each = pairs / _of_two(leant) * (leant.sum() - leant)
        of = _alike(met, number * each, _PRIOR * each, error)
        of *= number.sum() / (number * of).sum()
    leant = number * of
    squares = float((leant * (leant.sum() - leant) ** 2).sum())
    return of, Meeting(pairs=pairs, among=_of_two(leant), squares=squares)


def _alike(met: _Floats, usual: _Floats, prior: _Floats, error: _Floats) -> _Floats:
    """How often slots met others as a multiple of what is usual, that of like ones in common.

    The prior is of the first of them.
    """
    sums: list[tuple[float, float]] = []  # of each group: met, usual
    group = np.zeros(met.size, np.int64)
    for slot in np.argsort(-usual, kind="stable").tolist():  # those that tell most come first
        away = [abs(met[slot] - one / all_ * usual[slot]) for one, all_ in sums]
        nearest = min(range(len(sums)), key=away.__getitem__, default=-1)
        if nearest < 0 or away[nearest] > _ALIKE * error[slot]:
            nearest = len(sums)
            sums.append((prior[slot], prior[slot]))
        group[slot] = nearest
        sums[nearest] = sums[nearest][0] + met[slot], sums[nearest][1] + usual[slot]
    return np.array([one / all_ for one, all_ in sums])[group]


def _with_others(slot: Counter[str], common: Mapping[str, int]) -> int:
    return sum(count * max(common.get(value, 0) - count, 0) for value, count in slot.items())


def _error(slot: Counter[str], common: Mapping[str, int], usual: float) -> float:
    """The standard error of how often a slot met others; `usual`: the square of one execution's."""
    squares = (count * max(common.get(value, 0) - count, 0) ** 2 for value, count in slot.items())
    return math.sqrt(sum(squares) + usual)


def _of_itself(
    slots: Sequence[Counter[str]], common: Mapping[str, int], leanings: _Floats
) -> Meeting:
    """Every two executions of the same slot, each counted as much as it leans."""
    own = [Counter({v: c for v, c in slot.items() if common.get(v, 0) >= c}) for slot in slots]
    each = (Meeting.of(slot, leaning) for slot, leaning in zip(own, leanings, strict=True))
    return sum(each, Meeting())


def _of_two(number: _Floats) -> float:
    return float(number.sum() ** 2 - (number**2).sum()) / 2
