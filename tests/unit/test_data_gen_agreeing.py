"""Rows that agree in some columns, and columns that may not: on small numbers, exhaustively."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.agreeing import Agreeing, nth
from data_gen.parting import apart

POINTS = st.lists(st.integers(0, 5), min_size=1, max_size=40)


@given(POINTS, POINTS)
def test_every_pair_that_agrees_is_taken_once(here, there):
    ours, theirs = np.array(here), np.array(there)
    agreeing = Agreeing.of([ours], [theirs])
    assert agreeing.many.tolist() == [there.count(one) for one in here]
    number = int(agreeing.many.sum())
    assert agreeing.pairs(np.arange(number + 1), number + 1) is None
    found = agreeing.pairs(np.arange(number), number) if number else None
    if found is not None:
        assert (ours[found[0]] == theirs[found[1]]).all()
        assert len(set(zip(*map(np.ndarray.tolist, found), strict=True))) == number


@given(POINTS)
def test_rows_of_a_group_are_numbered_from_nothing(points):
    found = nth(np.array(points))
    assert [points[:place].count(one) for place, one in enumerate(points)] == found.tolist()


def test_a_column_differs_from_another_and_stays_unique_beside_it():
    first = np.repeat(np.arange(30), 8)
    second = np.tile(np.arange(40), 6)
    rows = apart((first, second), [first], key=3)
    assert rows is not None
    taken = second[rows]
    assert (taken != first).all()
    assert sorted(taken) == sorted(second)
    assert len(set(zip(first.tolist(), taken.tolist(), strict=True))) == first.size


def test_columns_that_must_be_equal_stay_as_they_are():
    assert apart((np.zeros(5, int), np.zeros(5, int)), [], key=1) is None


@pytest.mark.parametrize("missing", [0, 3])
def test_columns_differ_also_where_the_key_has_nearly_every_pair(missing):
    size = 40  # everybody with everybody, and each with one too many or with themselves
    pairs = np.array([(i, j) for i in range(size) for j in range(size) if j != (7 * i + 3) % size])
    first, second = pairs[np.random.default_rng(1).permutation(len(pairs))[missing:]].T
    rows = apart((first, second), [first], key=5)
    assert rows is not None
    assert sorted(rows) == list(range(first.size))
    assert (first != second[rows]).all()
    assert len(set(zip(first, second[rows], strict=True))) == first.size


def test_a_value_that_every_group_has_loses_the_row_that_must_differ():
    every = [(i, j) for i in range(20) for j in range(20) if i != (j + 1) % 20 or j == 7]
    pairs = np.array([pair for pair in every if pair != (8, 3)])
    first, second = pairs.T
    rows = apart((first, second), [first], key=5)
    assert rows is not None
    assert (first != second[rows]).all()
    assert len(set(zip(first, second[rows], strict=True))) == first.size
