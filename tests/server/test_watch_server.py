"""The sampler, the counters and the plans on real servers, with really blocked backends."""

import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from replay import runtables, target
from replay.errors import RefusedError
from replay.sql.fingerprint import fingerprint
from replay.tag import APPLICATION_NAME, LOAD_APPLICATION, tagged
from replay.watch import Watch, counters, plans

HOLD, WAIT, SLEEP, COMMIT = (f"{n:016x}" for n in range(1, 5))
SCAN = "SELECT count(*) FROM t WHERE word = $1"
WRITE = "UPDATE t SET n = $1 WHERE id = $2"


@pytest.fixture
def database(any_database):
    """DSN of a marked database with a table of 20,000 rows, on each version."""
    target.mark_staging(any_database)
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, n int, word text)")
        connection.execute(
            "INSERT INTO t SELECT i, 0, 'word ' || i % 5000 FROM generate_series(1, 20000) i"
        )
        connection.execute("VACUUM ANALYZE t")
    return any_database


def until(condition, seconds=20):
    """Poll for a condition; its value when it holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {condition}")


def load(dsn):
    return psycopg.connect(dsn, application_name=LOAD_APPLICATION)


@contextmanager
def waiters(dsn, count):
    """Sessions that update row 1, each in a thread; yields a check that all of them wait."""

    def update():
        with load(dsn) as connection:
            connection.execute(tagged("UPDATE t SET n = n + 1 WHERE id = 1", WAIT))

    threads = [threading.Thread(target=update) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        with psycopg.connect(dsn, autocommit=True) as looking:
            until(
                lambda: (
                    looking.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                        " AND datname = current_database()"
                    ).fetchone()
                    == (count,)
                )
            )
        yield
    finally:
        for thread in threads:
            thread.join()


def test_one_blocker_and_two_waiters_are_seen(database):
    with load(database) as root:
        root.execute(tagged("UPDATE t SET n = 1 WHERE id = 1", HOLD))
        with Watch(database, hz=50) as watch:
            t0 = time.monotonic_ns()
            with waiters(database, 2):
                root.execute(tagged("SELECT pg_sleep(0.5)", SLEEP))
                root.execute(tagged("COMMIT", COMMIT))
            watched = watch.stop(t0)
        pid = root.info.backend_pid
    rows = watched.blocking.to_pylist()
    assert watched.blocking.schema == runtables.BLOCKING
    assert watched.samples.schema == runtables.SAMPLES
    late = [row for row in rows if row["blocker_template"] == SLEEP]
    assert {row["blocker"] for row in rows} >= {pid}
    assert {row["blocker"] for row in late} == {pid}
    assert len({row["waiter"] for row in late}) == 2
    assert {row["lock_type"] for row in late} == {"tuple", "transactionid"}
    assert {row["relation"] for row in late} == {"public.t"}
    assert {row["waiter_template"] for row in late} == {WAIT}
    states = [row["blocker_state"] for row in late]
    assert states.count("active") > len(states) / 2, "but for the moment before its COMMIT"
    assert 300_000 < max(row["wait_us"] for row in late) < 5_000_000
    held = [row for row in watched.samples.to_pylist() if row["pid"] == pid]
    asleep = [row["wait"] for row in held if row["template"] == SLEEP]
    assert asleep.count("PgSleep") > len(asleep) / 2, "but for its first and last moment"
    assert held[-1]["transaction_age_us"] >= held[-1]["query_age_us"]


def test_a_role_that_may_not_see_a_blockers_statement_sees_that_it_blocks(database):
    plain = f"watcher_{time.monotonic_ns()}"
    theirs = psycopg.conninfo.make_conninfo(database, user=plain)
    with psycopg.connect(database, autocommit=True) as connection:
        blocker = connection.info.backend_pid
        connection.execute(f"CREATE ROLE {plain} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA replay TO {plain}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA replay TO {plain}")
        try:
            with psycopg.connect(theirs) as waiter, Watch(theirs, hz=50) as watch:
                connection.execute("SELECT pg_advisory_lock(8)")
                t0 = time.monotonic_ns()
                waiter.execute("SET lock_timeout = 300")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    waiter.execute("SELECT pg_advisory_lock(8)")
                watched = watch.stop(t0)
        finally:
            connection.execute(f"DROP OWNED BY {plain}")
            connection.execute(f"DROP ROLE {plain}")
    edges = watched.blocking.to_pylist()
    assert {edge["blocker"] for edge in edges} == {blocker}
    assert {edge["blocker_state"] for edge in edges} == {""}
    assert {edge["waiter_text"] for edge in edges} == {"SELECT pg_advisory_lock(8)"}


def test_an_idle_session_that_holds_an_advisory_lock_is_named_and_not_listed(database):
    with psycopg.connect(database, autocommit=True) as root, Watch(database, hz=50) as watch:
        root.execute(tagged("SELECT pg_advisory_lock(7)", HOLD))

        def wait():
            with load(database) as connection:
                connection.execute("SET lock_timeout = 400")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    connection.execute(tagged("SELECT pg_advisory_lock(7)", WAIT))

        t0 = time.monotonic_ns()
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
        watched = watch.stop(t0)
        rows = watched.blocking.to_pylist()
        assert {(row["blocker"], row["blocker_state"], row["lock_type"]) for row in rows} == {
            (root.info.backend_pid, "idle", "advisory")
        }
        assert root.info.backend_pid not in watched.samples["pid"].to_pylist()


def test_the_sampler_survives_the_end_of_its_backend(database):
    with psycopg.connect(database, autocommit=True) as other, Watch(database, hz=50) as watch:
        t0 = time.monotonic_ns()
        other.execute("BEGIN")
        until(lambda: watch._samples._numbers[0])
        seen = len(watch._samples._numbers[0])
        killed = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            (APPLICATION_NAME,),
        ).fetchone()
        assert killed == (1,)
        with load(database) as busy:
            busy.execute(tagged("SELECT 1", HOLD))  # idle in transaction from here on
            until(lambda: len(watch._samples._numbers[0]) > seen + 3)
        watched = watch.stop(t0)
    assert watched.missed >= 1
    assert HOLD in watched.samples["template"].to_pylist()


def test_an_unmarked_database_is_not_watched(new_database):
    with pytest.raises(RefusedError):
        Watch(new_database).start()


def test_counters_before_and_after_are_exact(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        before = counters.read(connection)
        scan, write = fingerprint(SCAN).id, fingerprint(WRITE).id
        with load(database) as worker, psycopg.RawCursor(worker) as cursor:
            for _ in range(3):
                cursor.execute(tagged(SCAN, scan), ("none",))
            for row in range(1, 6):
                cursor.execute(tagged(WRITE, write), (row, row))

        def changes():
            table = counters.table(before, counters.read(connection)).to_pylist()
            return {
                (row["kind"], row["name"], row["figure"]): row["after"] - row["before"]
                for row in table
            }

        until(lambda: changes().get(("table", "public.t", "n_tup_upd")) == 5)
        changed = changes()
    assert changed["table", "public.t", "seq_scan"] == 3
    assert changed["table", "public.t", "seq_tup_read"] == 60_000
    assert changed["index", "public.t_pkey", "idx_scan"] == 5
    assert changed["statement", scan, "calls"] == 3
    assert changed["statement", write, "calls"] == 5
    assert changed["statement", write, "rows"] == 5
    assert changed["statement", scan, "shared_blks_hit"] > 100
    assert not [name for kind, name, _ in changed if kind == "table" and "replay" in name]


def test_plans_are_taken_with_real_values_and_writes_are_rolled_back(database):
    with psycopg.connect(database, autocommit=True) as connection:
        taken = plans.explain(
            connection,
            [
                ("read", "SELECT id FROM t WHERE word = $1 AND id > $2", ("word 7", "10")),
                ("write", "/* x */ UPDATE t SET n = $1 WHERE word = $2", ("9", "word 7")),
                ("inline", "DELETE FROM t WHERE id < 100", ()),
                ("locking", "SELECT id FROM t WHERE id = $1 FOR UPDATE", ("1",)),
                ("wrong", "SELECT 1 / $1::int", ("0",)),
                ("null", "SELECT id FROM t WHERE word IS NOT DISTINCT FROM $1", (None,)),
                ("commit", "COMMIT", ()),
            ],
        )
        left = connection.execute("SELECT count(*), max(n) FROM t").fetchone()
    assert left == (20_000, 0)
    assert list(taken) == ["read", "write", "inline", "locking", "wrong", "null"]
    scan = taken["read"]["plan"][0]["Plan"]
    assert (scan["Node Type"], scan["Schema"], scan["Relation Name"]) == ("Seq Scan", "public", "t")
    assert (scan["Actual Rows"], scan["Rows Removed by Filter"]) == (3, 19_997)
    assert "Output" not in scan
    modify = taken["write"]["plan"][0]
    assert modify["Plan"]["Plans"][0]["Actual Rows"] == 4
    assert modify["Execution Time"] > 0
    assert taken["write"]["how"] == "analyze"
    assert taken["wrong"]["how"] == "estimate"
    assert "division by zero" in taken["wrong"]["error"]


def test_a_plan_that_takes_too_long_is_an_estimate(database):
    with psycopg.connect(database, autocommit=True) as connection:
        slow = "SELECT pg_sleep($1) FROM t WHERE word = 'word 7'"
        taken = plans.explain(connection, [("slow", slow, ("5",))], timeout_ms=100)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
    assert taken["slow"]["how"] == "estimate"
    assert taken["slow"]["error"].startswith("57014")
    assert taken["slow"]["plan"][0]["Plan"]["Node Type"] == "Seq Scan"
