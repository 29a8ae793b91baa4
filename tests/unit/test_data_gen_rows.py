"""Tables made of profiles: cells alone equal blocks, fractions hold, unique keys are unique."""

from datetime import UTC, datetime

import numpy as np
import pytest
from made_tables import column, schema, table

from data_gen.keys import key_domains
from data_gen.rows import column_values

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = {"scale": 1.0, "seed": 3, "base_time": NOW}


def values(profile, table_name, name, rows=None, **where):
    count = profile.table(table_name).rows if rows is None else rows
    return column_values(
        profile, table_name, name, np.arange(count, dtype=np.int64), **{**HERE, **where}
    )


def share(found, value):
    return sum(one == value for one in found) / len(found)


def orders_and_lines(lines=40_000, *, hot=0.1):
    orders = table(
        "orders",
        9000,
        column("id", histogram=("1", "4500", "9000"), correlation=1.0),
        column("state", "text", common_values=("done", "new"), common_fractions=(0.9, 0.1)),
        column("note", "text", not_null=False, null_fraction=0.4, average_width=30),
        column("created", "timestamptz", histogram=("2024-01-01", "2025-01-01"), correlation=0.99),
        keys=[("id",)],
    )
    rows = table(
        "lines",
        lines,
        column(
            "order_id",
            common_values=("77", "4000"),
            common_fractions=(hot, hot / 2),
            histogram=("1", "3000", "9000"),
            n_distinct=6000,
            correlation=1.0,
        ),
        column(
            "line",
            "int4",
            common_values=("1", "2", "3", "4"),
            common_fractions=(0.4, 0.3, 0.2, 0.1),
            n_distinct=4,
        ),
        column("price", "numeric", kind="numeric(8,2)", histogram=("0.50", "10.00", "99.99")),
        keys=[("order_id", "line")],
        foreign=[("order_id", "orders", "id")],
    )
    return schema(orders, rows)


@pytest.mark.parametrize("name", ["id", "state", "note", "created"])
def test_a_cell_alone_equals_its_cell_in_a_block(name):
    profile = orders_and_lines()
    whole = values(profile, "orders", name)
    for row in (0, 1, 255, 256, 4711, 8999):
        assert column_values(profile, "orders", name, np.array([row]), **HERE) == [whole[row]]


def test_other_seeds_make_other_values_and_the_same_seed_the_same():
    profile = orders_and_lines()
    once = values(profile, "orders", "note", 500)
    assert once == values(orders_and_lines(), "orders", "note", 500)
    assert once != values(profile, "orders", "note", 500, seed=4)


def test_nulls_and_common_values_have_their_fractions():
    profile = orders_and_lines()
    assert share(values(profile, "orders", "note"), None) == pytest.approx(0.4, abs=0.001)
    assert share(values(profile, "orders", "state"), "done") == pytest.approx(0.9, abs=0.001)


def test_columns_with_one_fraction_of_nulls_are_null_together():
    some = {"not_null": False, "null_fraction": 0.25, "n_distinct": -0.5}
    profile = schema(table("t", 2000, column("a", **some), column("b", "text", **some)))
    assert [a is None for a in values(profile, "t", "a")] == [
        b is None for b in values(profile, "t", "b")
    ]


def test_values_that_nulls_would_cover_are_counted_in():
    sparse = column("a", "text", not_null=False, null_fraction=0.9, n_distinct=-0.1)
    profile = schema(table("t", 20_000, sparse))
    found = [value for value in values(profile, "t", "a") if value is not None]
    assert len(set(found)) == len(found) == 2000


def test_hot_parents_keep_their_share_and_parents_without_children_remain():
    profile = orders_and_lines(hot=0.0002)
    domain = key_domains(profile, 1.0, 3)["public.orders", "id"]
    found = values(profile, "lines", "order_id")
    hot = domain.at(domain.place("77"))
    assert share(found, hot) == pytest.approx(0.0002, abs=0.00006)
    assert len(set(found)) == pytest.approx(6000, rel=0.02)
    assert set(found) <= set(values(profile, "orders", "id"))


@pytest.mark.parametrize("hot", [0.0001, 0.1])
def test_a_composite_key_is_unique_even_where_its_hot_value_has_too_many_rows(hot):
    profile = orders_and_lines(hot=hot)
    pairs = zip(values(profile, "lines", "order_id"), values(profile, "lines", "line"), strict=True)
    assert len(set(pairs)) == 40_000


def test_lines_of_an_order_count_from_the_most_common():
    profile = orders_and_lines(12_000, hot=0.0001)
    lines = values(profile, "lines", "line")
    assert share(lines, "1") > share(lines, "2") > share(lines, "3")


