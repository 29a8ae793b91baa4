"""Real contention, watched and diagnosed: a pool of sessions in threads, attempts by hand."""

import random
import threading
import time
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

import psycopg
import pyarrow as pa
import pytest
from made_manifest import manifest_of

from data_gen.introspect import introspect
from replay import rundir, runtables, target
from replay.diagnose import diagnose
from replay.diagnose.gathering import gather
from replay.outcome import OK, SKIPPED_END
from replay.rundir import RunManifest
from replay.sql.fingerprint import fingerprint
from replay.tag import LOAD_APPLICATION, tagged
from replay.watch import Watch, counters, plans
from replay.workload import Statement, Template, Transaction, Workload

POOL = 12
SECONDS = 4  # what did not get a session by then is skipped
ROWS = 600_000
READ = "SELECT state FROM tasks WHERE id = $1"
SCAN = "SELECT id FROM tasks WHERE callback_id = $1"
WRITE_SCAN = "UPDATE tasks SET state = $1 WHERE worker_id = $2 AND state = $3"
BUMP = "UPDATE counters SET n = n + 1 WHERE id = $1"
NAP = "SELECT pg_sleep($1)"
EXAMPLES = {
    READ: ("7",),
    SCAN: ("callback 77",),
    WRITE_SCAN: ("queued", "worker 7", "running"),
    BUMP: ("1",),
    NAP: ("0.02",),
}
ID = {sql: fingerprint(sql).id for sql in (*EXAMPLES, "BEGIN", "COMMIT")}

read = (READ,)
scan = (SCAN,)
write_scan = (WRITE_SCAN,)
bump = ("BEGIN", BUMP, "COMMIT")
bump_and_scan = ("BEGIN", BUMP, WRITE_SCAN, "COMMIT")
hold = ("BEGIN", BUMP, NAP, "COMMIT")


