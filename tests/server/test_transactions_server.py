"""Transactions are replayed whole, on real servers: what the server saw is what production's did."""

import json
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from made_load import make_staging
from made_replay import statement, transaction, write

from replay import embedded, rundir, target
from replay.conduct.bake import RunOptions
from replay.conduct.run import run
from replay.outcome import OK
from replay.rundir import RunManifest
from replay.tag import LOAD_APPLICATION, template_of
from replay.workload import Statement, Transaction

MS = 1000
SEE = "INSERT INTO seen (who, what) SELECT $1, current_setting($2)"


@pytest.fixture
def staging(any_database: str) -> str:
    make_staging(any_database)
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.seen (who text, what text)")
        connection.execute("CREATE SCHEMA one")
        connection.execute("CREATE SCHEMA two")
    return any_database


def replayed(
    dsn: str, directory: Path, transactions: list[Transaction], **options: object
) -> tuple[RunManifest, pa.Table]:
    recorded = options.get("scenario") == "as_recorded"
    workload = write(directory / "a.workload", transactions, everything=recorded)
    out = directory / "a.run"
    chosen: dict[str, object] = {"duration_s": 3.0, "identity": True, **options}
    manifest = run(workload, dsn, out, RunOptions(**chosen))  # type: ignore[arg-type]
    return manifest, rundir.read_table(out, "attempts")


def rows(dsn: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(sql.encode()).fetchall()


def simple(sql: str, **fields: object) -> Statement:
    return statement(sql, prepared=None, **fields)  # type: ignore[arg-type]


def test_a_recorded_transaction_is_what_it_was(
    staging: str, any_server: embedded.Server, tmp_path: Path
) -> None:
    whole = transaction(
        simple("BEGIN ISOLATION LEVEL SERIALIZABLE"),
        statement(SEE, "inside", "transaction_isolation"),
        simple("SAVEPOINT a"),
        statement("INSERT INTO t VALUES ($1)", "1", error="23505"),
        simple("ROLLBACK TO a"),
        simple("SET LOCAL lock_timeout = '123ms'"),
        statement(SEE, "inside", "lock_timeout", offset_us=100 * MS),
        simple("COMMIT", offset_us=100 * MS),
    )
    undone = transaction(
        simple("BEGIN"), statement(SEE, "undone", "port"), simple("ROLLBACK"), start_us=200 * MS
    )
    twice = "INSERT INTO seen VALUES ('several', 'a'); INSERT INTO seen VALUES ('several', 'b')"
    plans = "SELECT generic_plans || '/' || custom_plans FROM pg_prepared_statements"
    after = [
        transaction(statement(SEE, "after", "lock_timeout"), start_us=210 * MS),
        transaction(simple(twice), start_us=220 * MS),
        *(
            transaction(
                statement("SELECT n FROM t WHERE id = $1", str(n), prepared="S_1"),
                start_us=(300 + n) * MS,
            )
            for n in range(7)
        ),
        transaction(simple(f"INSERT INTO seen SELECT 'plans', ({plans})"), start_us=400 * MS),
    ]
    manifest, attempts = replayed(
        staging, tmp_path, [whole, undone, *after], scenario="as_recorded"
    )
    assert manifest.accounting is not None
    assert manifest.accounting.ok == len([*after, undone])
    assert manifest.accounting.failed == 1  # as in production …
    assert manifest.generator["expected_errors"] == 1  # … and known for it
    assert manifest.objective["not_ok_share"] == 0
    assert rows(staging, "SELECT * FROM seen ORDER BY 1, 2") == [
        ("after", "0"),
        ("inside", "123ms"),
        ("inside", "serializable"),
        ("plans", "2/5"),  # the generic plan came at the sixth execution
        ("several", "a"),
        ("several", "b"),
    ]
    lock_timeout = attempts.to_pylist()[6]
    assert lock_timeout["due_us"] - attempts.to_pylist()[5]["ended_us"] == pytest.approx(
        100 * MS, abs=2
    )
    told = list(told_by(any_server, staging))
    assert len(told) > 20
    assert not [message for message in told if not template_of(message)]


def told_by(server: embedded.Server, dsn: str) -> list[str]:
    """What the server logged of the load's sessions, but for what sets a connection up."""
    database = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    # Values may hold what ends a line elsewhere.
    with (server.log_directory / "server.json").open() as lines:
        records = [json.loads(line) for line in lines]
    return [
        record["message"]
        for record in records
        if (record.get("dbname"), record.get("application_name")) == (database, LOAD_APPLICATION)
        and record["message"].startswith("duration")
        and not ("replay" in record["message"] and "marker" in record["message"])
        and "pg_control_system" not in record["message"]
        and "client_connection_check_interval" not in record["message"]
    ]


def test_a_pools_session_has_what_the_captured_one_had_set(staging: str, tmp_path: Path) -> None:
    kept = [
        transaction(simple("SET search_path = one, public"), session="a", start_us=0),
        transaction(simple("SET search_path TO two, public"), session="b", start_us=0),
        transaction(simple("SET statement_timeout = '7s'"), session="b", start_us=1),
        *(
            transaction(
                statement(SEE, who, setting),
                session=who,
                start_us=10 * MS + n,
            )
            for n in range(20)
            for who in "abc"
            for setting in ("search_path", "statement_timeout")
        ),
    ]
    manifest, _ = replayed(staging, tmp_path, kept, pool=2, duration_s=3.0)
    assert manifest.accounting is not None
    assert manifest.accounting.ok == manifest.accounting.planned
    assert manifest.options["left_out"]["session_setting"] > 0  # type: ignore[index]
    assert sorted(rows(staging, "SELECT DISTINCT who, what FROM seen")) == [
        ("a", "30s"),
        ("a", "one, public"),
        ("b", "7s"),
        ("b", "two, public"),
        ("c", '"$user", public'),
        ("c", "30s"),
    ]


@pytest.mark.parametrize("retries", [0, 100])
def test_what_fails_to_serialise_is_begun_again_only_when_told(
    new_database: str, tmp_path: Path, retries: int
) -> None:
    target.mark_staging(new_database)
    with psycopg.connect(new_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
        connection.execute("INSERT INTO t VALUES (1)")
    one = transaction(
        simple("BEGIN ISOLATION LEVEL REPEATABLE READ"),
        statement("SELECT n FROM t WHERE id = $1", "1"),
        statement("UPDATE t SET n = n + 1 WHERE id = $1", "1", offset_us=5 * MS),
        simple("COMMIT", offset_us=5 * MS),
    )
    manifest, attempts = replayed(
        new_database, tmp_path, [one] * 60, retries=retries, pool=8, duration_s=3.0
    )
    books, outcomes = manifest.accounting, set(attempts["outcome"].to_pylist())
    assert books is not None
    assert rows(new_database, "SELECT n FROM t") == [(books.ok,)]
    if retries:
        assert outcomes == {OK, "retried:40001"}
        assert books.ok == books.planned
        assert manifest.generator["retried"] > 0
    else:
        assert outcomes == {OK, "40001"}
        assert books.failed > 0
