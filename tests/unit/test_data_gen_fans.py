"""Foreign keys whose children were counted: what comes out has the same number on every parent."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_tables import column, schema, table

from data_gen.fans import shared_out, shares
from data_gen.pairing import paired
from data_gen.plan import Plan
from data_gen.profile import FanOut
from data_gen.rows import column_values
from data_gen.spread import counted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAN = FanOut(sizes=((400, 1), (90, 2), (7, 40), (1, 100)), hot=(("55", 400), ("9", 90), ("1", 90)))
ROWS = 400 + 2 * 90 + 7 * 40 + 100


def shop(*, nulls=0.0, correlation=None):
    customers = table(
        "customers",
        1000,
        column("id", n_distinct=-1.0, histogram=tuple(map(str, range(1, 1002, 10)))),
        keys=(("id",),),
    )
    orders = table(
        "orders",
        round(ROWS / (1 - nulls)),
        column("id", n_distinct=-1.0),
        column(
            "customer", not_null=not nulls, null_fraction=nulls, n_distinct=90.0,
            histogram=("1", "1000"), correlation=correlation,
            common_values=("55",), common_fractions=(0.2,),
        ),
        keys=(("id",),),
        foreign=(("customer", "customers", "id"),),
    )  # fmt: skip
    (key,) = orders.foreign_keys
    return schema(customers, replace(orders, foreign_keys=(replace(key, fan_out=FAN),)))


def children(profile, scale=1.0):
    """How many orders each customer has, None for those of nobody."""
    rows = np.arange(round(profile.table("orders").rows * scale))
    found = column_values(profile, "orders", "customer", rows, scale=scale, seed=3, base_time=NOW)
    return Counter(found)


def test_every_number_of_children_comes_as_often_as_it_was_counted():
    for correlation in (None, 0.7, 1.0):
        profile = shop(correlation=correlation)
        fans = children(profile)
        assert Counter(fans.values()) == {400: 1, 90: 2, 7: 40, 1: 100}
        domain = Plan(profile, scale=1.0, seed=3, base_time=NOW).domains[
            "public.orders", "customer"
        ]
        assert fans[domain.at(domain.place("55"))] == 400
        assert {fans[domain.at(domain.place(key))] for key in ("9", "1")} == {90}


def test_rows_of_nobody_take_no_child_away_from_anybody():
    fans = children(shop(nulls=0.4))
    assert fans.pop(None) == 640
    assert Counter(fans.values()) == {400: 1, 90: 2, 7: 40, 1: 100}


def test_at_a_smaller_scale_the_hottest_keep_their_share():
    fans = children(shop(), 0.25)
    assert sum(fans.values()) == ROWS // 4
    assert [count for _, count in fans.most_common(3)] == [100, 22, 22]
    assert 30 <= len(fans) <= 38


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 9)), min_size=1, max_size=6),
    st.integers(1, 5000),
)
def test_shared_out_rows_add_up_and_follow_the_order(like, sizes, rows):
    told = FanOut(sizes=tuple(dict(sizes).items()))
    counts = shared_out(told, np.array(like), {}, rows, parents=len(like), key=1)
    assert counts is not None
    assert counts.sum() == rows
    assert (counts >= 0).all()


def test_shares_are_of_all_children_largest_first():
    found = shares(FAN)
    assert found.size == 143
    assert found[0] == 400 / ROWS
    assert abs(found.sum() - 1) < 1e-9
    assert shares(FanOut(sizes=())).size == 0


def test_two_keys_that_are_unique_together_keep_their_own_counts():
    wanted = np.array([30, 25, 25, *[4] * 30])
    lead, follower = counted(np.array([20, 10, 0, *[5] * 34])), counted(wanted)
    points = paired(lead, follower, 7)
    assert points is not None
    leads = lead.points(np.arange(lead.rows))
    assert len({*zip(leads.tolist(), points.tolist(), strict=True)}) == lead.rows
    assert (np.bincount(points) == wanted).all()


def test_keys_that_cannot_be_paired_are_left_to_others():
    assert paired(counted(np.array([3, 1])), counted(np.array([2, 2])), 7) is None
    assert paired(counted(np.array([2, 2])), counted(np.array([3, 1])), 7) is None
