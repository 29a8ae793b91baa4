"""What checks, bounds and exclusion constraints ask of rows, and whether made rows keep to it."""

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import column, schema, table

from data_gen.bounds import Held, held, squeezed
from data_gen.checks import InOrder, columns_in, understood
from data_gen.profile import Constraint
from data_gen.rows import column_values
from data_gen.shuffle import Permutation
from data_gen.sizes import unique_keys
from data_gen.sources import Nulls, null_rows
from data_gen.stacked import with_statistics

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def checked(definition, *columns, rows=500):
    check = Constraint(name="c", kind="c", columns=(), definition=f"CHECK ({definition})")
    return dataclasses.replace(table("t", rows, *columns), constraints=(check,))


def told(made, name):
    profile = schema(made)
    rows = np.arange(made.rows, dtype=np.int64)
    return column_values(profile, made.qualified, name, rows, scale=1.0, seed=4, base_time=NOW)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("(a >= 1)", Held(low="1")),
        ("(a > '-5'::integer)", Held(low="-5", above_low=True)),
        ("((100)::numeric >= a)", Held(high="100", to_high=True)),
        ("(a = 7)", Held(low="7", high="7", to_high=True)),
    ],
)
def test_bounds_are_understood(check, expected):
    assert understood(checked(check, column("a"))).held == {"a": (expected,)}


def test_terms_that_must_all_hold_are_taken_apart():
    found = understood(
        checked(
            "((a < b) AND (a >= 0) AND (num_nonnulls(c, d) = 1) AND ((c IS NULL) = (a IS NULL)))",
            column("a"),
        )
    )
    assert found.orders == (InOrder(low="a", high="b", strict=True),)
    assert found.held == {"a": (Held(low="0"),)}
    assert (found.one_of, found.together) == ((("c", "d"),), (("c", "a"),))


@pytest.mark.parametrize(
    "check", ["((a > 0) OR (b > 0))", "(length(a) > 3)", "(a > (b + 1))", "a >"]
)
def test_what_is_not_understood_asks_for_nothing(check):
    found = understood(checked(check, column("a")))
    assert not found.held
    assert not found.orders


def test_columns_of_an_expression_are_found_by_their_names():
    made = table("t", 1, column("a"), column("B c"), column("d"))
    assert columns_in('(lower("B c") = a)', made) == ["a", "B c"]


@pytest.mark.parametrize("base_type", ["int4", "numeric", "float8"])
def test_values_stay_within_a_check(base_type):
    values = dataclasses.replace(
        column("a", base_type), histogram=("-50", "0", "300"), n_distinct=-0.5, analyzed=True
    )
    made = checked("((a >= 3) AND (a <= 20))", values)
    numbers = [float(value) for value in told(made, "a")]
    assert 3 <= min(numbers) < max(numbers) <= 20


@pytest.mark.parametrize("base_type", ["int4", "timestamptz", "numeric"])
def test_two_columns_come_in_order(base_type):
    made = checked("(a < b)", column("a", base_type), column("b", base_type))
    order = float if base_type != "timestamptz" else str
    pairs = zip(told(made, "a"), told(made, "b"), strict=True)
    assert all(order(low) < order(high) for low, high in pairs)


@given(shares=st.lists(st.floats(0, 1), min_size=2, max_size=4), rows=st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_exactly_one_of_a_group_has_a_value(shares, rows):
    numbers, order = np.arange(rows, dtype=np.int64), Permutation(rows, 9)
    present = np.zeros(rows, np.int64)
    for place in range(len(shares)):
        begin, end = null_rows("one", shares, place, rows)
        present += ~Nulls(order, begin, end).flags(numbers)
    assert (present == 1).all() or sum(shares) == 0


@given(first=st.floats(0, 1), second=st.floats(0, 1), rows=st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_at_least_one_of_two_has_a_value(first, second, rows):
    numbers, order = np.arange(rows, dtype=np.int64), Permutation(rows, 9)
    both = np.ones(rows, bool)
    for place in range(2):
        both &= Nulls(order, *null_rows("any", (first, second), place, rows)).flags(numbers)
    assert not both.any()


@given(
    points=st.lists(st.integers(-1000, 1000), min_size=1, max_size=30),
    low=st.integers(-500, 500),
    width=st.integers(0, 800),
)
@settings(max_examples=100, deadline=None)
def test_squeezing_keeps_order_and_bounds(points, low, width):
    move = squeezed(points, low, low + width)
    moved = [move(point) for point in sorted(points)]
    assert moved == sorted(moved)
    assert low <= moved[0] <= moved[-1] <= low + width


def test_bounds_of_partitions_reach_down_to_their_parts():
    parent = dataclasses.replace(
        table("p", 0, column("at", "date"), column("kind", "text")),
        partition_key="RANGE (at)",
        partition_columns=("at",),
    )
    middle = dataclasses.replace(
        table("m", 0, *parent.columns),
        parents=("public.p",),
        bound="FOR VALUES FROM ('2024-01-01') TO (MAXVALUE)",
        partition_key="LIST (kind)",
        partition_columns=("kind",),
    )
    leaf = dataclasses.replace(
        table("l", 10, *parent.columns),
        parents=("public.m",),
        bound="FOR VALUES IN ('it''s', NULL)",
    )
    profile = schema(*with_statistics((parent, middle, leaf)))
    at, kind = leaf.columns
    assert held(profile, leaf, at) == Held(low="2024-01-01", null=False)
    assert held(profile, leaf, kind) == Held(values=("it's",))
    assert [one.rows for one in profile.tables] == [10, 10, 10]


def test_ranges_that_may_not_overlap_must_differ():
    during = dataclasses.replace(column("during", "tsrange"), type_kind="r", element="timestamp")
    rule = Constraint(
        name="x",
        kind="x",
        columns=("room", "during"),
        definition="EXCLUDE USING gist (room WITH =, during WITH &&)",
    )
    made = dataclasses.replace(table("t", 5, column("room"), during), constraints=(rule,))
    assert unique_keys(made) == (("during",),)
    equal = dataclasses.replace(
        rule, definition="EXCLUDE USING btree (room WITH =)", columns=("room",)
    )
    assert unique_keys(dataclasses.replace(made, constraints=(equal,))) == (("room",),)
