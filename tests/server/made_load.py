"""Loads for the engine's tests, and what the server saw of them."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from replay import target
from replay.load import sharding
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.tag import LOAD_APPLICATION

READ, WRITE, BEGIN, COMMIT, WRONG = (letter * 16 for letter in "abcde")
_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"


SCENARIO = Path(__file__).parents[2] / "scenarios" / "mix.py"


def make_staging(dsn: str) -> None:
    """A marked database with a table t of a thousand rows."""
    target.mark_staging(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
        connection.execute("INSERT INTO t SELECT generate_series(1, 1000)")


def statement(
    template: str,
    sql: str,
    *values: str,
    prepared: str | None = "",
    gap_us: int = 0,
    error: str = "",
) -> PlannedStatement:
    return PlannedStatement(
        template=template,
        sql=sql,
        prepared=prepared,
        values=tuple(value.encode() for value in values),
        gap_us=gap_us,
        expected_error=error,
    )


def arrivals(
    rate: int, seconds: float, of: Callable[[int], tuple[PlannedStatement, ...]]
) -> list[PlannedTransaction]:
    return [
        PlannedTransaction(due_us=number * 1_000_000 // rate, statements=of(number))
        for number in range(int(rate * seconds))
    ]


def update(number: int, *, gap_us: int = 0) -> tuple[PlannedStatement, ...]:
    return (
        statement(BEGIN, "BEGIN", prepared=None),
        statement(WRITE, "UPDATE t SET n = n + 1 WHERE id = $1", str(number % 1000 + 1)),
        statement(COMMIT, "COMMIT", prepared=None, gap_us=gap_us),
    )


def one(dsn: str, sql: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return int(row[0])


def poll(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


def sessions(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [pid for (pid,) in connection.execute(_SESSIONS, (LOAD_APPLICATION,))]


@contextlib.contextmanager
def bare_locust(
    staging: str,
    transactions: list[PlannedTransaction],
    tmp_path: Path,
    *options: str,
    workers: int = 1,
    baked_by: Path | None = None,
    service: str = "",
) -> Iterator[subprocess.Popen[str]]:
    """Locust by itself, on shards that are there, or with a scenario that makes them of these."""
    aside = any(one.aside for one in transactions)
    sharding.write_shards(tmp_path, transactions, workers=workers, aside=aside)
    scenario = SCENARIO.with_name("http.py") if service else SCENARIO
    command = [
        *(sys.executable, "-m", "locust", "-f", str(baked_by or scenario), "--headless"),
        *("--only-summary", "--run-directory", str(tmp_path), "--target", staging),
        *(() if baked_by else ("--shards", str(tmp_path))),
        *(("--service", service) if service else ()),
        *options,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
    ) as process:
        try:
            yield process
        finally:
            process.kill()
