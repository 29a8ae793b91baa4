"""A scene: a few sessions that really block one another, watched, recorded and diagnosed.

Each actor is a function of its session and runs in a thread. What an actor sends through `run` is
recorded as the load records it; a session of `foreign` is none of the replay's.
"""

import threading
import time
from datetime import UTC, datetime

import psycopg
import pyarrow as pa
from made_manifest import manifest_of

from data_gen.introspect import introspect
from replay import rundir, runtables, target
from replay.diagnose import diagnose
from replay.diagnose.gathering import gather
from replay.outcome import OK
from replay.rundir import RunManifest
from replay.sql.fingerprint import fingerprint
from replay.tag import LOAD_APPLICATION, tagged
from replay.watch import Watch, counters, plans, serverlog
from replay.workload import Statement, Template, Transaction, Workload

HZ = 40


class Session:
    """One connection of the load; `run` sends and records."""

    def __init__(self, scene, connection):
        self._scene = scene
        self.connection = connection
        self._transaction = None

    def run(self, sql, *values, fails=()):
        """Send one statement; a refusal whose SQLSTATE is in `fails` is recorded and given back."""
        found = fingerprint(numbered(sql))
        if self._transaction is None:
            self._transaction = [self._scene.arrival(), 0]
        arrival, ordinal = self._transaction
        began = time.monotonic_ns()
        state = OK
        try:
            self.connection.execute(tagged(sql, found.id), values or None, prepare=bool(values))
        except psycopg.Error as error:
            if error.sqlstate not in fails:
                raise
            state = error.sqlstate
        self._scene.record(sql, values, arrival, ordinal, self.connection, began, state)
        self._transaction[1] += 1
        idle = psycopg.pq.TransactionStatus.IDLE
        if self.connection.info.transaction_status == idle:
            self._transaction = None
        return state


