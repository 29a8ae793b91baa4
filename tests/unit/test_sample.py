"""The sampler: what it promises to keep, that its estimates are right, whatever the blocks."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_units import IDENTITIES, Made, units

from replay.capture import sample as sample_module
from replay.capture.bottomk import BottomK
from replay.capture.calibrate import calibrate
from replay.capture.executions import NONE
from replay.capture.priority import NEVER
from replay.capture.sample import Sampler
from replay.capture.store import Store
from replay.capture.stored import Stored, stored
from replay.capture.units import priorities, session_seed

Kept = list[tuple[Stored, float]]


def sample(blocks: Sequence[Sequence[Made]], k: int, seed: int = 0) -> Kept:
    store = Store()
    sampler = Sampler(k=k, store=store)
    for block in blocks:
        sampler.take(units(block, seed), IDENTITIES)
    numbers, weights = sampler.kept()
    return list(zip(stored(store.batch(numbers)), weights.tolist(), strict=True))


def identities(kept: Kept) -> list[tuple[int, float]]:
    return [(one.priority, weight) for one, weight in kept]


def letters(one: Stored) -> str:
    return "".join(chr(e.template) for e in one.executions)


def made_of(texts: Sequence[str]) -> list[Made]:
    return [Made(n, text, 3 if n % 7 == 0 else NONE) for n, text in enumerate(texts)]


texts = st.lists(st.text("abcde", min_size=1, max_size=12), min_size=1, max_size=300)


@settings(deadline=None)
@given(texts, st.integers(1, 20), st.integers(0, 100), st.integers(1, 300))
def test_every_template_and_every_error_keeps_its_units(found, k, seed, block):
    made = made_of(found)
    kept = sample([made[at : at + block] for at in range(0, len(made), block)], k, seed)
    strata: list[tuple[Callable[[Made], set], Callable[[Stored], set]]] = [
        (lambda m: set(m.templates), lambda u: set(letters(u))),
        (
            lambda m: set(m.templates) if m.state != NONE else set(),
            lambda u: {chr(e.template) for e in u.executions if e.state != NONE},
        ),
    ]
    for of_made, of_kept in strata:
        seen = Counter(name for m in made for name in of_made(m))
        stayed = Counter(name for u, _ in kept for name in of_kept(u))
        assert all(stayed[name] >= min(count, k) for name, count in seen.items())
    longest = max(m.spent(t) for m in made for t in m.templates)
    assert any(e.spent_us == longest for u, _ in kept for e in u.executions)
    assert all(weight >= 1 for _, weight in kept)
    assert all(letters(u) in found for u, _ in kept)


def test_a_unit_full_of_one_template_takes_one_of_its_places():
    made = [Made(n, "a" * 200, start_us=0, spent_us=5) for n in range(40)]
    assert len(sample([made], k=30)) >= 30


@settings(deadline=None)
@given(texts, st.integers(1, 12), st.data())
def test_the_sample_is_the_same_in_any_order_and_blocks(found, k, data):
    made = made_of(found)
    with (
        mock.patch.object(sample_module, "SHAPES_AT_MOST", data.draw(st.sampled_from([3, 1000]))),
        mock.patch.object(sample_module, "BUCKETS_AT_MOST", data.draw(st.sampled_from([4, 128]))),
        mock.patch("replay.capture.bottomk._SETTLED_AT_LEAST", data.draw(st.sampled_from([1, 50]))),
    ):
        shuffled = data.draw(st.permutations(made))
        block = data.draw(st.integers(1, len(made)))
        parts = [shuffled[at : at + block] for at in range(0, len(made), block)]
        assert identities(sample(parts, k)) == identities(sample([made], k))


def test_time_buckets_widen_and_keep_bursts():
    made = [Made(n, "a", start_us=n * 10_000_000) for n in range(2000)]  # more than buckets
    kept = sample([made[:1500], made[1500:]], 4)
    starts = sorted(u.start_us for u, _ in kept)
    widest = max(b - a for a, b in pairwise(starts))
    assert widest < 2 * 2000 * 10e6 / 32  # at least one of every bucket, and at least 32 of these
    assert len(kept) < 200


def estimates(texts: Sequence[str], k: int, seeds: int, **fields: int) -> dict[str, list[float]]:
    """What each sample makes of the calls of every letter."""
    found: dict[str, list[float]] = {letter: [] for letter in set("".join(texts))}
    made = [Made(n, text, **fields) for n, text in enumerate(texts)]
    for seed in range(seeds):
        kept = sample([made], k, seed)
        assert len(kept) < len(texts) / 2
        for letter, values in found.items():
            values.append(sum(w * letters(u).count(letter) for u, w in kept))
    return found


@pytest.mark.parametrize("spent_us", [None, 0, 40], ids=["all-differ", "untimed", "all-alike"])
def test_estimates_are_unbiased(spent_us):
    rng = np.random.default_rng(7)
    texts = ["".join(rng.choice(list("abcdefgh"), size=rng.integers(1, 4))) for _ in range(3000)]
    texts += ["z", "az"]
    exact = Counter(letter for text in texts for letter in text)
    found = estimates(texts, 6, 60, spent_us=spent_us)
    for letter, values in found.items():
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values) - exact[letter]) <= 4 * error + 1e-9, letter
    assert set(found["z"]) == {2.0}  # wholly kept: no estimate at all


def test_estimates_of_one_template_whose_times_are_alike_are_unbiased():
    found = estimates(["a"] * 3000, 8, 200, spent_us=0)["a"]
    assert np.mean(found) == pytest.approx(3000, abs=4 * np.std(found) / np.sqrt(200))


@settings(deadline=None)
@given(texts, st.integers(2, 8))
def test_calibrated_weights_meet_the_exact_calls(found, k):
    made = [Made(n, text) for n, text in enumerate(found)]
    calls = np.zeros(128)
    for text in found:
        for letter in text:
            calls[ord(letter)] += 1
    kept = sample([made], k)
    weights = np.array([weight for _, weight in kept])
    unit = np.repeat(np.arange(len(kept)), [len(u.executions) for u, _ in kept])
    template = np.array([e.template for u, _ in kept for e in u.executions])
    fitted = calibrate(weights, unit, template, calls)
    there = calls > 0
    before, after = (
        np.abs(np.bincount(template, some[unit], 128)[there] / calls[there] - 1).max()
        for some in (weights, fitted)
    )
    assert after <= max(before, 0.02)
    assert (fitted >= 1).all()


def test_nothing_kept_is_nothing_to_calibrate():
    none = np.zeros(0, np.int64)
    assert calibrate(np.zeros(0), none, none, np.zeros(3)).size == 0


offers = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 60), st.integers(0, 30)), min_size=1, max_size=200
)


@settings(deadline=None)
@given(offers, st.integers(1, 6), st.integers(1, 50), st.sampled_from([1, 4096]))
def test_the_smallest_of_a_stratum_are_those_that_sorting_gives(offered, k, block, least):
    """Ranks are the units' own, as priorities are; a unit comes in one block alone."""
    rank_of = {unit: rank for _, rank, unit in offered}
    pairs = sorted({(stratum, rank_of[unit] * 100 + unit, unit) for stratum, _, unit in offered})
    by_block: dict[int, list[tuple[int, int, int]]] = {}
    for pair in pairs:
        by_block.setdefault(pair[2] % block, []).extend([pair, pair])  # twice in its unit
    group = BottomK(k)
    with mock.patch("replay.capture.bottomk._SETTLED_AT_LEAST", least):
        for part in by_block.values():
            strata, ranks, numbers = (np.array(column) for column in zip(*part, strict=True))
            ranks = ranks.astype(np.uint64)
            below = group.wanted(strata, ranks, numbers)
            group.offer(strata[below], ranks[below], numbers[below])
            group.settle_if_due()
    kept, limits = group.kept()
    expected = []
    for stratum in sorted({stratum for stratum, _, _ in pairs}):
        inside = [(rank, unit) for at, rank, unit in pairs if at == stratum]
        limit = inside[k][0] if len(inside) > k else int(NEVER)
        expected += [(unit, limit) for _, unit in inside[:k]]
    assert list(zip(kept.tolist(), limits.tolist(), strict=True)) == expected


def test_priorities_are_even():
    seeds = np.full(20_000, session_seed(0, b"a"), np.uint64)
    drawn = priorities(seeds, np.arange(20_000)) / 2**64
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    assert counts == pytest.approx(1000, abs=150)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.03
