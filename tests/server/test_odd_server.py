"""A schema with nothing but odd cases, taken from a catalog and built whole in another database."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from data_gen.introspect import introspect
from data_gen.load import Order, generate

SOURCE = Path(__file__).with_name("odd_source.sql").read_text(encoding="utf-8")
OWN = "n.nspname IN ('public', 'lib', 'Ödd')"
# What a schema is, by kind; each must come out the same on both sides.
SAME = {
    "relations": f"""
        SELECT n.nspname, c.relname, c.relkind, c.relpersistence, c.reloptions, c.relispartition,
               pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid), c.relrowsecurity,
               c.relispopulated
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {OWN} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'c') ORDER BY 1, 2""",
    "columns": f"""
        SELECT n.nspname, c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
               a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid),
               a.attcollation::regcollation, a.attstorage, array(SELECT o FROM unnest(a.attoptions) AS o WHERE o LIKE 'n%'), a.attislocal,
               to_jsonb(a)->'attstattarget'
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE {OWN} AND c.relkind IN ('r', 'p', 'v', 'm', 'c') AND a.attnum > 0 ORDER BY 1, 2, 3""",
    "constraints": f"""
        SELECT conrelid::regclass::text, contypid::regtype::text, conname, pg_get_constraintdef(k.oid),
               convalidated, condeferrable
        FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
        WHERE {OWN} AND contype <> 'n' AND (contype <> 'f' OR conparentid = 0)
        ORDER BY 1, 2, 3, 4""",
    "indexes": f"""
        SELECT i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisvalid
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OWN}
        ORDER BY c.relname, i.indexrelid""",
    "views": f"""
        SELECT schemaname, viewname, definition FROM pg_views n
        WHERE {OWN.replace("n.nspname", "schemaname")} ORDER BY 1, 2""",
    "functions": f"""
        SELECT p.oid::regprocedure::text, prosrc, pg_get_function_sqlbody(p.oid) FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE {OWN} AND proname <> 'calls_out' ORDER BY 1""",
    "types": f"""
        SELECT n.nspname, typname, typtype, typnotnull, typdefault, format_type(typbasetype, typtypmod)
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {OWN} ORDER BY 1, 2""",
    "triggers": """
        SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1""",
    "rules": "SELECT * FROM pg_rules WHERE schemaname = 'public' ORDER BY 1, 2, 3",
    "policies": "SELECT * FROM pg_policies ORDER BY 1, 2, 3",
    "statistics": """
        SELECT pg_get_statisticsobjdef(oid), to_jsonb(s)->'stxstattarget' FROM pg_statistic_ext s""",
    "inheritance": """
        SELECT inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits
        JOIN pg_class c ON c.oid = inhrelid WHERE relkind IN ('r', 'p') ORDER BY 1, 2""",
    "sequences": """
        SELECT schemaname, sequencename, data_type, increment_by, cache_size, start_value, cycle
        FROM pg_sequences ORDER BY 1, 2""",
    "extensions": "SELECT extname, extnamespace::regnamespace FROM pg_extension ORDER BY 1",
}


def database(server):
    name = f"o_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.dsn(name)


def rows(dsn, query):
    with psycopg.connect(dsn) as connection:
        return [tuple(map(str, row)) for row in connection.execute(query).fetchall()]


@pytest.fixture(scope="module")
def built(any_server):
    source, made = database(any_server), database(any_server)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS odd_reader")
        connection.execute(SOURCE)
        connection.execute("VACUUM ANALYZE")
        with psycopg.connect(source) as reading:
            reading.read_only = True
            profile = introspect(reading)
    told = []
    loaded = generate(
        profile,
        lambda: psycopg.connect(made),
        Order(base_time=datetime.now(UTC), seed=3, jobs=2),
        listed=told.extend,
    )
    return source, made, profile, loaded, told


def test_only_what_reaches_outside_is_left_out(built):
    _, _, profile, loaded, told = built
    assert [reason.partition(": ")[0] for reason in profile.unsupported] == [
        "function lib.calls_out()"
    ]
    assert list(loaded.left_out) == told == []


@pytest.mark.parametrize("kind", SAME)
def test_built_whole(built, kind):
    source, made, *_ = built
    assert rows(made, SAME[kind]) == rows(source, SAME[kind])
