"""What real servers log of sessions that really block one another, and what is made of it."""

import json
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from replay.capture.conflicts import Conflicts
from replay.capture.contention import observe
from replay.sql.fingerprint import fingerprint

DEADLINE_S = 20.0
LONG = f"UPDATE people SET name = 'b' WHERE id = 2 AND name <> '{'z' * 1200}' AND name IS NOT NULL"
DELETE = "DELETE FROM people WHERE id = 1"
RENAME = "UPDATE people SET name = 'Zanzibar' WHERE id = 1"
LOCK_ROW = "SELECT name FROM people WHERE id = 1 FOR UPDATE NOWAIT"
LOCK_TABLE = "LOCK TABLE people IN ACCESS EXCLUSIVE MODE NOWAIT"


class Log:
    """The server's own jsonlog, of one database."""

    def __init__(self, server, dsn):
        self._files = server.log_directory
        self._database = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]

    def records(self):
        lines = [
            line
            for file in sorted(self._files.glob("*.json"))
            for line in file.read_text(encoding="utf-8").splitlines(keepends=True)
        ]
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [record for record in found if record.get("dbname") == self._database]

    def until(self, *said):
        """Wait until each was said in a message."""
        waiting_since = time.monotonic()
        while not all(any(what in r["message"] for r in self.records()) for what in said):
            assert time.monotonic() < waiting_since + DEADLINE_S, f"never said: {said}"
            time.sleep(0.02)

    def conflicts(self, *texts):
        """Conflicts of all records, by kind and template; `texts` are the workload's templates."""
        conflicts = Conflicts()
        for record in self.records():
            observation = observe(
                message=record["message"],
                detail=record.get("detail", ""),
                context=record.get("context", ""),
                statement=record.get("statement", ""),
                sqlstate=record.get("state_code", ""),
                at_us=1_772_366_400_000_000,
            )
            if observation:
                conflicts.take(observation)
        found = conflicts.told({fingerprint(text).id: fingerprint(text).sql for text in texts})
        return {(conflict.kind, conflict.template): conflict for conflict in found}


@pytest.fixture
def log(any_server, any_database):
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (id int PRIMARY KEY, name text)")
        connection.execute("INSERT INTO people SELECT n, 'person' FROM generate_series(1, 9) n")
    return Log(any_server, any_database)


@pytest.fixture
def holder(any_database, log):
    """A session that holds row 1 until it commits."""
    with psycopg.connect(any_database) as connection:
        connection.execute("UPDATE people SET name = 'held' WHERE id = 1")
        yield connection


@contextmanager
def trying(dsn, *statements):
    """A session of its own that runs statements, until one fails; joined at the end."""
    failed = []

    def run():
        with psycopg.connect(dsn) as connection:
            try:
                for statement in statements:
                    connection.execute(statement)
            except psycopg.Error as error:
                failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield failed
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_a_wait_and_its_end(any_database, log, holder):
    with trying(any_database, RENAME):
        log.until("still waiting for ShareLock on transaction")
        with trying(any_database, DELETE):
            log.until("still waiting for AccessExclusiveLock on tuple")
            holder.commit()
    log.until("acquired ShareLock", "acquired AccessExclusiveLock")
    found = log.conflicts()
    waits = [found["waiting", fingerprint(text).id] for text in (RENAME, DELETE)]
    # The first waits for the holder's transaction, the second for the tuple that the first has.
    assert {(c.on, c.lock) for c in waits} == {
        ("transaction", "ShareLock"),
        ("tuple", "AccessExclusiveLock"),
    }
    assert {c.relation for c in waits if c.on == "transaction"} == {"people"}
    assert [c.most_queued for c in waits] == [1, 1]
    assert all(c.longest_ms >= 200 for c in waits)
    for text in (RENAME, DELETE):
        assert found["acquired", fingerprint(text).id].total_ms >= 200


def test_a_deadlock_with_a_peer_whose_text_is_cut_off(any_database, log):
    patient = "SET deadlock_timeout = '60s'"
    with psycopg.connect(any_database) as victim:
        victim.execute("SELECT name FROM people WHERE id = 2 FOR UPDATE")
        with trying(any_database, patient, RENAME, LONG) as failed:
            wait_for_a_lock(any_database)
            with pytest.raises(psycopg.errors.DeadlockDetected):
                victim.execute(DELETE)
            victim.rollback()
    assert not failed
    log.until("deadlock detected", "detected deadlock while waiting")
    found = log.conflicts(RENAME, LONG, DELETE)
    deadlock = found["deadlock", fingerprint(DELETE).id]
    assert deadlock.peers == (fingerprint(LONG).id,)
    assert (deadlock.lock, deadlock.on, deadlock.relation, deadlock.count) == (
        *("ShareLock", "transaction", "people", 1),
    )
    assert found["detected", fingerprint(DELETE).id].total_ms >= 200


def test_timeouts_and_refusals(any_server, any_database, log, holder):
    tries = [
        ("SET lock_timeout = '400ms'", RENAME, "LockNotAvailable"),
        ("SET statement_timeout = '400ms'", DELETE, "QueryCanceled"),
        ("SELECT 1", LOCK_ROW, "LockNotAvailable"),
        ("SELECT 1", LOCK_TABLE, "LockNotAvailable"),
    ]
    loud = any_server.installation.version >= 18
    before = "SET log_lock_failures = on" if loud else "SELECT 1"
    for setting, statement, error in tries:
        with trying(any_database, before, setting, statement) as failed:
            pass
        assert [type(one).__name__ for one in failed] == [error]
    log.until("due to lock timeout", "due to statement timeout", "row in", "lock on relation")
    found = log.conflicts()
    of = {text: fingerprint(text).id for text in (RENAME, DELETE, LOCK_ROW, LOCK_TABLE)}
    assert found["timeout", of[RENAME]].relation == "people"
    assert found["cancelled", of[DELETE]].relation == "people"
    assert found["refused", of[LOCK_ROW]].on == "tuple"
    assert found["refused", of[LOCK_TABLE]].on == "relation"
    assert found["refused", of[LOCK_TABLE]].relation == "people"
    assert found["waiting", of[RENAME]].count == found["waiting", of[DELETE]].count == 1
    unobtained = {key[1]: c.on for key, c in found.items() if key[0] == "unobtained"}
    assert unobtained == ({of[LOCK_ROW]: "transaction"} if loud else {})
    assert "Zanzibar" not in repr(found)


def wait_for_a_lock(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if row[0]:
                return
            time.sleep(0.02)
    pytest.fail("nobody waits for a lock")
