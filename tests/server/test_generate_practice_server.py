"""Generating in parts, again after an interruption, on as many pages as production's."""

import uuid
from datetime import UTC, datetime

import psycopg
import pytest

from data_gen import fill, rows
from data_gen.copying import Target
from data_gen.errors import DataGenError
from data_gen.introspect import introspect
from data_gen.load import Order, generate

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SOURCE = """
    CREATE TABLE kinds (id int PRIMARY KEY, word text NOT NULL);
    CREATE TABLE grown (id int PRIMARY KEY, kind int NOT NULL REFERENCES kinds, note text NOT NULL,
                        at timestamptz NOT NULL) WITH (autovacuum_enabled = false);
    CREATE TABLE wide (id int PRIMARY KEY, body text) WITH (fillfactor = 70);
    INSERT INTO kinds SELECT i, 'w' || i FROM generate_series(1, 20) AS i;
    INSERT INTO grown SELECT i, 1 + i % 20, 'note ' || md5(i::text), now() - i * interval '1 minute'
    FROM generate_series(1, 60000) AS i;
    CREATE INDEX grown_note ON grown (note);
    DELETE FROM grown WHERE id % 3 = 0;
    CREATE TABLE stored (id int PRIMARY KEY, page text, label text);
    INSERT INTO stored SELECT i, (SELECT string_agg(md5(random()::text), '') FROM
        generate_series(1, 100 + i % 100)), 'label ' || i % 9 FROM generate_series(1, 600) AS i;
    INSERT INTO wide SELECT i, 'body ' || i FROM generate_series(1, 20000) AS i;
"""
PAGES = "SELECT relname, relpages FROM pg_class WHERE relname = ANY (%s)"
TOAST = "SELECT pg_table_size('public.stored') / 8192"
NAMES = ["kinds", "grown", "wide", "grown_note", "grown_pkey", "wide_pkey"]


@pytest.fixture(scope="module")
def profile(any_server):
    dsn = database(any_server)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SOURCE)
        connection.execute("VACUUM ANALYZE")
        connection.execute("ANALYZE")
    with psycopg.connect(dsn) as connection:
        found = introspect(connection)
        pages = dict(connection.execute(PAGES, (NAMES,)).fetchall())
        pages["toast"] = connection.execute(TOAST).fetchone()[0]
    return found, pages


@pytest.fixture
def target(any_server):
    return database(any_server)


def database(server):
    name = f"p_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.dsn(name)


def made(profile, dsn, **order):
    return generate(profile, lambda: psycopg.connect(dsn), Order(base_time=NOW, **order))


def told(dsn, query, *values):
    with psycopg.connect(dsn) as connection:
        return connection.execute(query, values).fetchall()


CONTENT = "SELECT md5(string_agg(t::text, ' ' ORDER BY id)) FROM {} AS t"


def content(dsn):
    return [told(dsn, CONTENT.format(name)) for name in ("kinds", "grown", "wide")]


def test_bloat_of_tables_and_indexes_comes_back(profile, target):
    found, before = profile
    assert made(found, target, jobs=2).left_out == ()
    after = dict(told(target, PAGES, NAMES))
    for name in ("grown", "wide"):
        assert after[name] == pytest.approx(before[name], rel=0.02), name
    for name in ("grown_note", "grown_pkey", "wide_pkey"):
        assert after[name] == pytest.approx(before[name], rel=0.05), name
    assert told(target, TOAST)[0][0] == pytest.approx(before["toast"], rel=0.05)
    options = "SELECT relname, reloptions FROM pg_class WHERE relname = ANY (%s) ORDER BY 1"
    assert [row for row in told(target, options, NAMES) if row[1]] == [
        ("grown", ["autovacuum_enabled=false"]),
        ("wide", ["fillfactor=70"]),
    ]


def test_the_same_seed_gives_the_same_rows_whatever_the_jobs_and_slices(
    profile, target, any_server
):
    found, _ = profile
    made(found, target, seed=5, jobs=1)
    sliced = database(any_server)
    parts = [made(found, sliced, seed=5, jobs=2, part=(k, 3)) for k in (2, 1, 3)]
    assert [part.missing for part in parts] == [2, 1, 0]
    assert content(sliced) == content(target)
    keys = "SELECT conname FROM pg_constraint WHERE contype IN ('p', 'f') ORDER BY 1"
    assert told(sliced, keys) == told(target, keys)
    assert told(sliced, "SELECT to_regclass('replay.filled')") == [(None,)]


