"""Each rule with really blocked backends: a scene in which it fires, and one in which it must not."""

import threading
import time

import psycopg
import pytest
from made_scene import Scene, id_of, migration, once, repeat, rules

from replay import target

SCHEMA = """
CREATE TABLE acct (id int PRIMARY KEY, name text, n int DEFAULT 0);
CREATE TABLE ord (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                  acct_id int NOT NULL REFERENCES acct (id), note text);
CREATE TABLE counter (id int PRIMARY KEY, n int);
CREATE TABLE slug (name text PRIMARY KEY, n int DEFAULT 0);
CREATE TABLE job (id int PRIMARY KEY, state text, n int DEFAULT 0);
CREATE INDEX job_next ON job (state, id);
CREATE TABLE event (tenant int, ts int, body text);
INSERT INTO acct SELECT i, 'name ' || i FROM generate_series(1, 1000) i;
INSERT INTO ord (acct_id, note) SELECT i % 500 + 1, repeat('x', 40) FROM generate_series(1, 150000) i;
INSERT INTO counter SELECT i, 0 FROM generate_series(1, 10) i;
INSERT INTO job SELECT 1000000000 + i, 'new' FROM generate_series(1, 20) i;
INSERT INTO event SELECT CASE WHEN i % 25 = 0 THEN i ELSE 1 END, i, 'b'
    FROM generate_series(1, 60000) i;
CREATE INDEX event_tenant ON event (tenant);
CREATE INDEX event_ts ON event (ts);
VACUUM ANALYZE;
"""
BUMP = "UPDATE counter SET n = n + 1 WHERE id = %s"
READ = "SELECT name FROM acct WHERE id = %s"
SLOW_READ = "SELECT count(*), pg_sleep(%s) FROM acct WHERE id < 3"
ADD_COLUMN = "ALTER TABLE acct ADD COLUMN extra int"
DELETE = "DELETE FROM acct WHERE id BETWEEN %s AND %s"
CHILD = "INSERT INTO ord (acct_id, note) VALUES (%s, 'child')"
LOCK_PARENT = "SELECT n FROM acct WHERE id = %s FOR UPDATE"
UPSERT = "INSERT INTO slug (name) VALUES (%s) ON CONFLICT (name) DO UPDATE SET n = slug.n + 1"
NAP = "SELECT pg_sleep(%s)"
TAKE = "SELECT pg_advisory_lock(%s)"
TAKE_IN_TRANSACTION = "SELECT pg_advisory_xact_lock(%s)"
WORK = "UPDATE job SET n = %s WHERE id = 1000000000 + %s"
LATEST = "SELECT body FROM event WHERE tenant = %s ORDER BY ts DESC LIMIT 2000"