@pytest.fixture(scope="module")
def database(server):
    """DSN of a marked database with 600,000 tasks, unindexed but for their key."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE contended")
    dsn = server.dsn("contended")
    target.mark_staging(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE tasks (id int, callback_id text, worker_id text, state text)"
        )
        connection.execute(
            "INSERT INTO tasks SELECT i, 'callback ' || i, 'worker ' || i % 2500, 'done'"
            f" FROM generate_series(1, {ROWS}) i"
        )
        connection.execute("ALTER TABLE tasks ADD PRIMARY KEY (id)")
        connection.execute("CREATE TABLE counters (id int PRIMARY KEY, n int)")
        connection.execute("INSERT INTO counters SELECT i, 0 FROM generate_series(1, 10) i")
        connection.execute("VACUUM ANALYZE")
    yield dsn
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE contended WITH (FORCE)")


def workload(per_s):
    """What production would have been: each kind of transaction at its rate, the scans rare."""
    calls = dict.fromkeys(ID, 0.0)
    for shape, rate in per_s.items():
        for sql in shape:
            calls[sql] += 0.05 * rate if set(shape) & {SCAN, WRITE_SCAN} else 1000 * rate
    statements = tuple(
        Statement(
            template=ID[sql],
            sql=sql,
            slots="p" * len(values),
            values=values,
            prepared="",
            offset_us=0,
            duration_us=1000,
        )
        for sql, values in EXAMPLES.items()
    )
    now = datetime.now(UTC)
    return Workload(
        manifest=manifest_of(now, 20, executions=round(sum(calls.values())), transactions=1),
        templates=tuple(
            Template(
                id=ID[sql],
                sql=sql,
                kind=sql.split()[0].lower(),
                tables=fingerprint(sql).tables,
                calls=round(number),
                errors=0,
                total_ms=number,
            )
            for sql, number in calls.items()
        ),
        transactions=(
            Transaction(
                id=0, session="s", start_us=0, weight=1, shape="0" * 16, statements=statements
            ),
        ),
    )


class Pool:
    """An open loop over a few sessions: whoever is free takes the transaction that is due next."""

    def __init__(self, dsn, per_s, *, spread=False, seed=1):
        rng = random.Random(seed)
        due = [
            (rng.random() * SECONDS, shape)
            for shape, rate in per_s.items()
            for _ in range(round(rate * SECONDS))
        ]
        self.dsn = dsn
        self.due = SimpleQueue()
        for number, (at_s, shape) in enumerate(sorted(due)):
            self.due.put((number, at_s, shape))
        self.attempts = []
        self.rng = rng
        self.spread = spread  # counters are bumped all alike, not one of them alone

    def drive(self):
        """Run it all; returns T0."""
        ready = threading.Barrier(POOL + 1)
        threads = [threading.Thread(target=self._session, args=(ready,)) for _ in range(POOL)]
        for thread in threads:
            thread.start()
        self.t0_ns = time.monotonic_ns() + 300_000_000
        ready.wait()
        for thread in threads:
            thread.join()
        return self.t0_ns

    def _session(self, ready):
        with (
            psycopg.connect(
                self.dsn, application_name=LOAD_APPLICATION, autocommit=True
            ) as connection,
            psycopg.RawCursor(connection) as cursor,
        ):
            ready.wait()
            while True:
                try:
                    number, at_s, shape = self.due.get_nowait()
                except Empty:
                    return
                time.sleep(max(at_s - self._now_us() / 1e6, 0))
                due_us = round(at_s * 1e6)
                if self._now_us() > SECONDS * 1e6:
                    self._record(number, 0, shape[0], 0, due_us, -1, SKIPPED_END)
                    continue
                for ordinal, sql in enumerate(shape):
                    began_us = self._now_us()
                    cursor.execute(tagged(sql, ID[sql]), self._values(sql))
                    pid = connection.info.backend_pid
                    due_us = self._record(number, ordinal, sql, pid, due_us, began_us, OK)

    def _record(self, number, ordinal, sql, pid, due_us, began_us, outcome):
        ended_us = self._now_us()
        self.attempts.append(
            {
                "arrival": number,
                "ordinal": ordinal,
                "template": ID[sql],
                "session": 0,
                "worker": 0,
                "pid": pid,
                "due_us": due_us,
                "began_us": began_us,
                "ended_us": ended_us,
                "lag_us": 0,
                "outcome": outcome,
                "rows": -1,
            }
        )
        return ended_us

    def _values(self, sql):
        if sql in (SCAN, WRITE_SCAN):
            return tuple(
                value.replace("7", str(self.rng.randrange(2500))) for value in EXAMPLES[sql]
            )
        if sql == BUMP and self.spread:
            return (str(self.rng.randrange(1, 11)),)
        return EXAMPLES.get(sql)

    def _now_us(self):
        return (time.monotonic_ns() - self.t0_ns) // 1000


def findings(dsn, directory, per_s, *, spread=False):
    """Load the database, watch it, and diagnose what is on disk afterwards."""
    path = directory / "real.run"
    manifest = RunManifest(
        tool_version="0",
        workload="real.workload",
        workload_id="0" * 16,
        scenario="storm",
        options={},
        seed=0,
        origin=datetime.now(UTC),
        duration_s=SECONDS,
        workers=1,
        pool=POOL,
        state="finished",
        valid=True,
        healthy=False,
        objective={"objective_ms": 250.0},
    )
    rundir.create(path, manifest)
    pool = Pool(dsn, per_s, spread=spread)
    with target.connect_target(dsn) as connection:
        before = counters.read(connection)
        with Watch(dsn) as watch:
            watched = watch.stop(pool.drive())
        after = counters.read(connection)
        tables = {
            "attempts": pa.Table.from_pylist(pool.attempts, runtables.ATTEMPTS),
            "samples": watched.samples,
            "blocking": watched.blocking,
            "counters": counters.table(before, after),
        }
        for name, table in tables.items():
            rundir.write_table(path, name, table)
        examples = [(ID[sql], sql, values) for sql, values in EXAMPLES.items()]
        rundir.write_plans(path, plans.explain(connection, examples))
        connection.autocommit = False
        profile = introspect(connection)
    return diagnose(gather(path, workload(per_s), profile))


def test_an_unindexed_read_fills_the_pool(database, tmp_path):
    found = findings(database, tmp_path, {read: 150, scan: 600})
    assert [finding.rule for finding in found] == [19]
    assert [culprit.id for culprit in found[0].templates] == [ID[SCAN]]
    assert found[0].templates[0].share < 0.001
    assert [fix.sql for fix in found[0].fixes] == [
        "CREATE INDEX CONCURRENTLY ON public.tasks (callback_id)"
    ]
    figures = found[0].evidence["by_template"][ID[SCAN]]
    assert figures["rows_per_kept"] == pytest.approx(ROWS, rel=0.001)
    assert figures["seq_scans"] >= 50
    assert found[0].blocked_s == 0


def test_an_unindexed_update_alone_fills_the_pool(database, tmp_path):
    found = findings(database, tmp_path, {read: 150, write_scan: 600})
    assert [finding.rule for finding in found] == [19]
    assert [culprit.id for culprit in found[0].templates] == [ID[WRITE_SCAN]]
    assert [fix.sql for fix in found[0].fixes] == [
        "CREATE INDEX CONCURRENTLY ON public.tasks (worker_id)"
    ]


def test_an_unindexed_update_under_a_counters_lock(database, tmp_path):
    found = findings(database, tmp_path, {read: 100, bump: 40, bump_and_scan: 100})
    first = found[0]
    assert first.rule == 5
    assert [culprit.id for culprit in first.templates] == [ID[WRITE_SCAN]]
    assert [fix.sql for fix in first.fixes] == [
        "CREATE INDEX CONCURRENTLY ON public.tasks (worker_id)"
    ]
    assert first.relations == ("public.tasks", "public.counters")
    assert first.evidence["sessions_blocked_at_most"] >= 5
    assert first.blocked_s > 10
    assert first.queue_s > 10
    assert 7 not in {finding.rule for finding in found}


def test_a_hot_row_held_for_20_ms(database, tmp_path):
    found = findings(database, tmp_path, {read: 50, hold: 80})
    assert [finding.rule for finding in found] == [7]
    assert [culprit.id for culprit in found[0].templates] == [ID[BUMP]]
    assert found[0].relations == ("public.counters",)
    assert found[0].evidence["on_one_row_share"] > 0.9


def test_with_the_indexes_and_many_counters_nothing_is_found(database, tmp_path):
    with psycopg.connect(database, autocommit=True) as connection:
        for column in ("callback_id", "worker_id"):
            connection.execute(f"CREATE INDEX mended_{column} ON tasks ({column})")
        found = findings(
            database, tmp_path, {read: 100, scan: 30, write_scan: 30, bump: 30}, spread=True
        )
        for column in ("callback_id", "worker_id"):
            connection.execute(f"DROP INDEX mended_{column}")
    assert not {5, 7, 19} & {finding.rule for finding in found}
