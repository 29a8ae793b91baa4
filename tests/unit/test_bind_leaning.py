"""Statements of several templates meet at a domain's keys as often as production's did."""

from collections import Counter

import numpy as np
import pytest

from replay.bind.going import Going
from replay.bind.leaning import Common, unlike
from replay.bind.popular import Popular

SIZE = 3000
HOT = np.array([1 / (k + 3) ** 0.8 for k in range(SIZE)])
HOT /= HOT.sum()
ANY = np.ones(SIZE) / SIZE
OTHER = np.roll(HOT, 1500)


class Copies:
    """What copies of some slots meet: the share that each key has of them."""

    def __init__(self, *slots: Counter[str], size: int = SIZE) -> None:
        common = Common.of(slots, size, 1 / size)
        positions = {key: int(key) for key in common.everywhere}
        self._popular = Popular.of(common.shares, positions)
        self._rest = np.array([str(key) not in common.hot for key in range(size)])
        self.leanings = common.leanings
        self.shares = [
            self._of(
                slot,
                Going.of(
                    slot,
                    unlike(slot, common.everywhere),
                    self._popular,
                    leaning,
                    (0, size - 1),
                    common.rest,
                ),
            )
            for slot, leaning in zip(slots, common.leanings, strict=True)
        ]

    def _of(self, slot: Counter[str], going: Going) -> np.ndarray:
        shares = np.zeros(self._rest.size)
        for key, count in slot.items():
            shares[int(key)] += going.kept[key] * count / slot.total()
        free = 1 - shares.sum()
        wanted = np.zeros(self._rest.size)
        for key, share in self._popular.shares.items():
            wanted[int(key)] = share * going.wanted.get(int(key), 1.0)
        popular = free * going.chance if wanted.any() else 0.0
        shares += popular * wanted / max(wanted.sum(), 1e-9)
        return shares + (free - popular) * self._rest / max(self._rest.sum(), 1)


def sample(p: np.ndarray, size: int, rng: np.random.Generator) -> Counter[str]:
    return Counter(map(str, rng.choice(p.size, size, p=p).tolist()))


def rates(*slots: tuple[np.ndarray, int], samples: int = 60) -> np.ndarray:
    """How often two slots' copies meet, as a multiple of how often production's do; mean of samples."""
    met = []
    for seed in range(samples):
        rng = np.random.default_rng(seed)
        shares = np.array(Copies(*(sample(p, size, rng) for p, size in slots)).shares)
        met.append(shares @ shares.T)
    p = np.array([p for p, _ in slots])
    return np.mean(met, axis=0) / (p @ p.T)


def test_statements_meet_one_another_as_often_as_themselves():
    met = rates((HOT, 240), (HOT, 60), (HOT, 160), (ANY, 100))
    assert met[0, 0] == pytest.approx(1.0, abs=0.12)
    assert met[0, 1] == pytest.approx(1.0, abs=0.12)
    assert met[1, 2] == pytest.approx(1.0, abs=0.12)


def test_who_looks_for_any_key_does_not_meet_the_hot_ones_for_it():
    met = rates((HOT, 240), (HOT, 120), (ANY, 120), (ANY, 60))
    assert met[0, 2] < 2
    assert met[2, 2] < 2
    rng = np.random.default_rng(5)
    lean = Copies(sample(HOT, 240, rng), sample(HOT, 120, rng), sample(ANY, 240, rng)).leanings
    assert lean[0] == pytest.approx(lean[1], rel=0.2)
    assert lean[2] < lean[0] / 4


def test_slots_whose_hot_keys_are_others_meet_themselves_oftener_than_one_another():
    met = rates((HOT, 240), (OTHER, 240), samples=20)
    assert met[0, 0] > 0.6
    assert met[0, 1] < 1.6


def test_the_only_slot_with_hot_keys_meets_itself_as_often_as_it_did():
    met = rates((HOT, 240), (ANY, 120), (ANY, 60))
    assert met[0, 0] == pytest.approx(1.0, abs=0.25)
    assert met[1, 1] < 2


def test_a_key_that_one_slot_alone_meets_again_and_again_is_no_others():
    rng = np.random.default_rng(1)
    alone = Counter({"2999": 30, **sample(HOT, 30, rng)})
    copies = Copies(alone, sample(HOT, 200, rng))
    assert copies.shares[0][2999] == pytest.approx(0.5, abs=0.02)
    assert copies.shares[1][2999] < 0.01


def test_of_two_keys_each_slot_has_its_own_mix():
    slots = Counter({"0": 100}), Counter({"1": 30}), Counter({"0": 20, "1": 20})
    first, second, both = Copies(*slots, size=2).shares
    assert first == pytest.approx([1, 0], abs=0.02)
    assert second == pytest.approx([0, 1], abs=0.02)
    assert both == pytest.approx([0.5, 0.5], abs=0.06)


def test_a_slot_seen_once_goes_by_what_all_have_in_common():
    rng = np.random.default_rng(2)
    copies = Copies(Counter({"2500": 1}), Counter({"7": 60, **sample(ANY, 40, rng)}))
    assert 0.2 < copies.shares[0][7] < 0.65