@pytest.fixture(scope="module")
def database(server):
    """DSN of a marked database, a few megabytes."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE scenes")
    dsn = server.dsn("scenes")
    target.mark_staging(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in SCHEMA.split(";\n"):
            connection.execute(statement)
    yield dsn
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE scenes WITH (FORCE)")


@pytest.fixture
def scene(database, tmp_path):
    return Scene(database, tmp_path)


def test_1_a_ddl_queue_names_the_ddl_and_the_long_holder(scene):
    readers = [repeat(0.9, (READ, 7)) for _ in range(4)]
    found = scene.act(once((SLOW_READ, 0.4)), *readers, foreign=[migration(ADD_COLUMN)])
    assert rules(found)[0] == 1
    ddl, holder = found[0].templates[:2]
    assert ddl.sql == ADD_COLUMN
    assert holder.id == id_of(SLOW_READ)
    assert found[0].relations == ("public.acct",)
    assert found[0].evidence["queued_behind_at_most"] == 4
    assert f"        {ADD_COLUMN};\n" in found[0].fixes[0].sql
    assert "lock_timeout = '100ms'" in found[0].fixes[0].sql


def test_1_a_ddl_that_gives_up_soon_is_no_finding(database, tmp_path):
    drop = "ALTER TABLE acct DROP COLUMN IF EXISTS extra"
    readers = [repeat(1.0, (READ, 7)) for _ in range(4)]
    scene = Scene(database, tmp_path)
    found = scene.act(
        once((SLOW_READ, 0.2)), *readers, foreign=[migration(drop, lock_timeout="20ms")]
    )
    assert 1 not in rules(found)


def test_2_an_index_build_that_holds_writers_off(scene):
    def build(connection):
        time.sleep(0.05)
        connection.execute("SET maintenance_work_mem = '1MB'")
        connection.execute("SET max_parallel_maintenance_workers = 0")
        connection.execute("CREATE INDEX ord_note2 ON ord ((sha512(note::bytea)), id)")

    writers = [repeat(0.8, (CHILD, 3)) for _ in range(4)]
    found = scene.act(*writers, foreign=[build])
    assert rules(found)[0] == 2
    assert found[0].templates[0].sql.startswith("CREATE INDEX ord_note2")
    assert found[0].relations == ("public.ord",)
    assert found[0].fixes[0].sql.startswith("CREATE INDEX CONCURRENTLY ord_note2 ON ord")


def test_2_concurrently_is_no_finding(scene):
    writers = [repeat(0.6, (CHILD, 3)) for _ in range(4)]
    build = "CREATE INDEX CONCURRENTLY ord_note3 ON ord (note, id)"
    found = scene.act(*writers, foreign=[migration(build, after=0.05)])
    assert 2 not in rules(found)


def test_2_a_lock_of_the_whole_table_outlasts_its_statement(scene):
    lock = "LOCK TABLE ord IN SHARE MODE"
    hold = once(("BEGIN",), (lock,), (NAP, 0.4), ("COMMIT",))
    found = scene.act(hold, *[once((CHILD, 3), after=0.1) for _ in range(3)])
    assert rules(found)[0] == 2
    assert [culprit.id for culprit in found[0].templates] == [id_of(lock), id_of(NAP)]
    assert found[0].relations == ("public.ord",)


def test_2_a_backfill_holds_each_row_that_it_has_written(scene):
    def fill(connection):
        connection.execute("UPDATE counter SET n = 0 WHERE id = 5 RETURNING pg_sleep(0.5)")

    found = scene.act(*[once((BUMP, 5), after=0.1) for _ in range(3)], foreign=[fill])
    assert rules(found)[0] == 2, scene.evidence.blocking.episodes
    assert found[0].templates[0].sql.startswith("UPDATE counter SET n = 0")
    assert found[0].relations == ("public.counter",)


def test_4_a_delete_whose_foreign_key_has_no_index(database, scene):
    def children(session):
        time.sleep(0.02)
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            session.run("BEGIN")
            session.run(CHILD, 701)
            session.run("ROLLBACK")

    delete = once(("BEGIN",), (DELETE, 701, 760), ("ROLLBACK",))
    found = scene.act(delete, *[children] * 4)
    assert rules(found)[0] == 4
    assert [culprit.id for culprit in found[0].templates] == [id_of(DELETE)]
    assert found[0].relations == ("public.ord", "public.acct")
    assert [fix.sql for fix in found[0].fixes] == [
        "CREATE INDEX CONCURRENTLY ON public.ord (acct_id)"
    ]
    check = found[0].evidence["checks"][0]
    assert check["time_ms"] > 0.5 * found[0].evidence["execution_ms"]


def test_4_with_the_index_is_no_finding(database, scene):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE INDEX ord_acct ON ord (acct_id)")
        delete = once(("BEGIN",), (DELETE, 701, 760), ("ROLLBACK",))
        children = [repeat(0.3, ("BEGIN",), (CHILD, 701), ("ROLLBACK",)) for _ in range(4)]
        found = scene.act(delete, *children)
        connection.execute("DROP INDEX ord_acct")
    assert 4 not in rules(found)


def test_6_a_client_that_works_with_its_transaction_open(scene):
    hold = once(("BEGIN",), (BUMP, 1), 0.4, ("COMMIT",))
    found = scene.act(hold, *[once((BUMP, 1), after=0.05) for _ in range(4)])
    assert rules(found) == [6]
    assert [culprit.id for culprit in found[0].templates] == [id_of(BUMP)]
    assert found[0].relations == ("public.counter",)
    assert found[0].evidence["pause_share"] > 0.9


def test_6_a_statement_that_takes_the_time_is_no_client_work(scene):
    hold = once(("BEGIN",), (BUMP, 1), (NAP, 0.4), ("COMMIT",))
    found = scene.act(hold, *[once((BUMP, 1), after=0.05) for _ in range(4)])
    assert found
    assert 6 not in rules(found)


def test_8_sessions_that_insert_the_same_key(scene):
    def insert(session):
        time.sleep(0.03)
        session.run("BEGIN")
        session.run(UPSERT, "same")
        session.run(NAP, 0.12)
        session.run("COMMIT")

    found = scene.act(*[insert] * 5)
    assert rules(found)[0] == 8
    assert 7 not in rules(found)
    assert [culprit.id for culprit in found[0].templates] == [id_of(UPSERT)]
    assert found[0].relations == ("public.slug",)
    assert found[0].evidence["unique_keys"] == ["name"]


def test_8_children_that_wait_for_their_parent_are_no_race(scene):
    hold = once(("BEGIN",), (LOCK_PARENT, 11), (CHILD, 11), (NAP, 0.4), ("COMMIT",))
    found = scene.act(hold, *[once((CHILD, 11), after=0.1) for _ in range(4)])
    assert 8 not in rules(found)
    (episode, *_) = scene.evidence.blocking.episodes
    assert (episode.relation, episode.sessions) == ("public.acct", 4)


def test_8_different_keys_are_no_race(scene):
    def insert(key):
        return once(("BEGIN",), (UPSERT, key), (NAP, 0.1), ("COMMIT",))

    assert 8 not in rules(scene.act(*[insert(f"key {n}") for n in range(4)]))


def test_9_a_lock_upgrade_through_a_foreign_key(scene):
    both = threading.Barrier(2)

    def actor(session):
        session.run("BEGIN")
        session.run(CHILD, 9)
        both.wait()
        state = session.run(LOCK_PARENT, 9, fails=("40P01",))
        session.run("ROLLBACK" if state != "ok" else "COMMIT")

    found = scene.act(actor, actor)
    first = next(finding for finding in found if finding.rule == 9)
    assert [culprit.id for culprit in first.templates] == [id_of(LOCK_PARENT)]
    assert first.relations == ("public.acct",)
    assert first.evidence["lock_upgrade"] == "public.acct"
    assert first.evidence["told_by_the_log"]
    assert first.evidence["deadlocks"] == 1
    assert "FOR UPDATE before the INSERT" in first.fixes[0].why


def test_9_two_orders(scene):
    both = threading.Barrier(2)

    def actor(first, second):
        def act(session):
            session.run("BEGIN")
            session.run(*first)
            both.wait()
            state = session.run(*second, fails=("40P01",))
            session.run("ROLLBACK" if state != "ok" else "COMMIT")

        return act

    found = scene.act(actor((BUMP, 2), (WORK, 1, 2)), actor((WORK, 2, 2), (BUMP, 2)))
    first = next(finding for finding in found if finding.rule == 9)
    assert {culprit.id for culprit in first.templates} == {id_of(BUMP), id_of(WORK)}
    assert first.evidence["lock_upgrade"] == ""
    assert "sort the keys" in first.fixes[0].why


def test_9_one_order_is_no_deadlock(scene):
    act = once(("BEGIN",), (BUMP, 2), (WORK, 1, 2), (NAP, 0.1), ("COMMIT",))
    assert 9 not in rules(scene.act(act, act))


def test_10_a_session_lock_that_outlives_its_request(scene):
    taken = threading.Event()

    def leak(session):
        session.run(TAKE, 42)
        taken.set()
        time.sleep(0.3)
        session.run(READ, 7)  # the connection serves another request
        time.sleep(0.2)

    def want(session):
        taken.wait()
        session.run(TAKE, 42)
        session.run("SELECT pg_advisory_unlock(%s)", 42)

    found = scene.act(leak, want, want, want)
    assert rules(found)[0] == 10
    assert found[0].templates[0].id == id_of(TAKE)
    assert found[0].evidence["keys"] == ["0 42 1"]


def test_10_a_lock_of_a_transaction_does_not_leak(scene):
    act = once(("BEGIN",), (TAKE_IN_TRANSACTION, 43), (NAP, 0.15), ("COMMIT",))
    found = scene.act(*[act] * 4)
    assert 10 not in rules(found)


TAKE_JOB = (
    "UPDATE job SET n = %s WHERE id ="
    " (SELECT id FROM job WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
)


def worker(seconds):
    """A worker that takes the oldest job."""

    def actor(session):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            session.run(TAKE_JOB, 1)

    return actor


def churn(seconds):
    """A producer whose jobs are done, and deleted, at once."""

    def actor(connection):
        until = time.monotonic() + seconds
        at = 1000
        while time.monotonic() < until:
            connection.execute(
                f"INSERT INTO job SELECT i, 'new' FROM generate_series({at}, {at + 2999}) i"
            )
            connection.execute(f"DELETE FROM job WHERE id >= {at} AND id < {at + 3000}")
            at += 3000

    return actor


def test_17_a_queue_under_an_open_snapshot(database, scene):
    with psycopg.connect(database) as snapshot:
        snapshot.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        snapshot.execute("SELECT 1 AS report FROM job LIMIT 1")
        found = scene.act(worker(2.5), foreign=[churn(2.5)])
    assert rules(found)[0] == 17, (scene.evidence.trends, scene.evidence.sessions.long)
    assert found[0].templates[0].id == id_of(TAKE_JOB)
    assert found[0].templates[1].sql.startswith("SELECT 1 AS report")
    assert found[0].evidence["dead_rows"] > 1000
    assert found[0].evidence["last_third_ms"] > 1.7 * found[0].evidence["first_sixth_ms"]


def test_17_without_the_snapshot_is_no_finding(database, tmp_path):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM FULL job")
    scene = Scene(database, tmp_path)
    assert 17 not in rules(scene.act(worker(0.8), foreign=[churn(0.7)]))


def test_18_the_sixth_execution_takes_a_generic_plan(scene):
    def ask(session):
        for _ in range(60):
            session.run(LATEST, 1)

    found = scene.act(*[ask] * 2)
    assert rules(found)[0] == 18
    assert [culprit.id for culprit in found[0].templates] == [id_of(LATEST)]
    assert "event_ts" in found[0].evidence["plans"]["custom"]
    assert "event_tenant" in found[0].evidence["plans"]["generic"]
    assert found[0].fixes[0].sql == "SET plan_cache_mode = force_custom_plan"


def test_18_with_custom_plans_is_no_finding(scene):
    def ask(session):
        session.connection.execute("SET plan_cache_mode = force_custom_plan")
        for _ in range(60):
            session.run(LATEST, 1)

    assert 18 not in rules(scene.act(*[ask] * 2))