def test_a_table_that_is_most_of_the_work_has_several_streams_and_the_same_rows(
    profile, target, any_server, monkeypatch
):
    found, _ = profile
    alone = {"seed": 5, "tables": ("public.wide",)}
    made(found, target, jobs=1, **alone)
    monkeypatch.setattr(fill, "_LEAST_SPLIT", 1000)
    monkeypatch.setattr(rows, "_BLOCK_ROWS", 500)
    copies = []
    monkeypatch.setattr(Target, "copy", counted(Target.copy, copies))
    split = database(any_server)
    made(found, split, jobs=2, **alone)
    assert len(set(copies)) > 1
    assert content(split) == content(target)
    assert told(split, "SELECT count(*) FROM wide") == [(20_000,)]


@pytest.mark.parametrize("step", ["truncate", "copy"])
def test_where_a_table_of_several_streams_fails_all_of_them_end(profile, target, monkeypatch, step):
    found, _ = profile
    monkeypatch.setattr(fill, "_LEAST_SPLIT", 1000)

    def refused(self, connection, *_given, **_how):
        connection.execute("SELECT 1/0")

    monkeypatch.setattr(Target, step, refused)
    with pytest.raises(DataGenError, match=r"public\.wide: the server refuses: division by zero"):
        made(found, target, jobs=2, tables=("public.wide",))
    assert told(target, "SELECT to_regclass('wide')") == [(None,)]


def counted(copy, copies):
    def counting(self, connection, blocks, sent, **how):
        copies.append(connection.info.backend_pid)
        return copy(self, connection, blocks, sent, **how)

    return counting


def test_an_interrupted_run_goes_on_where_it_broke_off(profile, target):
    found, _ = profile
    filled = []

    def stop(name, rows, total):
        if name == "public.wide":
            raise KeyboardInterrupt
        if rows == total:
            filled.append(name)

    with pytest.raises(KeyboardInterrupt):
        generate(
            found,
            lambda: psycopg.connect(target),
            Order(base_time=NOW, seed=2),
            progress=stop,
        )
    assert filled == ["public.grown"]
    with pytest.raises(DataGenError, match="an earlier run with other options did not finish"):
        made(found, target, seed=3)
    again = []
    loaded = generate(
        found,
        lambda: psycopg.connect(target),
        Order(seed=2),
        progress=lambda name, rows, total: again.append(name),
    )
    assert set(again) == {"public.kinds", "public.wide", "public.stored"}
    assert loaded.base_time == NOW
    assert loaded.left_out == ()
    with pytest.raises(DataGenError, match="or have what stands there dropped with --replace"):
        made(found, target, seed=2)
    first = content(target)
    assert made(found, target, seed=2, replace=True).left_out == ()
    assert content(target) == first


def test_only_some_tables_are_filled_and_what_their_keys_lead_to(profile, target):
    found, _ = profile
    loaded = made(found, target, tables=("grown",), scale=0.01)
    assert {table.name: table.rows for table in loaded.tables} == {
        "public.grown": 400,
        "public.kinds": 1,
        "public.stored": 0,
        "public.wide": 0,
    }
    with pytest.raises(DataGenError, match="--table absent: the workload has no such table"):
        made(found, target, tables=("absent",))


def test_small_tables_alone(profile, target):
    loaded = made(profile[0], target, small=100)
    assert [table.rows for table in loaded.tables if table.rows] == [20]


def test_strict_loads_nothing_where_a_part_cannot_be_made(profile, target):
    found, _ = profile
    odd = type(found)(
        **{name: getattr(found, name) for name in found.__slots__ if name != "extensions"},
        extensions=("public.not_there",),
    )
    listed = []
    with pytest.raises(DataGenError, match="1 parts of the schema cannot be made here"):
        generate(odd, lambda: psycopg.connect(target), Order(strict=True), listed=listed.extend)
    assert listed[0].startswith("extension not_there: CREATE EXTENSION")
    assert told(target, "SELECT to_regclass('grown')") == [(None,)]
