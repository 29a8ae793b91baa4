"""Binding: keys, values and fresh values; what is hot stays hot, what is cold is drawn anew."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from made_manifest import manifest_of

from data_gen.profile import (
    ColumnProfile,
    Constraint,
    ForeignKey,
    SchemaProfile,
    TableProfile,
)
from replay.bind import Binder
from replay.bind.arrays import in_array
from replay.target import Generated
from replay.workload import Statement, Transaction, Workload

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TAKEN = datetime(2020, 6, 1, 12, tzinfo=UTC)
STATES = ("open", "paid")
FIND = "select * from orders where id = $1"
BY_CUSTOMER = "select * from orders where customer_id = $1 limit $2"
PAY = "update orders set state = $1 where id = $2"
ADD = "insert into customers (id, email) values ($1, $2)"
BY_EMAIL = "select * from customers where email = $1"
SINCE = "select * from orders where at > $1 and state = $2"
BY_IDS = "select * from orders where id = any($1::bigint[])"


def column(name: str, kind: str, **more: object) -> ColumnProfile:
    return ColumnProfile(name=name, type=kind, base_type=kind, not_null=True, analyzed=True, **more)


PROFILE = SchemaProfile(
    server_version=180000,
    taken_at_us=int(TAKEN.timestamp() * 1e6),
    tables=(
        TableProfile(
            schema="public",
            name="customers",
            rows=1000,
            pages=10,
            dead_rows=0,
            columns=(
                column("id", "int8", histogram=("1", "500", "1000"), correlation=1.0),
                column("email", "text", average_width=20),
            ),
            constraints=(
                Constraint(name="c_pk", kind="p", columns=("id",), definition="PRIMARY KEY (id)"),
                Constraint(name="c_u", kind="u", columns=("email",), definition="UNIQUE (email)"),
            ),
        ),
        TableProfile(
            schema="public",
            name="orders",
            rows=50_000,
            pages=500,
            dead_rows=0,
            columns=(
                column("id", "int8", histogram=("1", "25000", "50000"), correlation=1.0),
                column("customer_id", "int8", n_distinct=900.0, histogram=("1", "1000")),
                column(
                    "state",
                    "text",
                    n_distinct=2.0,
                    common_values=STATES,
                    common_fractions=(0.5, 0.5),
                ),
                column("at", "timestamptz", histogram=("2020-01-01 00:00:00+00", str(TAKEN))),
            ),
            constraints=(
                Constraint(name="o_pk", kind="p", columns=("id",), definition="PRIMARY KEY (id)"),
            ),
            foreign_keys=(
                ForeignKey(
                    name="o_c",
                    columns=("customer_id",),
                    parent="public.customers",
                    parent_columns=("id",),
                    definition="FOREIGN KEY (customer_id) REFERENCES customers (id)",
                ),
            ),
        ),
    ),
)


def statement(sql: str, *values: str | None) -> Statement:
    return Statement(
        template=f"{abs(hash(sql)):016x}"[:16],
        sql=sql,
        slots="p" * len(values),
        values=values,
        prepared="",
        offset_us=0,
        duration_us=10,
    )


def made(*units: tuple[Statement, ...]) -> Workload:
    return Workload(
        manifest=manifest_of(TAKEN, 10, transactions=len(units)),
        templates=(),
        transactions=tuple(
            Transaction(
                id=n, session="s", start_us=n, weight=1.0, shape="0" * 16, statements=statements
            )
            for n, statements in enumerate(units)
        ),
    )


def binder(workload: Workload) -> Binder:
    generated = Generated(workload_id="w", seed=1, scale=1.0, base_time=NOW)
    return Binder(workload, PROFILE, generated)


def copies(workload: Workload, number: int, count: int = 200) -> list[tuple[str | None, ...]]:
    """What the first statement of a transaction gets in many copies."""
    made_by, rng = binder(workload), np.random.default_rng(3)
    return [made_by.bind(workload.transactions[number], rng)[0] for _ in range(count)]


def test_a_hot_key_stays_the_same_one():
    workload = made(
        (statement(FIND, "17"),), (statement(PAY, "paid", "17"),), (statement(FIND, "40000"),)
    )
    assert len({value for (value,) in copies(workload, 0)}) == 1


def test_a_cold_key_is_drawn_from_where_the_cold_ones_lay():
    units = [(statement(FIND, str(30_000 + 50 * n)),) for n in range(100)]
    values = [int(value) for (value,) in copies(made(*units), 0)]
    assert len(set(values)) > 150
    assert 29_000 < min(values) < max(values) < 36_000


def test_a_rare_slot_meets_hot_keys_as_its_domain_does():
    popular = [(statement(BY_CUSTOMER, "7", "20"),)] * 60
    others = [(statement(BY_CUSTOMER, str(300 + n), "20"),) for n in range(40)]
    rare = [(statement("delete from orders where customer_id = $1", "901"),)]
    workload = made(*popular, *others, *rare)
    (hot,) = {values[0] for values in copies(workload, 0, 5)}
    drawn = Counter(value for (value,) in copies(workload, 100, 1000))
    assert 0.35 < drawn[hot] / 1000 < 0.7
    assert len(drawn) > 200


def test_statements_of_two_templates_meet_as_often_as_production_s_did():
    rng = np.random.default_rng(1)
    hot = 1 / (np.arange(1000) + 5) ** 0.9
    hot /= hot.sum()
    asked = [str(1 + key) for key in rng.choice(1000, 240, p=hot)]
    units = [(statement(BY_CUSTOMER, key, "20"),) for key in asked[:160]]
    units += [(statement("delete from orders where customer_id = $1", key),) for key in asked[160:]]
    anybody = "select email from customers where id = $1"
    units += [(statement(anybody, str(1 + key)),) for key in rng.choice(1000, 160)]
    workload = made(*units)
    bound = binder(workload)
    found = [Counter(), Counter()]
    for one in workload.transactions[:240]:
        for _ in range(40):
            found[one.id >= 160][bound.bind(one, rng)[0][0]] += 1
    sampled = Counter(asked[:160]), Counter(asked[160:])
    rate, wanted = (
        sum(count * two[key] for key, count in one.items()) / one.total() / two.total()
        for one, two in (found, sampled)
    )
    assert rate == pytest.approx(wanted, rel=0.25)


def test_equal_keys_stay_equal_inside_a_transaction_and_over_tables():
    unit = (
        statement(ADD, "5000", "x@y.zz"),
        statement(BY_CUSTOMER, "5000", "20"),
        statement(BY_EMAIL, "x@y.zz"),
    )
    workload = made(unit)
    made_by, rng = binder(workload), np.random.default_rng(1)
    seen = set()
    for _ in range(50):
        (key, email), (found, limit), (looked_up,) = made_by.bind(workload.transactions[0], rng)
        assert (key, email, limit) == (found, looked_up, "20")
        assert int(key) > 1000, "a new key is none of the generated ones"
        seen.add((key, email))
    assert len({key for key, _ in seen}) == len({email for _, email in seen}) == 50


def test_a_foreign_key_meets_a_parent_that_exists():
    units = [(statement(BY_CUSTOMER, str(n), "20"),) for n in range(1, 1000, 10)]
    for value, _ in copies(made(*units), 3):
        assert 1 <= int(value) <= 1000


def test_common_values_stay_and_times_move_with_the_data():
    ((since, state),) = set(copies(made((statement(SINCE, "2020-06-01 11:00:00+00", "open"),)), 0))
    assert state == "open"
    assert datetime.fromisoformat(since) == NOW - timedelta(hours=1)


def test_a_unique_text_is_one_that_the_table_holds():
    from data_gen.rows import column_values  # noqa: PLC0415

    rows = np.arange(1000, dtype=np.int64)
    held = column_values(
        PROFILE, "public.customers", "email", rows, scale=1.0, seed=1, base_time=NOW
    )
    for (value,) in copies(made((statement(BY_EMAIL, "nobody@here.example"),)), 0, 50):
        assert value in held


def test_arrays_are_bound_element_by_element():
    values = copies(made((statement(BY_IDS, "{17,NULL,18}"),)), 0, 20)
    for (array,) in values:
        first, nothing, last = array[1:-1].split(",")
        assert nothing == "NULL"
        assert 1 <= int(first) <= 50_000
        assert 1 <= int(last) <= 50_000


def test_quoted_elements_keep_what_they_mean():
    assert in_array(r'{"a, \"b\"",c,NULL,"NULL"}', str.upper) == r'{"A, \"B\"",C,NULL,"NULL"}'


def test_null_stays():
    assert copies(made((statement(FIND, None),)), 0, 1) == [(None,)]


def test_identity_changes_nothing():
    workload = made((statement(FIND, "17"),))
    untouched = Binder(workload, None, None, identity=True)
    rng = np.random.default_rng(0)
    assert untouched.bind(workload.transactions[0], rng) == (("17",),)
    assert untouched.summary == {}


@pytest.mark.parametrize(
    ("sql", "values", "kind"),
    [
        (FIND, ("1",), "key"),
        (SINCE, ("2020-06-01", "open"), "value"),
        (ADD, ("1", "e"), "fresh"),
        ("select $1", ("x",), "unresolved"),
        ("select 1 from orders limit $1", ("5",), "constant"),
    ],
)
def test_the_summary_counts_slots_by_kind(sql, values, kind):
    assert binder(made((statement(sql, *values),))).summary == {kind: len(values)}
