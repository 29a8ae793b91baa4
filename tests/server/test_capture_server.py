"""Capture of a real server's own log, against what the client counted itself."""

from collections import Counter
from pathlib import Path

import psycopg
import pytest
from made_client import Client, wait_for

from replay import bundle
from replay.capture import Captured, Options, capture
from replay.capture.scrub import Scrubber
from replay.capture.source import ask
from replay.embedded import Server
from replay.errors import EnvironmentFaultError
from replay.tag import APPLICATION_NAME

KEY = b"only this test knows it"
MARKERS = ("Zanzibar", "Quetzalcoatl", "zq77kx@example.com", "4711471147")

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy');
CREATE TABLE people (
    id bigserial PRIMARY KEY,
    name text NOT NULL,
    mood mood NOT NULL DEFAULT 'sad',
    born date,
    UNIQUE (name)
);
CREATE TABLE notes (id bigserial PRIMARY KEY, person bigint NOT NULL REFERENCES people, text text);
INSERT INTO people (name, mood, born)
    SELECT 'person ' || n, 'so so', date '1980-01-01' + n FROM generate_series(1, 500) n;
CREATE EXTENSION pg_stat_statements;
ANALYZE;
"""


def drive(client: Client, rounds: int) -> None:
    for n in range(rounds):
        client.run("SELECT name FROM people WHERE id = 1")
        client.run(f"SELECT name FROM people WHERE id IN ({n}, {n + 1}, {n + 2})")
        client.run(f"SELECT name FROM people WHERE id IN ({n})")
        client.run(
            "SELECT id FROM people WHERE name = %s",
            f"Zanzibar {n}",
            seen="SELECT id FROM people WHERE name = $1",
            prepare=n > 2,
        )
        client.begin()
        client.run(
            "INSERT INTO people (name, mood, born) VALUES (%s, %s, %s)",
            f"O'Quetzalcoatl\n\\ {n}",
            "happy",
            "1990-05-17",
            seen="INSERT INTO people (name, mood, born) VALUES ($1, $2, $3)",
        )
        client.run('SAVEPOINT "one"')
        client.run(
            "INSERT INTO people (name) VALUES (%s)",
            "person 1",
            seen="INSERT INTO people (name) VALUES ($1)",
            prepare=True,
        )
        client.run('ROLLBACK TO "one"')
        client.run(f"INSERT INTO notes (person, text) VALUES ({n + 1}, 'zq77kx@example.com {n}')")
        client.end("COMMIT" if n % 3 else "ROLLBACK")
        client.run("SELECT broken FROM nowhere")
        client.run(f"SELECT 1 / 0, {4711471147 + n}")
        client.run("SELECT 1; SELECT 2")
    with client.connection.pipeline():
        for n in range(rounds):
            client.run(
                "UPDATE people SET mood = %s WHERE id = %s",
                "so so",
                n,
                seen="UPDATE people SET mood = $1 WHERE id = $2",
            )


@pytest.fixture
def log(any_server: Server) -> Path:
    return any_server.log_directory / "server.json"


@pytest.fixture
def traffic(any_database: str, any_server: Server, log: Path) -> Client:
    """A database of its own, after its traffic; its schema was made without a line in the log."""
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute("SET log_min_duration_statement = -1")
        connection.execute(SCHEMA.encode())
        for _ in range(3):
            connection.execute("SELECT count(*) FROM notes WHERE text = 'Zanzibar, unlogged'")
    client = Client(any_database)
    drive(client, 20)
    last = f"SELECT '{client.connection.info.dbname}'"
    client.run(last)
    client.connection.close()
    wait_for(last, log)
    return client


def captured(log: Path, dsn: str | None, **options: int) -> Captured:
    asked = ask(dsn) if dsn is not None else None
    return capture([log], asked=asked, key=KEY, options=Options(**options))


def test_counts_are_the_clients_own(traffic, any_database, log):
    with psycopg.connect(any_database, application_name=APPLICATION_NAME) as connection:
        connection.execute("SELECT 'of this program itself'")
    wait_for("of this program itself", log)
    workload = captured(log, any_database).workload
    logged = {t.id: t for t in workload.templates if t.source != "statements"}
    assert {name: t.calls for name, t in logged.items()} == dict(traffic.calls)
    assert {name: t.errors for name, t in logged.items() if t.errors} == dict(traffic.errors)
    manifest = workload.manifest
    assert manifest.executions == traffic.calls.total()
    assert manifest.transactions == len(traffic.units)
    assert (manifest.sessions, manifest.complete) == (1, True)
    assert manifest.peak_concurrency == 1
    assert manifest.source.settings["log_min_duration_statement"] == "0"
    kept = Counter(s.template for t in workload.transactions for s in t.statements)
    assert kept == {name: t.kept for name, t in logged.items()}
    assert all(kept[name] >= min(calls, 64) for name, calls in traffic.calls.items())
    for name, template in logged.items():
        weights = sum(
            t.weight for t in workload.transactions for s in t.statements if s.template == name
        )
        assert weights == pytest.approx(template.calls, rel=0.02)


def test_counters_and_log_are_joined(traffic, any_database, log):
    workload = captured(log, any_database).workload
    by_sql = {t.sql: t for t in workload.templates}
    update = by_sql["update people set mood = $1 where id = $2"]
    assert (update.source, update.counted.rows) == ("both", 19)
    lists = by_sql["select name from people where id in (?, ...)"]
    assert (lists.source, lists.calls) == ("both", 40)
    unlogged = by_sql["select count(*) from notes where text = $1"]
    assert (unlogged.source, unlogged.calls, unlogged.kept) == ("statements", 3, 0)
    assert not any("pg_catalog" in t.sql or "current_setting" in t.sql for t in workload.templates)
    again = captured(log, any_database).workload
    assert {t.id: t.sql for t in again.templates} == {t.id: t.sql for t in workload.templates}


def test_values_are_those_that_were_sent_scrubbed(traffic, any_database, log):
    found = captured(log, any_database)
    scrubber = Scrubber(KEY, frozenset({"sad", "so so", "happy"}))
    statements = [s for t in found.workload.transactions for s in t.statements]
    inserted = {s.values for s in statements if s.sql.startswith("insert into people(name, mood")}
    assert inserted == {
        (scrubber.value(f"O'Quetzalcoatl\n\\ {n}"), "happy", scrubber.value("1990-05-17"))
        for n in range(20)
    }
    refused = [s for s in statements if s.error == "23505"]
    assert {s.values for s in refused} == {(scrubber.value("person 1"),)}
    assert len(refused) == 20
    assert {s.error for s in statements} == {"", "23505", "42P01", "22012"}
    updated = {s.values for s in statements if s.sql.startswith("update people")}
    assert updated == {("so so", str(n)) for n in range(20)}
    assert found.profile is not None
    names = found.profile.table("people").column("name")
    tokens = {scrubber.value(f"person {n}") for n in range(1, 501)}
    assert set(names.histogram) <= tokens
    assert len(names.histogram) > 50


def test_no_byte_of_a_value_reaches_the_workload(traffic, any_database, log, tmp_path):
    found = captured(log, any_database)
    directory = tmp_path / "w.workload"
    bundle.write(directory, found.workload, found.profile)
    assert bundle.read(directory) == found.workload
    written = b"".join(file.read_bytes() for file in directory.iterdir()) + repr(found).encode()
    for marker in (*MARKERS, "people-api", KEY.decode()):
        assert marker.lower().encode() not in written.lower()


def test_a_sample_keeps_rare_paths_of_a_real_log(traffic, any_database, log):
    workload = captured(log, any_database, per_stratum=2).workload
    assert len(workload.transactions) < workload.manifest.transactions
    kept = {s.template for t in workload.transactions for s in t.statements}
    assert kept == {t.id for t in workload.templates if t.source != "statements"}
    bounds = [
        t.statements[0].sql == "begin" for t in workload.transactions if len(t.statements) > 1
    ]
    assert all(bounds)


def test_a_user_who_may_not_read_is_told_what_to_grant(new_database, server):
    log = server.log_directory / "server.json"
    with psycopg.connect(new_database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS nobody_much")
        connection.execute("CREATE ROLE nobody_much LOGIN")
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    with pytest.raises(EnvironmentFaultError, match=r"permission denied.*needs pg_read_all_stats"):
        captured(log, f"{new_database} user=nobody_much")


def test_texts_that_nobody_can_read_are_told_from_a_lack_of_permission(database_without_encoding):
    with psycopg.connect(
        database_without_encoding, autocommit=True, client_encoding="SQL_ASCII"
    ) as connection:
        connection.execute(
            "CREATE TABLE towns AS SELECT convert_from('\\x4d616c6df6', 'SQL_ASCII') AS name "
            "FROM generate_series(1, 9); ANALYZE towns"
        )
    with pytest.raises(EnvironmentFaultError, match=r"0xf6.*SQL_ASCII.*not UTF-8") as refused:
        ask(database_without_encoding)
    assert "permission" not in str(refused.value)
    assert "pg_read_all_stats" not in str(refused.value)


def test_without_counters_the_note_says_how_to_have_them(new_database, server):
    with psycopg.connect(new_database, autocommit=True) as connection:
        connection.execute("SELECT 'one row'")
    log = server.log_directory / "server.json"
    wait_for("SELECT 'one row'", log)
    found = captured(log, new_database).workload
    assert any("CREATE EXTENSION" in note for note in found.manifest.notes)
    elsewhere = [s for s in found.manifest.skipped if s.reason == "a line of another database"]
    assert not elsewhere or elsewhere[0].count > 0