@pytest.mark.parametrize("rows", [3540, 1900, 300])
@pytest.mark.parametrize("kind", ["int8", "text"])
def test_columns_of_a_key_that_must_differ_do_so_and_have_all_of_their_values(rows, kind):
    numbers = [str(n) for n in range(10, 70)]
    common = {"common_values": tuple(numbers), "common_fractions": (1 / 60,) * 60}
    sides = [column(name, kind, **common, n_distinct=60) for name in "ab"]
    unlike = table("t", rows, *sides, keys=[("a", "b")], checks=[("a", "CHECK ((a <> b))")])
    found = [values(schema(unlike), "t", name) for name in "ab"]
    pairs = list(zip(*found, strict=True))
    assert len(set(pairs)) == rows
    assert all(one != other for one, other in pairs)
    assert [set(side) for side in found] == [set(numbers)] * 2


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01])
def test_a_table_of_pairs_never_gets_more_rows_than_there_are_pairs(scale):
    sides = [
        table(name, 300, column("id", histogram=("1", "300")), keys=[("id",)]) for name in "ab"
    ]
    common = {"common_values": ("1", "2"), "common_fractions": (0.2, 0.1), "n_distinct": 300}
    pairs = table(
        "pairs",
        60_000,
        column("a", **common, histogram=("3", "300")),
        column("b", **common, histogram=("3", "300")),
        keys=[("a", "b")],
        foreign=[("a", "a", "id"), ("b", "b", "id")],
    )
    profile = schema(*sides, pairs)
    size = min(round(60_000 * scale), round(300 * scale) ** 2)
    found = [values(profile, "pairs", name, 60_000, scale=scale)[:size] for name in "ab"]
    assert len(set(zip(*found, strict=True))) == size
    beyond = {"scale": scale, "seed": 3, "base_time": NOW}
    assert column_values(profile, "pairs", "a", np.array([size]), **beyond) == [None]


def test_a_foreign_key_of_two_columns_names_rows_that_exist():
    tenants = table("tenants", 20, column("id", histogram=("1", "20")), keys=[("id",)])
    projects = table(
        "projects",
        500,
        column("tenant", n_distinct=20, common_values=("3",), common_fractions=(0.5,)),
        column("id", histogram=("1", "500")),
        keys=[("id",), ("tenant", "id")],
        foreign=[("tenant", "tenants", "id")],
    )
    tasks = table(
        "tasks",
        5000,
        column("tenant", n_distinct=20),
        column("project", n_distinct=400, common_values=("9",), common_fractions=(0.2,)),
        foreign=[(("tenant", "project"), "projects", ("tenant", "id"))],
    )
    profile = schema(tenants, projects, tasks)
    parents = set(
        zip(values(profile, "projects", "tenant"), values(profile, "projects", "id"), strict=True)
    )
    children = list(
        zip(values(profile, "tasks", "tenant"), values(profile, "tasks", "project"), strict=True)
    )
    assert set(children) <= parents
    hottest = max(set(children), key=children.count)
    assert children.count(hottest) == pytest.approx(1000, rel=0.02)


def test_unique_columns_with_nulls_are_unique_among_the_rest():
    code = column("code", "int2", not_null=False, null_fraction=0.5, histogram=("1", "40"))
    profile = schema(table("t", 1000, code, keys=[("code",)]))
    found = [value for value in values(profile, "t", "code") if value is not None]
    assert len(found) == 500 == len(set(found))


def test_a_check_with_a_list_is_kept_to_without_statistics():
    listed = "CHECK ((plan = ANY (ARRAY['free'::text, 'it''s'::text])))"
    profile = schema(
        table("t", 900, column("plan", "text"), column("n", "int4"), checks=[("plan", listed)])
    )
    assert set(values(profile, "t", "plan")) == {"free", "it's"}
    assert len(set(values(profile, "t", "n"))) > 100


def test_created_at_ascends_with_the_key_where_correlation_is_one():
    early = column("at", "timestamptz", histogram=("2024-01-01", "2025-01-01"), correlation=1.0)
    profile = schema(
        table(
            "t", 500, column("id", histogram=("1", "500"), correlation=1.0), early, keys=[("id",)]
        )
    )
    ids = [int(value) for value in values(profile, "t", "id")]
    assert ids == sorted(ids)
    moments = values(profile, "t", "at")
    assert moments == sorted(moments)


def test_the_last_hour_stays_the_last_hour():
    taken = int(datetime(2020, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000
    recent = column(
        "at", "timestamptz", histogram=("2020-04-30 23:00:00+00", "2020-05-01 00:00:00+00")
    )
    profile = schema(table("t", 100, recent), taken_at_us=taken)
    moments = [datetime.fromisoformat(value) for value in values(profile, "t", "at")]
    assert datetime(2025, 12, 31, 23, tzinfo=UTC) <= min(moments) <= max(moments) <= NOW
