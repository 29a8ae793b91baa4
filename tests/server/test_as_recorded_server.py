"""A recording on real servers: sessions of their own, at their times, that do not wait for others."""

import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from made_load import make_staging
from made_replay import statement, transaction, write

from data_gen.introspect import introspect
from replay import rundir, target
from replay.conduct.bake import RunOptions
from replay.conduct.run import run
from replay.errors import InputError, NotValidError
from replay.outcome import OK
from replay.sql.fingerprint import fingerprint
from replay.workload import SessionSettings, Transaction

MS = 1000
SCENARIO = Path(str(find_spec("scenarios").origin)).with_name("as_recorded.py")
READ = "SELECT n FROM t WHERE id = $1"
STALL = "SELECT pg_sleep($1::float8)"
WHO = "INSERT INTO seen SELECT current_setting('search_path'), pg_backend_pid(), $1"


@pytest.fixture
def staging(any_database: str) -> str:
    make_staging(any_database)
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE seen (path text, pid int, who text)")
    return any_database


def recorded(
    staging: str,
    directory: Path,
    transactions: list[Transaction],
    window_s: float,
    standing: tuple[SessionSettings, ...] = (),
    **options: object,
) -> pa.Table:
    """Attempts of a recording, by transaction and statement."""
    workload = write(
        directory / "a.workload",
        transactions,
        window_s=window_s,
        standing=standing,
        everything=True,
    )
    chosen: dict[str, object] = {"duration_s": 60.0, **options}
    manifest = run(
        workload,
        staging,
        directory / "a.run",
        RunOptions(scenario="as_recorded", identity=True, **chosen),  # type: ignore[arg-type]
    )
    assert manifest.accounting is not None
    assert manifest.accounting.ok == manifest.accounting.planned == len(transactions)
    table = rundir.read_table(directory / "a.run", "attempts")
    return table.sort_by([("arrival", "ascending"), ("ordinal", "ascending")])


def of(table: pa.Table, sql: str) -> pa.Table:
    return table.filter(pc.equal(table["template"], fingerprint(sql).id))


def late_us(table: pa.Table) -> np.ndarray:
    return pc.subtract(table["began_us"], table["due_us"]).to_numpy()


def test_a_stalled_session_delays_nobody_else(staging: str, tmp_path: Path) -> None:
    reads = [
        transaction(statement(READ, str(n)), start_us=n * 5 * MS, session=f"r{n % 10}")
        for n in range(1, 600)
    ]
    stalls = [
        transaction(statement(STALL, "1.0"), start_us=1000 * MS, session="slow"),
        transaction(statement(STALL, "0"), start_us=1100 * MS, session="slow"),
    ]
    table = recorded(staging, tmp_path, [*reads, *stalls], 3.0)
    first, second = of(table, STALL).to_pylist()
    # The session's next transaction waited for it, and the wait is in its latency, not in the lag.
    assert second["began_us"] >= first["ended_us"]
    assert second["ended_us"] - second["due_us"] > 850 * MS
    assert second["lag_us"] < 100 * MS
    others = of(table, READ)
    due = others["due_us"].to_numpy()
    during = (due > 1000 * MS) & (due < 2000 * MS)
    late = late_us(others)
    delayed = np.median(late[during]) - np.median(late[~during])
    assert delayed <= 2 * MS
    # Each session has a connection of its own, and only for as long as production's had.
    assert pc.count_distinct(table["pid"]).as_py() == 11
    with psycopg.connect(staging) as connection:
        left = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'staging-replay-l%'"
        )
        assert connection.execute(left).fetchone() == (0,)


def test_sessions_come_and_go_and_keep_what_they_set(staging: str, tmp_path: Path) -> None:
    """What the one half set before the recording, and the other half in it."""
    sessions, standing = [], []
    for number in range(20):  # one after the other, and each begins in the other's end
        begin, name = number * 100 * MS, f"s{number}"
        if number % 2:
            paths = ("SET search_path = public, pg_catalog", "SET role = nobody")
            standing.append(SessionSettings(session=name, statements=paths))
        else:
            path = statement("SET search_path = public", prepared=None)
            sessions.append(transaction(path, start_us=begin, session=name))
        sessions += [
            transaction(statement(WHO, name), start_us=begin + 60 * MS, session=name),
            transaction(statement(WHO, name), start_us=begin + 120 * MS, session=name),
        ]
    table = recorded(staging, tmp_path, sessions, 4.04, tuple(standing), speed=2)
    assert table["due_us"].to_pylist()[-1] == 1010 * MS  # twice as fast
    assert set(table["outcome"].to_pylist()) == {OK}
    with psycopg.connect(staging) as connection:
        rows = connection.execute(
            "SELECT who, path, pid, count(*) FROM seen GROUP BY 1, 2, 3"
        ).fetchall()
    assert len(rows) == 20
    assert len({pid for _, _, pid, _ in rows}) == 20
    for who, path, _, count in rows:
        assert count == 2
        assert path == ("public, pg_catalog" if int(who[1:]) % 2 else "public")


