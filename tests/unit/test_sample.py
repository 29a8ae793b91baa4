"""The sampler: what it promises to keep, that its estimates are right, and that parts merge."""

from collections import Counter
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.capture import sample as sample_module
from replay.capture.calibrate import calibrate
from replay.capture.sample import Sampler
from replay.capture.units import Execution, Unit, priority, session_seed


def unit(seed: int, number: int, templates: str, *, error: str = "") -> Unit:
    """The unit at line `number` of a session; a template is a letter."""
    start_us = number * 200_000
    executions = [
        Execution(t, t, "", None, start_us, (number * 7919 + ord(t)) % 1000, error)
        for t in templates
    ]
    return Unit(priority(session_seed(seed, "s"), number), "s", executions)


def sample(units: list[Unit], k: int) -> list[tuple[Unit, float]]:
    sampler = Sampler(k=k)
    for one in units:
        sampler.offer(one)
    return sampler.kept()


def identities(kept: list[tuple[Unit, float]]) -> list[tuple[int, float]]:
    return [(one.priority, weight) for one, weight in kept]


many = st.lists(st.text("abcde", min_size=1, max_size=4), min_size=1, max_size=300)


@settings(deadline=None)
@given(units=many, k=st.integers(1, 20), seed=st.integers(0, 100))
def test_every_template_and_every_error_keeps_its_units(units, k, seed):
    errors = ["40P01" if n % 7 == 0 else "" for n in range(len(units))]
    made = [
        unit(seed, n, text, error=e) for n, (text, e) in enumerate(zip(units, errors, strict=True))
    ]
    kept = sample(made, k)
    for strata in (
        lambda u: {e.template for e in u.executions},
        lambda u: {(e.template, e.sqlstate) for e in u.executions if e.sqlstate},
    ):
        seen = Counter(name for u in made for name in strata(u))
        stayed = Counter(name for u, _ in kept for name in strata(u))
        assert all(stayed[name] >= min(count, k) for name, count in seen.items())
    slowest = max(made, key=lambda u: max(e.duration_us for e in u.executions))
    assert slowest in [u for u, _ in kept]
    assert all(weight >= 1 for _, weight in kept)


@settings(deadline=None)
@given(units=many, k=st.integers(1, 12), data=st.data())
def test_a_merge_of_parts_is_the_sample_of_the_whole_in_any_order(units, k, data):
    with (
        mock.patch.object(sample_module, "_SHAPES_AT_MOST", data.draw(st.sampled_from([3, 1000]))),
        mock.patch.object(sample_module, "_BUCKETS_AT_MOST", data.draw(st.sampled_from([4, 128]))),
    ):
        check_merge([unit(1, n, text) for n, text in enumerate(units)], k, data)


def check_merge(made: list[Unit], k: int, data: st.DataObject) -> None:
    first = [u for u in made if data.draw(st.booleans(), label="first part")]
    second = [u for u in made if u not in first]
    one, other = Sampler(k=k), Sampler(k=k)
    for u in first:
        one.offer(u)
    for u in reversed(second):
        other.offer(u)
    one.merge(other)
    assert identities(one.kept()) == identities(sample(made, k))


def test_time_buckets_widen_and_keep_bursts():
    made = [unit(3, n * 50, "a") for n in range(2000)]  # 10 s apart: more than there are buckets
    kept = sample(made, 1)
    starts = sorted(u.start_us for u, _ in kept)
    widest = max(b - a for a, b in pairwise(starts))
    assert widest < 2 * 2000 * 10e6 / 64  # at least one of every bucket, and at least 64 of these
    assert len(kept) < 200


def test_estimates_are_unbiased():
    rng = np.random.default_rng(7)
    texts = ["".join(rng.choice(list("abcdefgh"), size=rng.integers(1, 4))) for _ in range(3000)]
    texts += ["z", "az"]
    exact = Counter(letter for text in texts for letter in text)
    estimates = {letter: [] for letter in exact}
    for seed in range(60):
        kept = sample([unit(seed, n, text) for n, text in enumerate(texts)], 6)
        assert len(kept) < 1500
        for letter, found in estimates.items():
            found.append(sum(w * [e.template for e in u.executions].count(letter) for u, w in kept))
    for letter, found in estimates.items():
        error = np.std(found) / np.sqrt(len(found))
        assert abs(np.mean(found) - exact[letter]) <= 4 * error + 1e-9
    assert set(estimates["z"]) == {2.0}  # wholly kept: no estimate at all


@settings(deadline=None)
@given(units=many, k=st.integers(2, 8))
def test_calibrated_weights_meet_the_exact_calls(units, k):
    made = [unit(2, n, text) for n, text in enumerate(units)]
    calls = Counter(e.template for u in made for e in u.executions)
    kept = sample(made, k)
    weighted = calibrate(kept, calls)
    before, after = (
        max(
            abs(sum(w * sum(e.template == t for e in u.executions) for u, w in some) / n - 1)
            for t, n in calls.items()
        )
        for some in (kept, weighted)
    )
    assert after <= max(before, 0.02)
    assert all(weight >= 1 for _, weight in weighted)


def test_priorities_are_even():
    drawn = np.array([priority(session_seed(0, "a"), n) / 2**64 for n in range(20_000)])
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    assert counts == pytest.approx(1000, abs=150)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.03
