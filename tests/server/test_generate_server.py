"""A skewed source, introspected and generated into a second database: the statistics come back."""

import dataclasses
import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg
import pytest

from data_gen.errors import DataGenError
from data_gen.introspect import introspect
from data_gen.labels import schema_literals
from data_gen.load import Order, generate
from data_gen.profile import Constraint
from data_gen.rows import column_values
from replay import embedded

SOURCE = Path(__file__).with_name("generate_source.sql").read_text(encoding="utf-8")
NOW = datetime.now(UTC)
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'app'::regnamespace AND contype IN ('p', 'u', 'c', 'f') AND conrelid <> 0
    ORDER BY 1, 2
"""
COLUMNS = """
    SELECT table_name, column_name, udt_name, is_nullable, column_default, is_identity
    FROM information_schema.columns WHERE table_schema = 'app' AND table_name <> 'totals'
    ORDER BY 1, ordinal_position
"""
# Statistics hold no fan-out: the children of parents that are not hot come out even, so numbers
# that count them within a parent do, too.
EVEN = ("lines", "line")
HERE = {"scale": 1.0, "seed": 1, "base_time": NOW}


@dataclasses.dataclass
class Pair:
    """A source's profile, and the profile of what was generated from it."""

    source: object
    made: object
    source_dsn: str
    made_dsn: str

    def columns(self):
        for table in self.source.tables:
            other = self.made.table(table.qualified)
            yield from (
                (table, column, other.column(column.name))
                for column in table.columns
                if column.analyzed and (table.name, column.name) != EVEN
            )


def database(server: embedded.Server) -> str:
    name = f"g_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.dsn(name)


def profile_of(dsn):
    with psycopg.connect(dsn) as connection:
        connection.read_only = True
        return introspect(connection)


def rows(dsn, query):
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def pair(any_server):
    source, made = database(any_server), database(any_server)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(SOURCE)
        connection.execute("VACUUM ANALYZE app.customers, app.products, app.orders, app.lines")
        connection.execute("ANALYZE app.reviews")
    profile = profile_of(source)
    told = []
    loaded = generate(
        profile,
        lambda: psycopg.connect(made),
        Order(base_time=NOW, seed=1, jobs=2),
        progress=lambda *what: told.append(what),
    )
    assert {table.name: table.rows for table in loaded.tables} == {
        name: count for name, count, total in told if count == total
    }
    return Pair(profile, profile_of(made), source, made)


def test_what_cannot_be_rebuilt_is_named(pair):
    (reason,) = pair.source.unsupported
    assert reason.startswith("app.untouched: no statistics, so its values are even")


def test_row_counts_are_productions(pair):
    for table in pair.source.tables:
        assert pair.made.table(table.qualified).rows == pytest.approx(table.rows, rel=0.01)


def test_indexes_are_the_same_in_the_same_order(pair):
    query = """
        SELECT i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'app'::regnamespace ORDER BY c.relname, i.indexrelid
    """
    assert rows(pair.made_dsn, query) == rows(pair.source_dsn, query)


def test_constraints_and_columns_are_the_same(pair):
    for query in (CONSTRAINTS, COLUMNS):
        assert rows(pair.made_dsn, query) == rows(pair.source_dsn, query)


def test_null_fractions_come_back(pair):
    for table, before, after in pair.columns():
        assert after.null_fraction == pytest.approx(before.null_fraction, abs=0.01), (
            table.name,
            before.name,
        )


def test_numbers_of_distinct_values_come_back(pair):
    for table, before, after in pair.columns():
        numbers = [
            column.n_distinct if column.n_distinct > 0 else -column.n_distinct * table.rows
            for column in (before, after)
        ]
        assert numbers[1] == pytest.approx(numbers[0], rel=0.2), (table.name, before.name)


def test_common_values_come_back_at_their_fractions(pair):
    for table, before, after in pair.columns():
        if (table.name, before.name) in {("lines", "sku"), ("reviews", "sku")}:
            continue  # the uuids that stand for them are compared below
        first = dict(zip(before.common_values, before.common_fractions, strict=True))
        second = dict(zip(after.common_values, after.common_fractions, strict=True))
        for value, fraction in first.items():
            if fraction > 0.02 and before.base_type not in {"timestamptz", "_text"}:
                assert second.get(value, 0) == pytest.approx(fraction, rel=0.15, abs=0.005), (
                    table.name,
                    before.name,
                    value,
                )


def test_physical_order_comes_back(pair):
    for table, before, after in pair.columns():
        if before.base_type in {"int2", "int4", "int8", "timestamptz", "numeric", "date"}:
            if before.correlation is None or table.name == "reviews":
                continue
            assert after.correlation == pytest.approx(before.correlation, abs=0.1), (
                table.name,
                before.name,
            )


