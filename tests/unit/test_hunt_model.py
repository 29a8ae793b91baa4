"""The hunt's model: when a path collapses, what makes a pair, which dial is worth a trial."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_hunt import SERVER, hold, path

from replay.hunt import amplifiers, knee
from replay.hunt.model import (
    KEY_SHARE,
    NO_KEY_UPDATE,
    SHARE,
    UPDATE,
    conflict,
    predict,
    predict_pair,
    shared_targets,
)
from replay.hunt.search import Search, halves


@pytest.mark.parametrize(
    ("one", "other", "excludes"),
    [
        (KEY_SHARE, NO_KEY_UPDATE, False),  # a foreign key's check beside a counter's update
        (KEY_SHARE, UPDATE, True),  # the same beside a delete
        (SHARE, SHARE, False),
        (NO_KEY_UPDATE, NO_KEY_UPDATE, True),
        ("AccessShareLock", "AccessExclusiveLock", True),
        ("RowExclusiveLock", "RowExclusiveLock", False),
        ("RowExclusiveLock", "ShareLock", True),  # a writer beside CREATE INDEX
        ("ExclusiveLock", "ExclusiveLock", True),
        ("ShareLock", "ShareLock", False),
    ],
)
def test_conflicts_are_the_manuals_and_mutual(one, other, excludes):
    assert conflict(one, other) is excludes
    assert conflict(other, one) is excludes


def test_an_unindexed_read_collapses_when_the_cores_are_full():
    scan = path("scan", rate=0.2, peak=1.0, demand_s=0.3)
    others = [path("read", rate=400, demand_s=0.001), path("write", rate=50, demand_s=0.002)]
    found = predict(scan, [scan, *others], SERVER)
    assert found.limit == "cores"
    assert found.rate_s == pytest.approx((2.0 - 0.4 - 0.1) / 0.3)
    assert found.headroom_x == pytest.approx(5.0)


def test_a_hot_row_collapses_when_it_is_held_all_the_time():
    hot = path("hot", rate=5, demand_s=0.001, elapsed_s=0.021, holds=[hold(hold_s=0.02, share=0.5)])
    found = predict(hot, [hot], SERVER)
    assert found.limit == "row of t by id"
    assert found.rate_s == pytest.approx(100.0)


def test_what_others_hold_is_not_free():
    hot = path("hot", holds=[hold(hold_s=0.02)])
    other = path("other", rate=25, holds=[hold(hold_s=0.02)], demand_s=0.0)
    assert predict(hot, [hot, other], SERVER).rate_s == pytest.approx(25.0)


def test_others_that_fail_with_it_are_too_many_before_the_cores_are_full():
    delete = path("delete", rate=0.1, peak=1.0, demand_s=0.1, fails=5.0)
    found = predict(delete, [delete, path("read", rate=199.9, demand_s=0.001)], SERVER)
    assert (found.limit, found.rate_s) == ("failures", pytest.approx(0.4))


def test_two_that_share_a_row_and_then_want_it_deadlock_where_they_meet():
    holds = [hold(mode=KEY_SHARE, hold_s=0.024, share=0.1), hold(mode=UPDATE, hold_s=0.004)]
    post = path("post", rate=2, peak=4, demand_s=0.001, elapsed_s=0.025, holds=holds)
    found = predict(post, [post], SERVER)
    assert found.rate_s == pytest.approx(10.0)  # 10/s x 0.1 x 20 ms x 5 s: one meets one
    assert "deadlock" in found.why
    in_order = replace(post, holds=(replace(holds[0], hold_s=0.003), holds[1]))
    assert predict(in_order, [in_order], SERVER).rate_s > 100


def test_a_sleeper_fills_the_pool_without_working():
    sleeper = path("sleeper", rate=0.1, demand_s=0.001, elapsed_s=4.0)
    found = predict(sleeper, [sleeper], SERVER)
    assert (found.limit, found.rate_s) == ("pool", pytest.approx(5.0))


def test_shared_locks_do_not_limit_who_takes_them():
    child = path("child", holds=[hold(mode=KEY_SHARE, hold_s=1.0)], demand_s=0.001)
    assert predict(child, [child], SERVER).limit == "cores"


def test_a_pair_meets_where_its_modes_exclude_each_other():
    child = path("child", rate=50, holds=[hold(mode=KEY_SHARE, hold_s=0.002)])
    deleter = path("deleter", rate=0.5, holds=[hold(mode=UPDATE, hold_s=0.4)])
    updater = path("updater", holds=[hold(mode=NO_KEY_UPDATE)])
    assert list(shared_targets(child, updater)) == []
    found = predict_pair(child, deleter, [child, deleter, updater])
    assert found.templates == ("child", "deleter")
    assert found.headroom_x == pytest.approx(1 / (50 * 0.002 + 0.5 * 0.4))


def dials_of(one):
    return [dial.name for dial in amplifiers.dials(one, SERVER, 0.25)]


def test_each_path_is_offered_the_dials_that_concern_it():
    assert dials_of(path("read")) == []
    assert dials_of(path("list", lists=True, demand_s=0.5)) == [amplifiers.LISTS]
    assert dials_of(path("prepared", prepared=True)) == [amplifiers.PLANS]
    held = path("held", peak=5.0, gap_s=0.015, holds=[hold(hold_s=0.02)])
    assert dials_of(held) == [amplifiers.TOGETHER, amplifiers.IDLE]
    assert dials_of(path("snapshot", gap_s=5.0)) == [amplifiers.IDLE]
    assert dials_of(path("brief pause", gap_s=0.01)) == []


def test_idle_time_is_predicted_from_what_the_lock_has_left():
    held = path("held", peak=5.0, gap_s=0.01, holds=[hold(hold_s=0.02)])
    dial = next(d for d in amplifiers.dials(held, SERVER, 0.25) if d.name == amplifiers.IDLE)
    used = 5 * (0.01 + dial.bears_x * 0.01)
    assert used == pytest.approx(1.0)


def searched(knee_x, predicted_x, most=4096.0, least=1.0, *, whole=False):
    """All factors that a search tries where everything from `knee_x` on breaks."""
    search = Search.from_prediction(predicted_x, most, least=least, whole=whole)
    tried = []
    while (factor := search.factor) is not None:
        assert factor not in tried
        tried.append(factor)
        search.tell(factor, broke=factor >= knee_x)
    return search, tried


@pytest.mark.parametrize("knee_x", [1.7, 3.0, 8.0, 14.0, 100.0, 900.0])
@pytest.mark.parametrize("off", [1 / 8, 1 / 2, 1.0, 2.0, 8.0])
def test_the_knee_is_bracketed_with_few_trials(knee_x, off):
    search, tried = searched(knee_x, knee_x * off)
    assert search.safe < knee_x <= search.breaks
    assert search.breaks / search.safe <= 1.5
    assert len(tried) <= 8


@pytest.mark.parametrize(("knee_x", "safe"), [(2, 1), (3, 2), (5, 4), (7, 5), (60, 45)])
def test_what_is_counted_is_tried_in_whole_numbers(knee_x, safe):
    search, tried = searched(knee_x, 8.0, 64.0, 2.0, whole=True)
    assert all(factor == round(factor) for factor in tried)
    assert safe <= search.safe < knee_x <= search.breaks


def test_a_search_ends_where_there_is_no_knee():
    search, tried = searched(math.inf, 500.0, most=600.0)
    assert (search.safe, search.breaks) == (600.0, None)
    assert len(tried) <= 4


def test_what_breaks_at_production_s_peak_is_not_tried_below():
    search, tried = searched(0.5, 20.0)
    assert (search.safe, search.breaks) == (None, 1.0)
    assert tried[-1] == 1.0


def test_what_cannot_be_judged_ends_the_search():
    search = Search.from_prediction(8.0, 4096.0)
    search.tell(4.0, broke=False)
    search.tell(8.0, broke=None)
    assert (search.factor, search.safe, search.breaks) == (None, 4.0, None)


def test_a_set_is_halved_until_one_is_left():
    assert halves(("a", "b", "c")) == (("a", "b"), ("c",))
    assert halves(("a",)) == ()


def latencies(seed, of):
    rng = np.random.default_rng(seed)
    due = np.sort(rng.uniform(0, 5, 400))
    return due, of(due) * rng.lognormal(0, 0.4, 400)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("of", "grows"),
    [
        (lambda due: np.full_like(due, 3.0), False),
        (lambda due: np.full_like(due, 200.0), False),  # slow, but it stands
        (lambda due: np.where(due > 4.7, 400.0, 3.0), False),  # one hiccup at the end
        (lambda due: 3.0 + 2.0 * due, False),  # 10 ms more: no machine is quieter
        (lambda due: 5.0 + 30.0 * due, True),  # just past the knee: 1/H is exceeded by little
        (lambda due: 5.0 + 800.0 * due, True),
    ],
    ids=["even", "slow", "hiccup", "drift", "slow queue", "collapse"],
)
def test_growth_is_told_from_noise(seed, of, grows):
    due, latency = latencies(seed, of)
    assert knee.grows(due, latency, 5.0) is grows


def test_a_few_transactions_show_no_growth():
    assert not knee.grows(np.array([0.0, 1, 2]), np.array([1.0, 100, 1000]), 5.0)
