"""What a transaction's own inserts were given, patterns of LIKE, and functions around a column."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from made_tables import column, schema, table
from test_bind_copies import workload as made_workload

from replay.bind import Binder
from replay.bind.slots import Kind, places
from replay.bind.values import like
from replay.sql.resolve import resolve
from replay.sql.slots import Linked, render
from replay.target import Generated
from replay.workload import Statement, Transaction

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def shop():
    orders = table("orders", 1000, column("id"), column("note", "text"), keys=(("id",),))
    key = replace(orders.columns[0], sequence="public.orders_id_seq")
    orders = replace(orders, columns=(key, *orders.columns[1:]))
    lines = table(
        "lines",
        1000,
        column("id"),
        column("order_id"),
        keys=(("id",),),
        foreign=(("order_id", "orders", "id"),),
    )
    return schema(orders, lines)


def statement(sql, *values):
    return Statement(
        template=sql,
        sql=sql,
        slots="p" * len(values),
        values=values,
        prepared="",
        offset_us=0,
        duration_us=1,
    )


def bound(*statements):
    transaction = Transaction(
        id=0, session="s", start_us=0, weight=1.0, shape="", statements=statements
    )
    captured = replace(made_workload(), transactions=(transaction,))
    generated = Generated(workload_id="w", seed=0, scale=1.0, base_time=NOW)
    return Binder(captured, shop(), generated).bind(transaction, np.random.default_rng(0))


INSERT = statement("insert into orders (note) values ($1) returning id", "x")


def test_a_key_from_returning_is_the_sequences_own_in_the_replay():
    child = statement("insert into lines (order_id) values ($1)", "1000")
    again = statement("update orders set note = $1 where id = $2", "y", "1000")
    _, to_child, to_order = bound(INSERT, child, again)
    assert isinstance(to_child[0], Linked)
    text, parameters = render(child.sql, child.slots, to_child, linked=True)
    assert (
        text
        == """insert into lines (order_id) values ((SELECT currval('"public"."orders_id_seq"')))"""
    )
    assert parameters == ()
    text, parameters = render(again.sql, again.slots, to_order, linked=True)
    assert text.endswith(
        """set note = $1 where id = (SELECT currval('"public"."orders_id_seq"'))"""
    )
    assert len(parameters) == 1
    assert render(again.sql, again.slots, to_order)[0] == again.sql  # by itself it meets another


def test_a_key_that_was_there_before_stays_one():
    read = statement("select * from orders where id = $1", "1000")
    assert not any(isinstance(v, Linked) for values in bound(read, INSERT, read) for v in values)
    old = statement("select * from orders where id = $1", "12")
    assert not any(isinstance(v, Linked) for values in bound(INSERT, old) for v in values)


def session(*transactions, **fields):
    """Values of a session's transactions, bound one after the other."""
    units = tuple(
        Transaction(id=n, session=name, start_us=n, weight=1.0, shape="", statements=(one,))
        for n, (name, one) in enumerate(transactions)
    )
    captured = made_workload(*units)
    captured = replace(captured, manifest=replace(captured.manifest, everything=True))
    generated = Generated(workload_id="w", seed=0, scale=1.0, base_time=NOW)
    binder = Binder(captured, shop(), None if fields else generated, **fields)
    rng = np.random.default_rng(0)
    return [binder.bind(unit, rng, session=unit.session) for unit in units]


def test_a_later_transaction_of_the_session_means_the_row_that_it_inserted():
    update = statement("update orders set note = $1 where id = $2", "y", "1000")
    other = statement("update orders set note = $1 where id = $2", "y", "999")
    for fields in ({}, {"identity": True}):
        _, _, own, foreign = session(
            ("a", INSERT), ("b", other), ("a", update), ("b", update), **fields
        )
        assert isinstance(own[0][1], Linked)
        assert not isinstance(foreign[0][1], Linked)
        _, _, seen = session(("a", INSERT), ("b", other), ("a", other), **fields)
        assert not isinstance(seen[0][1], Linked)


def test_what_a_session_inserted_is_what_it_reads_later():
    insert = statement("insert into lines (id, order_id) values ($1, $2)", "7000", "5")
    read = statement("select * from lines where id = $1", "7000")
    put, own = session(("a", insert), ("a", read))
    assert put[0][0] == own[0][0] != "7000"
    put, own = session(("a", insert), ("a", read), identity=True)
    assert put[0][0] == own[0][0] == "7000"


def test_as_captured_a_mix_inserts_new_keys_and_reads_the_others_as_they_were():
    insert = statement("insert into lines (id, order_id) values ($1, $2)", "7000", "5")
    read = statement("select * from lines where id = $1 and order_id = $2", "7000", "5")
    unit = Transaction(
        id=0, session="s", start_us=0, weight=1.0, shape="", statements=(insert, read)
    )
    binder = Binder(made_workload(unit), shop(), None, identity=True)
    rng = np.random.default_rng(0)
    keys = set()
    for _ in range(5):
        put, own = binder.bind(unit, rng)
        assert put == own
        assert put[1] == "5"
        keys.add(put[0])
    assert len(keys) == 5
    bare = Binder(made_workload(unit), None, None, identity=True)
    assert bare.bind(unit, rng) == (("7000", "5"), ("7000", "5"))


@pytest.mark.parametrize(
    ("pattern", "value", "made"),
    [
        ("abc%", "xyzuvw", "xyz%"),
        ("%abc", "xyzuvw", "%uvw"),
        ("%ab%", "xyzuvw", "%xy%"),
        ("a%", "%x", "_%"),
        ("abcdef%", "xy", "abcdef%"),
    ],
)
def test_a_pattern_keeps_its_form_and_meets_a_value(pattern, value, made):
    assert like(pattern, value) == made


def test_a_column_inside_lower_is_still_the_column():
    profile = shop()
    for sql, case in (
        ("select * from orders where lower(note) = lower($1)", ""),
        ("select * from orders where lower(note) = $1", "lower"),
    ):
        (use,) = resolve(sql, profile)
        assert (use.column, use.role, use.case) == ("note", "eq", case)
        (place,) = places(sql, "p", profile, {})
        assert place.kind is Kind.VALUE