@pytest.mark.parametrize(
    ("table", "column"), [("orders", "customer_id"), ("lines", "sku"), ("reviews", "sku")]
)
def test_the_ten_hottest_parents_have_their_share_of_the_children(pair, table, column):
    query = f"""
        SELECT sum(n)::float / (SELECT count(*) FROM app.{table})
        FROM (SELECT count(*) AS n FROM app.{table} GROUP BY {column} ORDER BY n DESC LIMIT 10) AS t
    """
    ((before,),), ((after,),) = rows(pair.source_dsn, query), rows(pair.made_dsn, query)
    assert after == pytest.approx(before, rel=0.1)


def test_parents_without_children_remain(pair):
    query = "SELECT count(DISTINCT sku) FROM app.reviews"
    ((before,),), ((after,),) = rows(pair.source_dsn, query), rows(pair.made_dsn, query)
    assert after == pytest.approx(before, rel=0.1)


def test_time_runs_on_to_the_moment_of_generation(pair):
    query = "SELECT extract(epoch FROM max(placed_at)) FROM app.orders"
    newest = [float(rows(dsn, query)[0][0]) for dsn in (pair.source_dsn, pair.made_dsn)]
    passed = NOW.timestamp() - pair.source.taken_at_us / 1e6
    assert newest[1] - newest[0] == pytest.approx(passed, abs=1)


@pytest.mark.parametrize(
    ("table", "names", "values"),
    [
        ("customers", "email, plan, credit, created_at", "'a', 'free', 0, now()"),
        ("untouched", "note", "'a'"),
    ],
)
def test_sequences_stand_past_the_data(pair, table, names, values):
    with psycopg.connect(pair.made_dsn) as connection:
        ((largest,),) = connection.execute(f"SELECT max(id) FROM app.{table}")
        ((new,),) = connection.execute(
            f"INSERT INTO app.{table} ({names}) VALUES ({values}) RETURNING id"
        )
        connection.rollback()
    assert new == largest + 1


def test_values_told_are_the_values_in_the_table(pair):
    for table in pair.source.tables:
        for column in table.columns:
            if column.generated or column.base_type in {"tsvector", "interval"}:
                continue
            count = min(table.rows, 300)
            told = column_values(
                pair.source, table.qualified, column.name, np.arange(count), **HERE
            )
            kind = column.type
            with psycopg.connect(pair.made_dsn) as connection:
                same = connection.execute(
                    f"SELECT count(*) FROM (SELECT {column.name} AS v, row_number() OVER (ORDER BY ctid) AS n"
                    f" FROM app.{table.name}) AS t"
                    f" JOIN unnest(%s::text[]) WITH ORDINALITY AS told (v, n) USING (n)"
                    f" WHERE t.v IS NOT DISTINCT FROM told.v::{kind}",
                    (told,),
                ).fetchone()[0]
            assert same == count, (table.name, column.name)


def test_literals_of_the_schema_are_known(pair):
    assert {"free", "gold", "new", "returned"} <= schema_literals(pair.source)


def test_a_database_that_has_the_tables_is_refused(pair):
    with pytest.raises(DataGenError, match=r"app\.customers stands already in database 'g_"):
        generate(pair.source, lambda: psycopg.connect(pair.made_dsn), Order(base_time=NOW))
    assert rows(pair.made_dsn, "SELECT count(*) FROM app.customers") == [(8000,)]


def test_a_check_that_rows_break_is_left_out_and_told_if_it_cannot_be_mended(pair, any_database):
    orders = pair.source.table("app.orders")
    late = Constraint(
        name="sent_in_time",
        kind="c",
        columns=("placed_at", "sent_at"),
        definition="CHECK ((sent_at < (placed_at - '1 year'::interval)))",
    )
    marked = Constraint(
        name="marked", kind="c", columns=("coupon",), definition="CHECK ((coupon ~~ 'C: %'::text))"
    )
    broken = dataclasses.replace(orders, constraints=(*orders.constraints, late, marked))
    profile = dataclasses.replace(
        pair.source,
        tables=tuple(broken if table is orders else table for table in pair.source.tables),
    )
    loaded = generate(
        profile, lambda: psycopg.connect(any_database), Order(base_time=NOW, scale=0.1)
    )
    (reason,) = loaded.left_out
    assert reason.startswith("app.orders: ALTER TABLE")
    assert "sent_in_time" in reason
    assert "is violated by some row" in reason
    made = "SELECT conname FROM pg_constraint WHERE conname IN ('sent_in_time', 'marked')"
    assert rows(any_database, made) == [("marked",)]
    # Rows that were changed leave no room behind.
    pages = "SELECT relpages FROM pg_class WHERE oid = 'app.orders'::regclass"
    assert rows(any_database, pages)[0][0] <= 0.11 * orders.pages + 1


@pytest.mark.parametrize("scale", [0.05, 1.5])
def test_other_scales_hold_every_constraint(pair, any_database, scale):
    loaded = generate(
        pair.source, lambda: psycopg.connect(any_database), Order(base_time=NOW, scale=scale)
    )
    wanted = sum(table.rows for table in pair.source.tables) * scale
    assert sum(table.rows for table in loaded.tables) == pytest.approx(wanted, rel=0.05)
