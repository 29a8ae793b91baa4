"""A migration in the middle of a load, on real servers: what it waited for and what it held up."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from made_load import READ as READS
from made_load import arrivals, bare_locust, make_staging
from made_load import statement as planned
from made_replay import statement, transaction, write

from replay import rundir
from replay.conduct.bake import RunOptions
from replay.conduct.run import run
from replay.migration import Migration
from replay.report import as_json, html
from replay.report.summary import summarise
from replay.sql.fingerprint import fingerprint

READ = "SELECT n FROM t WHERE id = $1"


@pytest.fixture
def staging(any_database: str) -> str:
    make_staging(any_database)
    return any_database


@contextmanager
def a_long_reader(dsn: str) -> Iterator[None]:
    """Somebody who has read the table and stays in the transaction."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT count(*) FROM t")
        yield


def replayed(staging: str, directory: Path, migration: str, **options: object) -> Path:
    workload = write(
        directory / "a.workload",
        [transaction(statement(READ, str(n)), start_us=n * 5000) for n in range(1, 200)],
    )
    (directory / "release.sql").write_text(migration)
    chosen: dict[str, object] = {"duration_s": 4.0, "at_s": 1.0, "pool": 30, **options}
    out = directory / "a.run"
    run(
        workload,
        staging,
        out,
        RunOptions(during=directory / "release.sql", identity=True, **chosen),  # type: ignore[arg-type]
    )
    return out


def migration_of(out: Path) -> Migration:
    found = rundir.read_migration(out)
    assert found is not None
    return found


def test_ddl_behind_a_long_reader_stops_everybody(staging: str, tmp_path: Path) -> None:
    with a_long_reader(staging):
        out = replayed(
            staging,
            tmp_path,
            "SET lock_timeout = '600ms';\nALTER TABLE t ADD c int;\n",
            repeat=2,
            at_s=1.5,
            duration_s=5.0,
        )
    first, second = (
        [s for s in migration_of(out).statements if s.round == number] for number in (1, 2)
    )
    assert [s.outcome for s in first] == [s.outcome for s in second] == ["ok", "55P03"]
    alter = first[1]
    assert (alter.line, alter.template) == (2, fingerprint("ALTER TABLE t ADD c int").id)
    assert 0.55 < alter.took_s < 2.0
    assert alter.waited[0].lock == "relation AccessExclusiveLock"
    assert alter.waited[0].relation == "public.t"
    assert alter.waited[0].blocker_state == "idle in transaction"
    assert alter.waited_s == pytest.approx(alter.took_s, abs=0.15)
    assert alter.blocked[0].template == fingerprint(READ).id
    assert alter.blocked[0].sessions > 3
    assert 0.3 < alter.blocked[0].longest_s < 2.0
    felt = migration_of(out).rounds[0]
    assert not felt.complete
    assert felt.disturbed_s >= 0.5
    assert felt.recovered_s is not None
    assert felt.recovered_s < second[0].began_s
    summary = summarise([out])
    assert as_json.document(summary)["migration"]["statements"][1]["waited"]
    page = html.render(summary)
    assert "ALTER TABLE t ADD c int" in page
    assert "was itself again" in page


def test_a_bare_locust_runs_it_too(new_database: str, tmp_path: Path) -> None:
    make_staging(new_database)
    migration = tmp_path / "release.sql"
    migration.write_text("BEGIN;\nALTER TABLE t ADD c int;\nSELECT pg_sleep(0.7);\nCOMMIT;\n")
    reads = arrivals(
        60, 4.0, lambda n: (planned(READS, "SELECT n FROM t WHERE id = $1", str(n + 1)),)
    )
    options = ["--duration", "4", "--pool", "30", "--during", str(migration), "--at", "1.5"]
    with bare_locust(new_database, reads, tmp_path, *options) as process:
        said, _ = process.communicate(timeout=60)
    assert "release.sql: done in" in said, said
    assert "line 3: SELECT pg_sleep(0.7)" in said
    assert "planned 240 = started 240 + skipped 0" in said
    asleep = migration_of(tmp_path).statements[2]
    assert asleep.outcome == "ok"
    assert asleep.blocked[0].sessions > 3
    assert asleep.blocked[0].lock == "relation AccessShareLock"
    assert f"blocked {asleep.blocked[0].sessions} sessions for" in said


def test_its_own_transactions_and_concurrently_work(staging: str, tmp_path: Path) -> None:
    out = replayed(
        staging,
        tmp_path,
        """
        BEGIN; SET LOCAL lock_timeout = '1s'; ALTER TABLE t ADD d int; COMMIT;
        CREATE INDEX CONCURRENTLY t_n ON t (n);
        DO $$ BEGIN PERFORM 1; END $$;
        SELECT pg_sleep(30);
        """,
        duration_s=3.0,
    )
    outcomes = [s.outcome for s in migration_of(out).statements]
    assert outcomes == ["ok"] * 6 + ["cancelled"]  # what the load's end found under way
    with psycopg.connect(staging) as connection:
        assert connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_n'::regclass"
        ).fetchone() == (True,)
        left = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'staging-replay-%'"
        )
        assert connection.execute(left).fetchone() == (0,)