class Scene:
    """What was sent and seen."""

    def __init__(self, dsn, directory, *, healthy=False):
        self.dsn = dsn
        self.path = directory / f"scene{time.monotonic_ns()}.run"
        self.healthy = healthy
        self._attempts = []
        self._statements = {}
        self._arrivals = 0
        self._lock = threading.Lock()
        self._errors = []

    def arrival(self):
        with self._lock:
            self._arrivals += 1
            return self._arrivals

    def record(self, sql, values, arrival, ordinal, connection, began, state):
        ended = time.monotonic_ns()
        with self._lock:
            self._statements.setdefault(sql, values)
            self._attempts.append(
                {
                    "arrival": arrival,
                    "ordinal": ordinal,
                    "template": fingerprint(numbered(sql)).id,
                    "session": 0,
                    "worker": 0,
                    "pid": connection.info.backend_pid,
                    "due_us": began,
                    "began_us": began,
                    "ended_us": ended,
                    "lag_us": 0,
                    "outcome": state,
                    "rows": -1,
                }
            )

    def act(self, *actors, foreign=()):
        """Run all actors at once to their end, and give the findings."""
        with target.connect_target(self.dsn) as connection:
            followed = serverlog.follow(connection)
            before = counters.read(connection)
            watch = Watch(self.dsn, hz=HZ)
            watch.start()
            t0 = time.monotonic_ns()
            threads = [threading.Thread(target=self._play, args=(a,)) for a in actors]
            threads += [threading.Thread(target=self._play_foreign, args=(a,)) for a in foreign]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            watched = watch.stop(t0)
            assert not self._errors, self._errors
            origin_us = round(datetime.now(UTC).timestamp() * 1e6)
            origin_us -= (time.monotonic_ns() - t0) // 1000
            self._write(connection, watched, followed.table(origin_us), before, t0)
            connection.autocommit = False
            profile = introspect(connection)
        self.evidence = gather(self.path, self._workload(), profile)
        return diagnose(self.evidence)

    def _play(self, actor):
        try:
            with psycopg.connect(
                self.dsn, application_name=LOAD_APPLICATION, autocommit=True
            ) as connection:
                connection.prepare_threshold = 0
                actor(Session(self, connection))
        except Exception as error:  # noqa: BLE001 - told by `act`, in the test's own thread
            self._errors.append(error)

    def _play_foreign(self, actor):
        try:
            with psycopg.connect(self.dsn, autocommit=True) as connection:
                actor(connection)
        except Exception as error:  # noqa: BLE001 - told by `act`, in the test's own thread
            self._errors.append(error)

    def _write(self, connection, watched, locklog, before, t0):
        seconds = (time.monotonic_ns() - t0) / 1e9
        manifest = RunManifest(
            tool_version="0",
            workload="scene.workload",
            workload_id="0" * 16,
            scenario="mix",
            options={},
            seed=0,
            origin=datetime.now(UTC),
            duration_s=seconds,
            workers=1,
            pool=20,
            state="finished",
            valid=True,
            healthy=self.healthy,
            objective={"objective_ms": 50.0},
        )
        rundir.create(self.path, manifest)
        for row in self._attempts:
            for name in ("due_us", "began_us", "ended_us"):
                row[name] = (row[name] - t0) // 1000
        tables = {
            "attempts": pa.Table.from_pylist(self._attempts, runtables.ATTEMPTS),
            "samples": watched.samples,
            "blocking": watched.blocking,
            "locklog": locklog,
            "counters": counters.table(before, counters.read(connection)),
        }
        for name, table in tables.items():
            rundir.write_table(self.path, name, table)
        examples = [
            (fingerprint(numbered(sql)).id, numbered(sql), tuple(map(str, values)))
            for sql, values in self._statements.items()
        ]
        rundir.write_plans(self.path, plans.explain(connection, examples, timeout_ms=3000))

    def _workload(self):
        now = datetime.now(UTC)
        templates = []
        for sql in self._statements:
            found = fingerprint(numbered(sql))
            calls = sum(row["template"] == found.id for row in self._attempts)
            templates.append(
                Template(
                    id=found.id,
                    sql=found.sql,
                    kind=found.kind,
                    tables=found.tables,
                    calls=calls,
                    errors=0,
                    total_ms=float(calls),
                )
            )
        statements = tuple(
            Statement(
                template=fingerprint(numbered(sql)).id,
                sql=numbered(sql),
                slots="p" * len(values),
                values=tuple(map(str, values)),
                prepared="",
                offset_us=0,
                duration_us=1000,
            )
            for sql, values in self._statements.items()
        )
        return Workload(
            manifest=manifest_of(now, 20, executions=len(self._attempts), transactions=1),
            templates=tuple(templates),
            transactions=(
                Transaction(
                    id=0, session="s", start_us=0, weight=1, shape="0" * 16, statements=statements
                ),
            ),
        )


def numbered(sql):
    """psycopg's placeholders as the server has them."""
    for number in range(1, sql.count("%s") + 1):
        sql = sql.replace("%s", f"${number}", 1)
    return sql


def id_of(sql):
    return fingerprint(numbered(sql)).id


def rules(findings):
    return [finding.rule for finding in findings]


def repeat(seconds, *statements):
    """An actor that sends the statements again and again, for so long."""

    def actor(session):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for sql, *values in statements:
                session.run(sql, *values)
            time.sleep(0.005)

    return actor


def once(*statements, after=0.0):
    """An actor that sends each statement once; a number is a pause."""

    def actor(session):
        time.sleep(after)
        for part in statements:
            if isinstance(part, float):
                time.sleep(part)
            else:
                session.run(*part)

    return actor


def migration(sql, *, after=0.1, lock_timeout=""):
    def actor(connection):
        time.sleep(after)
        if lock_timeout:
            connection.execute(f"SET lock_timeout = '{lock_timeout}'")
        while True:
            try:
                connection.execute(sql)
            except psycopg.errors.LockNotAvailable:
                time.sleep(0.2)
            else:
                return

    return actor
