"""The rules whose causes need a server of their own: wraparound, a standby, partitions, savepoints."""

import shutil
import time
from contextlib import contextmanager

import psycopg
import pytest
from made_scene import Scene, id_of, migration, once, repeat, rules

from replay import embedded, target

SCHEMA = """
CREATE TABLE acct (id int PRIMARY KEY, name text, n int DEFAULT 0);
CREATE TABLE old (id int PRIMARY KEY, filler text) WITH (autovacuum_vacuum_cost_delay = 100,
    autovacuum_vacuum_cost_limit = 1);
CREATE TABLE part (id int, day int, note text) PARTITION BY LIST (day);
INSERT INTO acct SELECT i, 'name ' || i FROM generate_series(1, 1000) i;
INSERT INTO old SELECT i, repeat('x', 200) FROM generate_series(1, 3000) i;
"""
SETTINGS = {
    "autovacuum_freeze_max_age": "100000",
    "autovacuum_naptime": "1",
    "autovacuum_vacuum_cost_delay": "0",
    "log_destination": "'jsonlog'",
    "log_lock_waits": "on",
    "deadlock_timeout": "'200ms'",
    "max_connections": "60",
    "max_prepared_transactions": "2",
    "fsync": "off",
}
READ = "SELECT name FROM acct WHERE id = %s"
READ_OLD = "SELECT filler FROM old WHERE id = %s"
READ_BUSY = "SELECT filler FROM busy WHERE id = %s"
WRITE = "UPDATE acct SET n = n + 1 WHERE id = %s"
NOTIFY = "NOTIFY done, 'x'"
UNPRUNED = "SELECT count(*) FROM part WHERE id = %s"
PRUNED = "SELECT count(*) FROM part WHERE id = %s AND day = %s"


@pytest.fixture(scope="module")
def primary():
    """A private server with a marked database."""
    with embedded.server(SETTINGS) as running:
        target.mark_staging(running.dsn())
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            connection.execute(SCHEMA)
            for day in range(1, 31):
                connection.execute(
                    f"CREATE TABLE part_{day} PARTITION OF part FOR VALUES IN ({day})"
                )
            connection.execute("VACUUM ANALYZE")
        yield running


@pytest.fixture
def database(primary):
    return primary.dsn()


@pytest.fixture
def scene(database, tmp_path):
    return Scene(database, tmp_path)


@contextmanager
def standby_of(primary):
    """A standby that replays what the primary writes at once."""
    running = embedded._new_home(primary.installation)
    try:
        embedded._run(
            running,
            [
                running.installation.program("pg_basebackup"),
                *("-D", str(running.data), "-d", primary.dsn(), "-R", "-c", "fast", "--no-sync"),
            ],
        )
        with (running.data / "postgresql.auto.conf").open("a") as stream:
            stream.write(f"unix_socket_directories = '{running.home}'\n")
        shutil.rmtree(running.data / "log")
        embedded.control(running, "start", "-w", "-l", str(running.home / "start.log"))
        yield running
    finally:
        embedded.stop(running)


def _until_seen(connection, text):
    """Wait for a session whose query is like the text."""
    until = time.monotonic() + 20
    asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s"
    while not connection.execute(asked, (text,)).fetchone()[0]:
        assert time.monotonic() < until, "autovacuum never came"
        time.sleep(0.02)


def test_12_an_index_build_waits_for_an_old_snapshot(scene):
    hold = once(("BEGIN",), (WRITE, 7), 0.9, ("COMMIT",))
    build = "CREATE INDEX CONCURRENTLY acct_name ON acct (name)"
    found = scene.act(hold, foreign=[migration(build)])
    assert rules(found)[0] == 12
    assert found[0].templates[0].sql == build
    assert found[0].templates[1].id == id_of(WRITE)


def test_12_without_one_is_no_finding(scene):
    build = "CREATE INDEX CONCURRENTLY acct_name2 ON acct (name)"
    writers = [repeat(0.4, (WRITE, 7)) for _ in range(2)]
    assert 12 not in rules(scene.act(*writers, foreign=[migration(build)]))


def slow_commits(connection):
    """For a while every commit waits for a synchronous standby that is not there."""
    connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.6)
    connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
    connection.execute("SELECT pg_reload_conf()")


def test_11_commits_that_notify_queue_up(scene):
    commit = once(("BEGIN",), (WRITE, 1), (NOTIFY,), ("COMMIT",), after=0.2)
    others = [once(("BEGIN",), (WRITE, n), (NOTIFY,), ("COMMIT",), after=0.25) for n in range(2, 5)]
    found = scene.act(commit, *others, foreign=[slow_commits])
    assert rules(found)[0] == 11
    assert [culprit.id for culprit in found[0].templates] == [id_of(NOTIFY)]
    assert found[0].evidence["sessions_blocked_at_most"] >= 3


def test_11_commits_that_wait_without_notify_are_no_finding_and_the_root_is_named(scene):
    commit = once(("BEGIN",), (WRITE, 1), ("COMMIT",), after=0.2)
    others = [once((WRITE, 1), after=0.25) for _ in range(3)]
    found = scene.act(commit, *others, foreign=[slow_commits])
    assert 11 not in rules(found)
    (longest, *_) = scene.evidence.blocking.episodes
    assert longest.culprit == id_of("COMMIT")
    assert longest.statements == (id_of("BEGIN"), id_of(WRITE), id_of("COMMIT"))
    assert (longest.relation, longest.sessions) == ("public.acct", 3)


