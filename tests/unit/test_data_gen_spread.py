"""Permutations and spreads: bijections, exact fractions, points that ascend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.sharing import shared
from data_gen.shuffle import Order, Permutation, key_of
from data_gen.spread import ladder
from data_gen.steps import Steps

BOUNDS = st.lists(st.integers(-(10**15), 10**15), max_size=40).map(sorted)


def every(rows):
    return np.arange(rows, dtype=np.int64)


@given(st.integers(1, 3000), st.integers(0, 2**32))
def test_permutation_is_a_bijection_and_backward_undoes_it(size, seed):
    permutation = Permutation(size, key_of(seed, "test"))
    placed = permutation.forward(every(size))
    assert sorted(placed.tolist()) == list(range(size))
    assert (permutation.backward(placed) == every(size)).all()


@given(st.integers(1, 3000), st.floats(-1, 1), st.integers(0, 100))
def test_order_is_a_bijection_and_rows_at_undoes_it(rows, strength, key):
    order = Order.of(rows, strength, table=key, column=key + 1)
    slots = order.slots(every(rows))
    assert sorted(slots.tolist()) == list(range(rows))
    assert (order.rows_at(slots) == every(rows)).all()


@pytest.mark.parametrize("strength", [1.0, 0.9, 0.35, 0.0, -0.8, -1.0])
def test_order_shows_the_correlation_it_was_asked_for(strength):
    slots = Order.of(50_000, strength, table=1, column=2).slots(every(50_000))
    assert np.corrcoef(every(50_000), slots)[0, 1] == pytest.approx(strength, abs=0.02)


@pytest.mark.parametrize("strength", [-0.7, 0.0, 0.3, 0.9])
@pytest.mark.parametrize("rows", [40, 300, 2000])
def test_the_order_of_few_rows_is_not_left_to_chance(rows, strength):
    errors = [
        Order.of(rows, strength, table=key, column=key + 1).correlation - strength
        for key in range(20)
    ]
    assert np.abs(errors).mean() < 0.02, "1/√rows is 0.16 at 40 rows"


@given(st.integers(0, 500), BOUNDS)
def test_ladder_ascends_and_finds_each_point_again(rows, bounds):
    rungs = ladder(rows, bounds)
    points = rungs.points(every(rows))
    assert (np.diff(points) > 0).all()
    assert [rungs.slot_of(int(point)) for point in points] == list(range(rows))


def test_ladder_meets_its_bounds_where_there_is_room():
    bounds = [10, 150, 900, 10_000]
    points = ladder(301, bounds).points(every(301))
    assert [int(points[at]) for at in (0, 100, 200, 300)] == bounds


@given(
    rows=st.integers(1, 2000),
    bounds=BOUNDS.filter(len),
    common=st.lists(
        st.tuples(st.integers(-1000, 1000), st.floats(0.01, 0.2)),
        max_size=5,
        unique_by=lambda c: c[0],
    ),
    distinct=st.integers(1, 3000),
    scatter=st.none() | st.integers(0, 10),
)
def test_shared_rows_are_all_placed_and_point_with_occurrence_is_unique(
    rows, bounds, common, distinct, scatter
):
    spread = shared(rows, common=common, bounds=bounds, distinct=distinct, scatter=scatter)
    assert spread.rows == rows
    points, turns = spread.points(every(rows)), spread.occurrences(every(rows))
    assert len(set(zip(points.tolist(), turns.tolist(), strict=True))) == rows
    assert len(set(points.tolist())) == spread.values
    assert (spread.by_rank(spread.ranks(every(rows))) == points).all()
    assert np.unique(points, return_counts=True)[1].max() == spread.most


def test_shared_keeps_fractions_histogram_and_number_of_values():
    spread = shared(
        100_000, common=[(500, 0.3), (3, 0.2)], bounds=[0, 1000, 2000, 100_000], distinct=1002
    )
    points = spread.points(every(100_000))
    values, counts = np.unique(points, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True))[500] == 30_000
    assert len(values) == 1002
    tail = points[(points != 500) & (points != 3)]
    assert np.quantile(tail, [0.334, 0.667]) == pytest.approx([1000, 2000], rel=0.05)


def test_shared_caps_the_rows_of_a_point():
    spread = shared(700, common=[(1, 0.5), (2, 0.1)], bounds=[0, 349], distinct=10, most=2)
    points = spread.points(every(700))
    assert np.unique(points, return_counts=True)[1].tolist() == [2] * 350


def test_strength_takes_away_what_ties_add_by_themselves():
    spread = shared(9000, common=[(0, 1 / 3), (1, 1 / 3), (2, 1 / 3)], bounds=[], distinct=3)
    assert spread.strength(1 / 3) == pytest.approx(0, abs=1e-6)
    assert spread.strength(1.0) == pytest.approx(1)
    assert spread.strength(None) == 0


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=60), st.integers(0, 2 * 10**12))
def test_a_place_is_looked_up_as_it_would_be_searched(places, number):
    ascending = np.array(sorted(places), np.int64)
    numbers = np.array([*ascending, ascending[0] + number], np.int64)
    found = Steps.of(ascending).at(numbers)
    assert list(found) == list(np.searchsorted(ascending, numbers, side="right") - 1)
