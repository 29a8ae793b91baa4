"""What clients can do to a server, in each way of logging it, against what they counted themselves."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from made_client import Client, Wire, wait_for

from replay import embedded
from replay.capture import Filters, Options, capture
from replay.capture.sample import shape_id
from replay.capture.scrub import Scrubber
from replay.sql.fingerprint import fingerprint
from replay.workload import Workload

SETTINGS = {
    "log_destination": "'jsonlog'",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length_on_error": "-1",
    "log_lock_waits": "on",
    "deadlock_timeout": "'50ms'",
    "compute_query_id": "on",
    "fsync": "off",
}
WAYS = {
    "durations": {"log_min_duration_statement": "0"},
    "texts": {"log_statement": "all"},
    "texts and durations": {"log_statement": "all", "log_duration": "on"},
    "texts and long durations": {"log_statement": "all", "log_min_duration_statement": "0"},
}
SCHEMA = "CREATE TABLE t (n int PRIMARY KEY, s text)"
PORTAL = "SELECT n FROM t WHERE n < $1 ORDER BY n"
INSERT = "INSERT INTO t VALUES (%s, %s)"
SEEN = "INSERT INTO t VALUES ($1, $2)"
TEXT = "a 'b'\n"
SLOW = "SELECT pg_sleep(20)"


@pytest.fixture(scope="module", params=embedded.installations(), ids=lambda i: f"pg{i.version}")
def logging_server(request) -> Iterator[embedded.Server]:
    with embedded.server(SETTINGS, installation=request.param) as running:
        yield running


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


@pytest.fixture
def database(way, logging_server) -> Iterator[str]:
    """Name of a database whose sessions are logged in one of the ways."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(logging_server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        for setting, value in WAYS[way].items():
            connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'".encode())
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def captured(server: embedded.Server, database: str) -> Workload:
    """What the log tells of a database."""
    last = f"SELECT 'the last of {database}'"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("SET log_statement = 'all'")
        connection.execute(last.encode())
    log = server.log_directory / "server.json"
    wait_for(last, log)
    options = Options(filters=Filters(databases=(database,)))
    return capture([log], asked=None, key=b"key", options=options).workload


