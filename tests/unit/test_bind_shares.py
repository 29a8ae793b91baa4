"""How hot a key is that a sample shows: its own share of what it was seen with, the rest is chance."""

from collections import Counter

import numpy as np
import pytest

from replay.bind.shares import Meeting, Rest, as_often, at_least, meeting_by, own_shares, owned


def drawn(weights, size, seed):
    """Keys of a sample, by how often they were seen."""
    p = np.array(weights) / sum(weights)
    keys = np.random.default_rng(seed).choice(p.size, size, p=p)
    return Counter(map(str, keys.tolist()))


@pytest.mark.parametrize("size", [60, 250])
@pytest.mark.parametrize("steep", [0.5, 0.7, 1.0])
def test_pairs_are_as_many_as_production_has(steep, size):
    p = np.array([1 / (k + 10) ** steep for k in range(3000)])
    p /= p.sum()
    met = []
    for seed in range(200):
        seen = drawn(p, size, seed)
        rest, _ = Rest.of(seen, p.size)
        own = own_shares(seen, 1 / p.size)
        rate = Meeting.of(seen).rate(*meeting_by(seen, own, rest), 1.0)
        met.append(meeting_by(seen, as_often(seen, own, rate, rest), rest)[0])
    assert 0.8 < np.mean(met) / (p**2).sum() < {60: 1.5, 250: 1.2}[size]


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.05, 0.15])
def test_shares_are_changed_until_copies_meet_at_a_rate(rate):
    seen = Counter({"hot": 20, "warm": 4, **{str(n): 1 for n in range(60)}})
    rest, hot = Rest.of(seen, 5000)
    kept = as_often(seen, dict.fromkeys(seen, 0.5), rate, rest)
    assert meeting_by(seen, kept, rest)[0] == pytest.approx(min(rate, 476 / 84**2), rel=0.03)
    assert hot == set(seen)


def test_copies_that_should_not_meet_seldomer_never_do():
    seen = Counter({"hot": 20, **{str(n): 1 for n in range(60)}})
    kept = dict.fromkeys(seen, 0.5)
    assert as_often(seen, kept, 1e-6, Rest(size=100, open=0.0), seldomer=False) == kept


def test_of_few_keys_the_unhot_ones_are_met_by_chance_too():
    rest, hot = Rest.of(Counter({"a": 90, "b": 5, "c": 5}), 3)
    assert (rest.size, rest.open, hot) == (2, pytest.approx(0.1), {"a"})


def test_few_pairs_say_less_than_many_and_least_where_one_key_makes_them_all():
    assert Meeting().rate(0.01, 0.0, 1.0) == 0.01
    few, many = (Meeting(pairs=n, among=n * 20, squares=n * 1000) for n in (2, 200))
    assert 0.01 < few.rate(0.01, 0.0, 4.0) < many.rate(0.01, 0.0, 4.0) < 0.05
    assert many.rate(0.01, 0.1, 4.0) < many.rate(0.01, 0.0, 4.0)


def test_values_that_none_is_alone_with_keep_all_of_their_share():
    assert owned([3, 2, 2], 0.1) == {3: 1.0, 2: 1.0}
    assert owned([1, 1, 1], 0.1)[1] == 0.0
    assert owned([1] * 50 + [40], 0.001)[40] == pytest.approx(39 / 40)
    assert owned([2, 1], 1e-6)[2] == pytest.approx(1.0, abs=0.001)  # of a million two met
    assert owned([2, 1], 0.5)[2] == 0.0  # of two: chance


def test_many_of_a_poisson_variable_are_as_probable_either_way_of_counting():
    assert at_least(1, 3.0) == pytest.approx(1 - np.exp(-3.0))
    assert at_least(230, 200.0) == pytest.approx(at_least(230, 200.001), abs=0.005)
