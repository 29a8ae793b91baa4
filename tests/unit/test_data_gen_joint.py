"""Columns that go together: what the sample showed is what is made, and each column keeps its own shape."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from made_tables import column, schema, table

from data_gen.couple import Coupling, Part, Root, Shuffle
from data_gen.joint import projected
from data_gen.plan import Plan
from data_gen.profile import Joint, JointColumn
from data_gen.rows import column_values

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def root(sizes):
    sizes = np.array(sizes)
    starts = np.cumsum(sizes) - sizes

    def find(rows):
        codes = np.searchsorted(starts, rows, side="right") - 1
        return codes, rows - starts[codes]

    return Root(sizes, find)


def test_a_shuffle_is_a_bijection_of_each_group():
    sizes = np.array([1, 2, 7, 1000, 4096])
    shuffle = Shuffle.of(sizes, 5)
    for group, size in enumerate(sizes):
        places = np.arange(size)
        moved = shuffle.at(np.full(size, group), places)
        assert sorted(moved) == list(places)


def test_every_code_comes_as_often_as_its_column_wants_and_combinations_as_the_sample_has_them():
    cells = np.array([[1, 5], [1, 6], [2, 5]])
    parts = [
        Part(np.array([1, 2]), np.array([600.0, 400.0])),
        Part(np.array([5, 6]), np.array([700.0, 300.0])),
    ]
    coupling = Coupling(root([500, 500]), np.array([0, 1, 0]), cells, np.array([8, 3, 3]), parts, 1)
    rows = np.arange(1000)
    pairs = list(zip(*(coupling.part(n, rows)[0].tolist() for n in (0, 1)), strict=True))
    assert set(pairs) == {(1, 5), (1, 6), (2, 5)}
    for number in (0, 1):
        codes, places, sizes = coupling.part(number, rows)
        for code in set(codes.tolist()):
            mine = places[codes == code]
            assert sorted(mine) == list(range(sizes[codes == code][0]))


def shop(**fields):
    """Customers of two kinds, the second of which has all the orders, and these are of one state."""
    joint = Joint(
        columns=(
            JointColumn(kind="own", name="kind"),
            JointColumn(kind="children", name="public.orders", via="f_customer"),
        ),
        cells=((0, 1, 0), (0, 2, 4), (0, 2, 6)),
        counts=(80, 10, 10),
        keys=(("77", (0, 2, 6)),),
    )
    of_orders = Joint(
        columns=(
            JointColumn(kind="own", name="state"),
            JointColumn(kind="parent", name="kind", via="f_customer"),
        ),
        cells=((0, 1, 2), (0, -1, 2)),
        counts=(50, 50),
    )
    customers = table(
        "customers",
        1000,
        column("id", n_distinct=-1.0, histogram=tuple(map(str, range(0, 1001, 10)))),
        column(
            "kind", "text", common_values=("few", "many"), common_fractions=(0.8, 0.2), n_distinct=2
        ),
        keys=(("id",),),
    )
    orders = table(
        "orders",
        1000,
        column("id", n_distinct=-1.0),
        column("customer", n_distinct=200.0, histogram=("0", "1000")),
        column(
            "state", "text", not_null=False, null_fraction=0.5, n_distinct=1,
            common_values=("open",), common_fractions=(0.5,),
        ),
        keys=(("id",),),
        foreign=(("customer", "customers", "id"),),
    )  # fmt: skip
    return schema(replace(customers, joint=joint), replace(orders, joint=of_orders), **fields)


def values(profile, name, column_name, count=1000):
    return column_values(
        profile, name, column_name, np.arange(count), scale=1.0, seed=4, base_time=NOW
    )


def test_children_go_to_the_parents_that_have_them():
    profile = shop()
    kind = dict(
        zip(values(profile, "customers", "id"), values(profile, "customers", "kind"), strict=True)
    )
    assert 197 <= Counter(kind.values())["many"] <= 203
    fans = Counter(values(profile, "orders", "customer"))
    assert {kind[customer] for customer in fans} == {"many"}
    assert set(fans.values()) <= {3, 4, 5, 6}
    assert 490 <= Counter(values(profile, "orders", "state"))["open"] <= 510


def test_a_key_known_by_name_looks_as_it_did():
    profile = shop()
    plan = Plan(profile, scale=1.0, seed=4, base_time=NOW)
    domain = plan.domains["public.customers", "id"]
    key = domain.at(domain.place("77"))
    assert Counter(values(profile, "orders", "customer"))[key] == 6


def test_a_joint_is_cut_down_to_the_columns_that_are_wanted():
    joint = replace(shop().tables[0].joint, keyed="SELECT 1")
    cut = projected(joint, lambda one: one.kind == "own")
    assert cut.cells == ((0, 1), (0, 2))
    assert cut.counts == (80, 20)
    assert cut.keys == (("77", (0, 2)),)
    assert cut.keyed == ""
