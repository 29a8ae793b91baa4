"""How hot a key is that a sample shows: its own share of what it was seen with, the rest is chance."""

from collections import Counter

import numpy as np
import pytest

from replay.bind.shares import Pool, as_often, kept_shares, owned


def drawn(weights, size, seed):
    """Keys of a sample, by how often they were seen."""
    p = np.array(weights) / sum(weights)
    keys = np.random.default_rng(seed).choice(p.size, size, p=p)
    return Counter(map(str, keys.tolist()))


@pytest.mark.parametrize(
    ("weights", "size"),
    [([1] * 600, 60), ([1] * 600, 2000), ([1] * 4, 60), ([300, 100, *[1] * 600], 60)],
    ids=["cold", "all seen", "few", "two hot"],
)
def test_what_is_kept_of_all_keys_meets_itself_as_often_as_production_does(weights, size):
    assert 0.7 < met_again(weights, size, lambda _, kept, __: kept) < 1.4


@pytest.mark.parametrize("size", [60, 250])
@pytest.mark.parametrize("steep", [0.5, 0.7, 1.0])
def test_pairs_are_as_many_where_no_key_stands_out(steep, size):
    weights = [1 / (k + 10) ** steep for k in range(3000)]
    assert 0.8 < met_again(weights, size, as_often) < {60: 1.5, 250: 1.2}[size]


def met_again(weights, size, raised):
    """How often two copies meet, as a multiple of how often two of production's do; mean of samples."""
    p = np.array(weights) / sum(weights)
    met = []
    chance = 1 / p.size
    for seed in range(200):
        seen = drawn(weights, size, seed)
        pool = Pool()
        for key, count in seen.items():
            for _ in range(count):
                pool.add(key, 1.0)
        kept = raised(seen, kept_shares(seen, pool, pool.shares(chance)), chance)
        own = np.array([kept[key] * count / size for key, count in seen.items()])
        rest = max(1 - own.sum(), 0.0)  # spread over all
        met.append((own**2).sum() + 2 * rest * own.sum() / p.size + rest**2 / p.size)
    return np.mean(met) / (p**2).sum()


def test_values_that_none_is_alone_with_keep_all_of_their_share():
    assert owned([3, 2, 2], 0.1) == {3: 1.0, 2: 1.0}
    assert owned([1, 1, 1], 0.1)[1] == 0.0
    assert owned([1] * 50 + [40], 0.001)[40] == pytest.approx(39 / 40)
    assert owned([2, 1], 1e-6)[2] == pytest.approx(1.0, abs=0.001)  # of a million two met
    assert owned([2, 1], 0.5)[2] == 0.0  # of two: chance


def test_what_other_slots_met_counts_where_the_slot_says_little():
    pool = Pool()
    for key in ["hot"] * 50 + [str(n) for n in range(50)]:
        pool.add(key, 1.0)
    own = pool.shares(0.001)
    kept = kept_shares(Counter({"hot": 1, "7": 1}), pool, own)
    assert kept["hot"] == pytest.approx(1.0, abs=0.05)
    assert kept["7"] == 0.0


def test_what_one_slot_alone_meets_again_and_again_is_its_own():
    pool = Pool()
    for key in ["5"] * 20 + [str(n) for n in range(100, 1100)]:
        pool.add(key, 1.0)
    kept = kept_shares(Counter({"5": 20, "100": 1, "101": 1}), pool, pool.shares(0.001))
    assert kept["5"] == 1.0
    assert kept["100"] == 0.0