def test_6_a_prepared_transaction_that_nobody_ends(scene):
    def forget(connection):
        connection.execute("BEGIN")
        connection.execute("UPDATE acct SET n = 0 WHERE id = 77")
        connection.execute("PREPARE TRANSACTION 'forgotten'")
        time.sleep(0.5)
        connection.execute("ROLLBACK PREPARED 'forgotten'")

    found = scene.act(*[once((WRITE, 77), after=0.1) for _ in range(3)], foreign=[forget])
    assert rules(found) == [6]
    assert found[0].summary.startswith("a prepared transaction sits idle")
    assert found[0].relations == ("public.acct",)


def test_15_savepoints_by_the_hundred(scene):
    def many(session):
        session.run("BEGIN")
        for number in range(90):
            session.run(f"SAVEPOINT s{number}")
            session.run(WRITE, number + 1)
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            session.run(READ, 500)
        session.run("COMMIT")

    readers = [repeat(1.2, ("SELECT count(n) FROM acct WHERE id < %s", 90)) for _ in range(3)]
    # Only what is younger than the last commit is known to run without being looked up.
    found = scene.act(many, repeat(1.2, (WRITE, 900)), *readers)
    fired = [finding for finding in found if finding.rule == 15]
    assert fired, scene.evidence.changed["slru", "subtransaction"]
    assert fired[0].evidence["hits_per_transaction"] > 20
    assert max(fired[0].evidence["savepoints"].values()) == 90


def test_15_a_few_savepoints_are_no_finding(scene):
    def few(session):
        session.run("BEGIN")
        for number in range(20):
            session.run(f"SAVEPOINT s{number}")
            session.run(WRITE, number + 1)
        session.run("COMMIT")

    readers = [repeat(0.4, ("SELECT count(n) FROM acct WHERE id < %s", 90)) for _ in range(2)]
    assert 15 not in rules(scene.act(few, *readers))


def test_14_locks_past_the_fast_path_are_counted(scene):
    scene.act(repeat(0.1, (UNPRUNED, 1), (PRUNED, 1, 3)))
    unpruned, pruned = (scene.evidence.plans[id_of(sql)] for sql in (UNPRUNED, PRUNED))
    assert unpruned.locks == 31
    assert pruned.locks == 2
    assert pruned.slow_locks == 0


def test_3_a_freeze_that_does_not_give_way(database, scene):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE burnt (i int)")
        connection.execute(
            "DO $$ BEGIN FOR i IN 1..101000 LOOP BEGIN INSERT INTO burnt VALUES (i);"
            " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$"
        )
        _until_seen(connection, "autovacuum: VACUUM %public.old (to prevent wraparound)")

    def try_once(connection):
        connection.execute("SET lock_timeout = '700ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("ALTER TABLE old ADD COLUMN extra int")

    found = scene.act(*[once((READ_OLD, 5), after=0.2) for _ in range(3)], foreign=[try_once])
    assert rules(found)[0] == 3
    assert 1 not in rules(found)
    assert found[0].relations == ("public.old",)
    assert found[0].fixes[0].sql == "VACUUM (FREEZE) public.old"


def test_3_an_ordinary_vacuum_gives_way(database, scene):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE busy (id int PRIMARY KEY, filler text) WITH (autovacuum_vacuum_threshold = 1,"
            " autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100,"
            " autovacuum_vacuum_cost_limit = 1)"
        )
        connection.execute(
            "INSERT INTO busy SELECT i, repeat('x', 200) FROM generate_series(1, 3000) i"
        )
        connection.execute("DELETE FROM busy WHERE id % 2 = 0")
        _until_seen(connection, "autovacuum: VACUUM %public.busy")

    def alter(connection):
        connection.execute("ALTER TABLE busy ADD COLUMN extra int")

    found = scene.act(*[once((READ_BUSY, 5), after=0.2) for _ in range(3)], foreign=[alter])
    assert 3 not in rules(found)
    roots = {episode.culprit for episode in scene.evidence.blocking.episodes}
    assert any(root.startswith("autovacuum: VACUUM ") for root in roots), "until it was cancelled"


def test_20_a_standby_whose_recovery_is_in_the_way(primary, tmp_path):
    with standby_of(primary) as standby, psycopg.connect(primary.dsn()) as locking:
        with psycopg.connect(standby.dsn(), autocommit=True) as asking:
            assert asking.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
            locking.execute("LOCK TABLE acct IN ACCESS EXCLUSIVE MODE")
            locking.execute("SELECT pg_switch_wal()")
            until = time.monotonic() + 20
            asked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
            while not asking.execute(asked).fetchone()[0]:
                assert time.monotonic() < until, "the lock was never replayed"
                time.sleep(0.02)

        def let_go(_connection):
            time.sleep(0.5)
            locking.rollback()

        found = Scene(standby.dsn(), tmp_path).act(
            *[once((READ, 5)) for _ in range(3)], foreign=[let_go]
        )
        assert rules(found)[0] == 20
        assert found[0].relations == ("public.acct",)
        assert found[0].fixes[0].sql == "ALTER TABLE public.acct SET (vacuum_truncate = off)"
        quiet = Scene(standby.dsn(), tmp_path).act(*[repeat(0.2, (READ, 5)) for _ in range(2)])
        assert 20 not in rules(quiet)
