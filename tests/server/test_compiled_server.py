"""The compiled loop and Python do the same to a real server, and leave the same books."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from made_load import BEGIN, COMMIT, READ, WRITE, WRONG, arrivals, make_staging, statement, update

from replay import rundir
from replay.load import shard
from replay.load.launch import launch
from replay.load.native import library
from replay.load.shard import PlannedStatement, PlannedTransaction

BIG, ODD = "f" * 16, "0" * 16
BY_ID = "SELECT n FROM t WHERE id = $1"
MANY = "SELECT repeat('x', 300) FROM generate_series(1, $1::int)"
NOTICE = "DO $$ BEGIN RAISE NOTICE 'hello'; END $$"


def transaction(number: int) -> tuple[PlannedStatement, ...]:
    """One of every kind that there is."""
    kinds: list[tuple[PlannedStatement, ...]] = [
        (statement(READ, BY_ID, str(number), prepared="s1"),),
        (statement(READ, BY_ID, str(number)),),
        (statement(READ, f"SELECT {number}", prepared=None),),  # countless texts
        (statement(READ, f"SELECT {number}, $1::int", "1"),),
        update(number, gap_us=3000),
        (
            statement(BEGIN, "BEGIN", prepared=None),
            statement(WRONG, "SELECT 1 / ($1)::int", "0", prepared="w", error="22012"),
            statement(COMMIT, "ROLLBACK", prepared=None),
        ),
        (statement(BEGIN, "BEGIN", prepared=None), statement(READ, BY_ID, "1", gap_us=500)),
        (statement(WRONG, "SELECT * FROM missing"), statement(READ, "SELECT 1")),
        (statement(BIG, MANY, str(number * 10), prepared="m"),),
        (statement(ODD, "SET work_mem = '5MB'; SELECT 1; SELECT 2", prepared=None),),
        (statement(ODD, NOTICE, prepared=None), statement(READ, BY_ID, "2", prepared="s1")),
        (statement(ODD, "", prepared=None),),
        (statement(ODD, "COPY t TO STDOUT", prepared=None),),
    ]
    return kinds[number % len(kinds)]


def planned() -> Iterator[PlannedTransaction]:
    for number, one in enumerate(arrivals(400, 1.0, transaction)):
        settings = ("SET statement_timeout = '4s'",) if number % 7 == 0 else ()
        yield PlannedTransaction(
            due_us=one.due_us, statements=one.statements, settings=settings, session=""
        )


def drive(dsn: str, directory: Path) -> pa.Table:
    shard.write_shards(directory / "shards", planned(), retries=1)
    run = directory / "a.run"
    run.mkdir()
    report = launch(
        directory / "shards",
        dsn=dsn,
        run=run,
        scenario="mix",
        pool=5,
        pool_timeout_ms=20_000,
        statement_timeout_ms=5000,
        duration_s=1.0,
        drain_s=10.0,
    )
    assert report.state == "finished"
    return rundir.read_table(run, "attempts")


def books(attempts: pa.Table) -> list[tuple[object, ...]]:
    """What was done, whenever and wherever it was."""
    columns = ("arrival", "ordinal", "template", "outcome", "rows")
    return sorted(zip(*(attempts[name].to_pylist() for name in columns), strict=True))


def test_the_same_load_leaves_the_same_books(
    new_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_staging(new_database)
    with psycopg.connect(new_database, autocommit=True) as connection:
        found = []
        for way in ("compiled", "interpreted"):
            connection.execute("UPDATE t SET n = 0")
            (tmp_path / way).mkdir()
            if way == "interpreted":
                monkeypatch.setenv("REPLAY_INTERPRETED", "1")
            found.append(books(drive(new_database, tmp_path / way)))
            row = connection.execute("SELECT sum(n) FROM t").fetchone()
            assert row == (sum(one[2] == WRITE and one[4] == 1 for one in found[-1]),)
    compiled, interpreted = found
    assert compiled == interpreted
    assert len({outcome for *_, outcome, _ in compiled}) > 3
    if library.is_wanted():
        assert library.load() is not None  # as a worker loads it