@pytest.mark.parametrize(("order", "last"), [("commit", "b"), (None, "a")])
def test_the_same_key_is_written_in_productions_order(
    new_database: str, tmp_path: Path, order: str | None, last: str
) -> None:
    """Here the first writer is held up before its statement, and in production it was not."""
    target.mark_staging(new_database)
    with psycopg.connect(new_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, who text)")
        connection.execute("INSERT INTO t SELECT generate_series(1, 100)")
        connection.execute("ANALYZE")
        profile = introspect(connection)
    update = "UPDATE t SET who = $1 WHERE id = $2"
    first = transaction(
        statement("BEGIN", prepared=None),
        statement(STALL, "0.3", duration_us=1 * MS),
        statement(update, "a", "7", offset_us=2 * MS),
        statement("COMMIT", prepared=None, offset_us=30 * MS),
        session="a",
    )
    second = transaction(
        statement("BEGIN", prepared=None),
        statement(update, "b", "7", offset_us=1 * MS, duration_us=40 * MS),
        statement("COMMIT", prepared=None, offset_us=50 * MS),
        start_us=10 * MS,
        session="b",
    )
    other = transaction(statement(update, "c", "8"), start_us=20 * MS, session="c")
    workload = write(
        tmp_path / "a.workload", [first, second, other], profile=profile, everything=True
    )
    options = RunOptions(scenario="as_recorded", identity=True, order=order, duration_s=9.0)
    manifest = run(workload, new_database, tmp_path / "a.run", options)
    assert manifest.accounting is not None
    assert manifest.accounting.ok == 3
    assert "out_of_order" not in manifest.generator
    with psycopg.connect(new_database) as connection:
        found = dict(connection.execute("SELECT id, who FROM t WHERE who IS NOT NULL").fetchall())
    assert found == {7: last, 8: "c"}
    table = rundir.read_table(tmp_path / "a.run", "attempts").to_pylist()
    alone = next(
        row for row in table if row["template"] == fingerprint(update).id and row["ordinal"] == 0
    )
    assert alone["began_us"] < 200 * MS  # who has another key waits for nobody


def test_the_scenario_runs_under_a_bare_locust(new_database: str, tmp_path: Path) -> None:
    target.mark_staging(new_database)
    many = [
        transaction(statement("SELECT 1"), start_us=n * 16 * MS, session=f"s{n % 3}")
        for n in range(200)
    ]
    workload = write(tmp_path / "a.workload", many, window_s=3.2, everything=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", SCENARIO, "--headless"),
            *("--workload", workload, "--target", new_database, "--bind", "identity"),
            *("--only-summary", "--csv", tmp_path / "a"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, NotValidError.exit_code}, done.stderr  # on a busy machine
    assert "planned 200 = started 200 + skipped 0" in done.stdout
    *_, whole = csv.DictReader((tmp_path / "a_stats.csv").read_text().splitlines())
    assert (whole["Name"], whole["Request Count"]) == ("Aggregated", "200")


def test_a_sample_is_refused_and_so_are_more_sessions_than_fit(
    staging: str, tmp_path: Path
) -> None:
    one = transaction(statement(READ, "1"))
    options = RunOptions(scenario="as_recorded", identity=True)
    workload = write(tmp_path / "sample.workload", [one])
    with pytest.raises(InputError, match="capture the log again with --all"):
        run(workload, staging, tmp_path / "a.run", options)
    many = [transaction(statement(READ, "1"), session=f"s{n}") for n in range(300)]
    workload = write(tmp_path / "many.workload", many, everything=True)
    with pytest.raises(InputError, match="300 sessions open at once"):
        run(workload, staging, tmp_path / "a.run", options)