def drive(client: Client) -> None:
    client.run(SCHEMA)
    for n in range(3):
        client.run(f"SELECT s FROM t WHERE n = {n}")
        client.run("SELECT s FROM t WHERE n < %s", n, seen="SELECT s FROM t WHERE n < $1")
        client.run(INSERT, n, TEXT, seen=SEEN, prepare=True)
        client.run("SELECT 1; SELECT 2")
    client.run(INSERT, 2, "twice", seen=SEEN, prepare=True)
    client.run("SELECT s FROM t WHERE m = %s", 1, seen="SELECT s FROM t WHERE m = $1")
    client.run("SELECT s FORM t")
    client.begin()
    client.run("DECLARE c CURSOR FOR SELECT * FROM t")
    client.run("FETCH 2 FROM c")
    client.run("FETCH 2 FROM c")
    client.run("SAVEPOINT one")
    client.run("SELECT 1 / 0")
    client.run("SELECT 1 / 1")  # in a transaction that is aborted
    client.run("ROLLBACK TO SAVEPOINT one")
    client.calls[fingerprint("DEALLOCATE ALL").id] += 1  # psycopg's own
    client.units[-1].append(fingerprint("DEALLOCATE ALL").id)
    client.run(INSERT, 10, "in a block", seen=SEEN)
    client.end()
    client.begin("START TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    client.run("DELETE FROM nowhere")
    client.end("ROLLBACK")
    client.copy_in("COPY t FROM STDIN", b"20\ta\n21\tb\n")
    client.copy_in("COPY t FROM STDIN", b"20\ta\n")
    client.copy_out("COPY (SELECT * FROM t) TO STDOUT")
    with client.connection.pipeline():
        for n in range(3):
            client.run(
                "UPDATE t SET s = %s WHERE n = %s",
                f"new {n}",
                n,
                seen="UPDATE t SET s = $1 WHERE n = $2",
            )


def driven(server: embedded.Server, database: str) -> Client:
    with closing(Client(server.dsn(database))) as client:
        drive(client)
        fetch_by_portal(server, client)
    return client


def fetch_by_portal(server: embedded.Server, client: Client) -> None:
    """In a transaction, two rows at a time: executed once, and fetched from again."""
    wire = Wire(server, client.connection.info.dbname)
    wire.query("BEGIN")
    wire.parse("statement", PORTAL)
    wire.bind("portal", "statement", ["30"])
    wire.execute("portal", 2)
    assert wire.sync()[-2:] == [b"s", b"Z"]  # suspended
    wire.execute("portal", 2)
    wire.sync()
    wire.execute("portal")
    assert wire.sync()[-2:] == [b"C", b"Z"]
    wire.query("COMMIT")
    wire.close()
    client.units.append([fingerprint(sql).id for sql in ("BEGIN", PORTAL, "COMMIT")])
    client.calls.update(client.units[-1])


def test_counts_are_the_clients_own(logging_server, database, way):
    client = driven(logging_server, database)
    workload = captured(logging_server, database)
    assert {t.id: t.calls for t in workload.templates} == dict(client.calls)
    assert {t.id: t.errors for t in workload.templates if t.errors} == dict(client.errors)
    expected = Counter(map(shape_id, client.units))
    assert Counter(t.shape for t in workload.transactions) == expected
    assert workload.manifest.transactions == len(client.units)
    assert workload.manifest.skipped[0].reason == "a line of another database"
    timed = {t.id for t in workload.templates if t.total_ms}
    succeeded = {t.id for t in workload.templates if t.errors < t.calls}
    assert timed == (set() if way == "texts" else succeeded)
    assert ("the log tells no durations" in repr(workload.manifest.notes)) == (way == "texts")
    ids = {t.id for t in workload.templates if t.query_ids}
    assert fingerprint(SEEN).id in ids


def test_what_is_kept_is_what_was_sent(logging_server, database):
    driven(logging_server, database)
    kept = captured(logging_server, database).transactions
    statements = [s for t in kept for s in t.statements]
    # Refused before its values were sent.
    untold = [name for t in kept for name in t.untold]
    assert untold == [fingerprint("SELECT s FROM t WHERE m = $1").id]
    scrubber = Scrubber(b"key", frozenset())
    inserted = [s for s in statements if s.template == fingerprint(SEEN).id]
    text = scrubber.value(TEXT)
    assert Counter(s.values for s in inserted if s.values[1] == text) == Counter(
        (str(n), text) for n in range(3)
    )
    (refused,) = (s for s in inserted if s.error)
    assert (refused.error, refused.values) == ("23505", ("2", scrubber.value("twice")))
    named = Counter(s.prepared for s in inserted)
    assert (named[refused.prepared or ""], named[""]) == (4, 1)
    (portal,) = (s for s in statements if s.template == fingerprint(PORTAL).id)
    assert (portal.prepared, portal.values) == ("statement", ("30",))
    errors = Counter(s.error for s in statements if s.error)
    assert errors == Counter({"23505": 2, "42601": 1, "22012": 1, "25P02": 1, "42P01": 1})
    assert {s.prepared for s in statements if s.sql.startswith("select $1; ")} == {None}


def test_what_cannot_run_again_is_counted_and_said_so(logging_server, database):
    with closing(Client(logging_server.dsn(database))) as client:
        client.run(SCHEMA)
        client.copy_in("COPY t FROM STDIN", b"20\ta\n")
        client.copy_out("COPY t TO STDOUT")
        client.run("PREPARE own (int) AS SELECT s FROM t WHERE n = $1")
        for n in range(3):
            client.run(f"EXECUTE own ({n})")
    workload = captured(logging_server, database)
    assert {t.id: t.calls for t in workload.templates} == dict(client.calls)
    notes = " ".join(workload.manifest.notes)
    assert "2 calls of COPY are counted, but no transaction with one is replayed" in notes
    assert "4 calls of PREPARE and EXECUTE are counted, but no" in notes


def test_a_session_that_is_ended_tells_its_last_statement(logging_server, database):
    with closing(Client(logging_server.dsn(database))) as client:
        client.begin()
        pid = client.connection.info.backend_pid
        running = threading.Thread(target=client.run, args=(SLOW,))
        running.start()
        terminate(logging_server, pid, SLOW)
        running.join(20)
    workload = captured(logging_server, database)
    slow = workload.template(fingerprint(SLOW).id)
    assert (slow.calls, slow.errors, slow.error_states) == (1, 1, (("57P01", 1),))
    (unit,) = workload.transactions
    assert unit.shape == shape_id(client.units[0])


def terminate(server: embedded.Server, pid: int, query: str) -> None:
    """End a session once it runs that."""
    told = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND query = %s"
    deadline = time.monotonic() + 20
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        while not connection.execute(told, (pid, query)).fetchall():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_waits_and_deadlocks_stand_in_the_workload(logging_server, database):
    """One waits for the other; then both for one another, and one of them is ended."""
    update = "UPDATE t SET s = 'x' WHERE n = %d"
    with (
        closing(Client(logging_server.dsn(database))) as one,
        closing(Client(logging_server.dsn(database))) as other,
    ):
        one.run(SCHEMA)
        one.run("INSERT INTO t VALUES (1, ''), (2, '')")
        one.begin()
        one.run(update % 1)
        other.begin()
        other.run(update % 2)
        waiting = threading.Thread(target=other.run, args=(update % 1,))
        waiting.start()
        wait_for_a_line(logging_server, "still waiting", database)
        one.run("DELETE FROM t WHERE n = 2")
        waiting.join(20)
        one.end()
        other.end()
    failed = one.errors + other.errors
    assert failed.total() == 1
    workload = captured(logging_server, database)
    found = {conflict.kind: conflict for conflict in workload.conflicts}
    victim = next(iter(failed))
    assert found["waiting"].template == fingerprint(update % 1).id
    assert (found["waiting"].relation, found["waiting"].on) == ("t", "transaction")
    assert found["waiting"].total_ms >= 50
    assert (found["deadlock"].template, found["deadlock"].count) == (victim, 1)
    both = {fingerprint(sql).id for sql in (update % 1, "DELETE FROM t WHERE n = 2")}
    assert {found["deadlock"].template, *found["deadlock"].peers} == both
    assert {t.id: t.errors for t in workload.templates if t.errors} == dict(failed)


def wait_for_a_line(server: embedded.Server, said: str, database: str) -> None:
    log = server.log_directory / "server.json"
    deadline = time.monotonic() + 20
    named = f'"dbname":"{database}"'
    while not any(said in line and named in line for line in log.read_text().splitlines()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
