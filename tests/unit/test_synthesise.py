"""Statements made for counted templates: the text is whole, the values are ones that fit."""

from datetime import datetime

import numpy as np
import pytest
from made_tables import column, schema, table

from replay.capture.draws import at_quantile, drawn, sought
from replay.capture.synthesise import Made, synthesise, whole
from replay.sql.fingerprint import fingerprint
from replay.sql.resolve import parses
from replay.sql.slots import render
from replay.workload import Counters, Template

IDS = tuple(str(n) for n in range(1, 100_002, 1000))
DAYS = tuple(f"2026-01-{n:02} 00:00:00+00" for n in range(1, 31))
SHOP = schema(
    table(
        "orders",
        100_000,
        column("id", histogram=IDS, n_distinct=-1.0),
        column("state", "text", common_values=("paid", "open"), common_fractions=(0.9, 0.1)),
        column("note", "text", not_null=False, null_fraction=0.5, histogram=("abc 12", "xyz 99")),
        column("at", "timestamptz", histogram=DAYS),
        column("ref", "uuid"),
        column("data", "jsonb"),
        keys=(("id",),),
    )
)


def template(sql, *, calls=100, rows=100):
    found = fingerprint(sql)
    return Template(
        id=found.id,
        sql=found.sql,
        kind=found.kind,
        tables=found.tables,
        calls=calls,
        errors=0,
        total_ms=1.0,
        counted=Counters(calls=calls, total_ms=1.0, rows=rows),
        source="statements",
    )


def made(sql, copies=200, **figures):
    found = synthesise(template(sql, **figures), SHOP, copies, np.random.default_rng(5))
    assert isinstance(found, Made), found
    for values in found.copies:
        assert parses(render(found.sql, found.slots, values)[0])
    return found


@pytest.mark.parametrize(
    ("canonical", "expected"),
    [
        ("select a from t where b = $3 and c = $1", "select a from t where b = $1 and c = $2"),
        ("select a from t where b in ($1, ...)", "select a from t where b in ($1)"),
        ("select a from t where b = $1 or c = $1", "select a from t where b = $1 or c = $1"),
        ('select "$1 ?" from t where b = ?', 'select "$1 ?" from t where b = $1'),
        ("select a from t where b ? $1", "select a from t where b ? $1"),
    ],
)
def test_the_text_is_whole_again(canonical, expected):
    assert whole(canonical) == (
        expected,
        expected.replace('"$1 ?"', "").count("$") - ("or c" in expected),
    )


def test_keys_are_spread_and_common_values_as_common_as_they_are():
    found = made("update orders set state = $1 where id = $2")
    states, ids = zip(*found.copies, strict=True)
    assert found.slots == "sn"
    assert 150 < states.count("paid") < 200
    assert set(states) == {"paid", "open"}
    assert len(set(ids)) > 190  # a key that two copies meet would be taken for a hot one
    assert all(1 <= int(one) <= 100_001 for one in ids)


def test_a_range_holds_as_many_rows_as_a_call_returned():
    found = made("select id from orders where id between $1 and $2", calls=10, rows=10_000)
    widths = [int(high) - int(low) for low, high in found.copies]
    assert all(900 < width < 1100 for width in widths)  # 1 % of the rows
    lows = made("select id from orders where at > $1", calls=10, rows=10_000).copies
    assert {datetime.fromisoformat(low).day for (low,) in lows} == {29}


def test_limits_are_what_came_back_and_offsets_nothing():
    sql = "select id from orders where state = $1 order by at limit $2 offset $3"
    assert {values[1:] for values in made(sql, calls=10, rows=65).copies} == {("7", "0")}


def test_nulls_are_written_and_never_looked_for():
    written = made("insert into orders (id, note) values ($1, $2)").copies
    assert 60 < sum(note is None for _, note in written) < 140
    assert None not in {note for (note,) in made("select id from orders where note = $1").copies}


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("select extract($1 from at) from orders", ("day",)),
        ("select date_trunc($1, at), count(*) from orders group by ?", ("day", "1")),
        ("select state, id from orders group by ?, ? order by id, ?", ("1", "2", "2")),
        ("select id from orders where at > now() - interval $1", ("1 day",)),
        ("select id + $1 from orders where ref = $2::uuid and false", None),
        ("select id from orders where data @> $1", None),
        ("select o.id from orders o, generate_series($1, $2) n where n = o.id", ("1", "1")),
    ],
)
def test_what_meets_no_column_is_guessed_from_its_context(sql, values):
    copy = made(sql, copies=1).copies[0]
    assert values is None or copy == values


def test_arrays_hold_as_many_as_came_back():
    (values,) = made("select id from orders where id = any($1)", copies=1, calls=10, rows=45).copies
    assert values[0].count(",") == 4


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("begin", "transaction control"),
        ("select x from nowhere where y = $1", "not rebuilt"),
        ("select my_function($1)", "of no table"),
        ("select id from orders where (state = $1", "cut off"),
    ],
)
def test_what_cannot_be_made_is_told(sql, why):
    found = synthesise(template(sql), SHOP, 3, np.random.default_rng(1))
    assert isinstance(found, str)
    assert why in found


def test_texts_that_are_looked_for_have_the_form_of_those_held():
    note = SHOP.table("orders").column("note")
    rng = np.random.default_rng(3)
    found = {sought(note, rng) for _ in range(50)}
    assert len(found) > 40
    assert all(f"{v[:3]}".isalpha() and v[3] == " " and v[4:].isdigit() for v in found)
    assert drawn(note, rng) in note.histogram  # what is written must satisfy the column's checks


@pytest.mark.parametrize(
    ("base", "bounds", "middle"),
    [
        ("int8", ("10", "20"), "15"),
        ("numeric", ("1.50", "2.50"), "2.00"),
        ("date", ("2026-01-01", "2026-01-03"), "2026-01-02"),
        ("timestamp", ("2026-01-01 00:00:00", "2026-01-01 02:00:00"), "2026-01-01 01:00:00"),
        ("timestamp", ("0001-01-01 00:00:00 BC", "infinity"), "0001-01-01 00:00:00 BC"),
        ("float8", ("NaN", "NaN"), "nan"),
        ("inet", ("10.0.0.1", "10.0.0.9"), "10.0.0.1"),
    ],
)
def test_between_two_bounds(base, bounds, middle):
    found = at_quantile(column("x", base, histogram=bounds), 0.5, np.random.default_rng(0))
    assert found == middle


@pytest.mark.parametrize("base", ["int4", "bool", "text", "uuid", "jsonb", "timestamptz", "_text"])
def test_a_column_without_statistics_has_a_value_of_its_type(base):
    assert drawn(column("x", base), np.random.default_rng(0))
