"""The load engine on real servers: what it says it did is what the server saw."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from made_load import (
    BEGIN,
    COMMIT,
    READ,
    SCENARIO,
    WRITE,
    WRONG,
    arrivals,
    bare_locust,
    make_staging,
    one,
    poll,
    sessions,
    statement,
    update,
)
from made_manifest import manifest_of
from made_replay import statement as captured_as
from made_replay import transaction
from made_replay import write as write_workload

from replay import rundir
from replay.errors import EnvironmentFaultError, RefusedError
from replay.load import schedule, sharding
from replay.load.launch import launch
from replay.load.planned import Planned, PlannedStatement, PlannedTransaction
from replay.load.report import LoadReport, read_worker
from replay.load.transactions import transactions
from replay.load.verdict import Verdict, judge
from replay.outcome import LOST, OK, SKIPPED_END, SKIPPED_POOL
from replay.workload import Statement, Transaction, Workload


@dataclass(frozen=True, kw_only=True)
class Loaded:
    planned: Planned
    report: LoadReport
    attempts: pa.Table

    def judge(self, *boosted: str) -> Verdict:
        return judge(
            transactions([self.attempts]),
            planned=self.planned.transactions,
            report=self.report,
            objective_ms=250,
            boosted=boosted,
        )

    def outcomes(self, template: str) -> dict[str, int]:
        of_it = self.attempts.filter(pc.equal(self.attempts["template"], template))
        return {
            entry["values"].as_py(): entry["counts"].as_py()
            for entry in pc.value_counts(of_it["outcome"].cast(pa.string()))
        }


@pytest.fixture
def staging(new_database: str) -> str:
    make_staging(new_database)
    return new_database


@pytest.fixture
def drive(staging: str, tmp_path: Path) -> Callable[..., Loaded]:
    def driven(
        transactions: list[PlannedTransaction],
        *,
        workers: int = 1,
        ready: Callable[[int], None] | None = None,
        **options: float,
    ) -> Loaded:
        planned = sharding.write_shards(tmp_path / "shards", transactions, workers=workers)
        run = tmp_path / "a.run"
        run.mkdir(exist_ok=True)
        chosen = {
            "pool": 8,
            "pool_timeout_ms": 2000,
            "statement_timeout_ms": 5000,
            "duration_s": 1.0,
            "drain_s": 1.0,
            **options,
        }
        report = launch(
            tmp_path / "shards", dsn=staging, run=run, scenario="mix", ready=ready, **chosen
        )
        attempts = rundir.read_table(run, "attempts")
        return Loaded(planned=planned, report=report, attempts=attempts)

    return driven


def test_what_is_said_to_be_done_was_done(drive: Callable[..., Loaded], staging: str) -> None:
    now = datetime.now(UTC)
    workload = Workload(
        manifest=manifest_of(now - timedelta(seconds=10), 10),
        templates=(),
        transactions=tuple(
            Transaction(id=n, session="", start_us=n, weight=weight, shape="", statements=kept)
            for n, (weight, kept) in enumerate(
                [
                    (2000, (captured(READ, "SELECT n FROM t WHERE id = $1", "p", "7", "s1"),)),
                    (
                        1000,
                        (
                            captured(BEGIN, "BEGIN", "", None, None),
                            captured(WRITE, "UPDATE t SET n = n + 1 WHERE id = $1", "n", "8", None),
                            captured(COMMIT, "COMMIT", "", None, None),
                        ),
                    ),
                    (50, (captured(WRONG, "COPY t FROM stdin", "", None, None),)),
                ]
            )
        ),
    )
    due = schedule.mix(workload, rate=1, boosts={}, duration_s=3, rng=np.random.default_rng(1))
    loaded = drive(
        [
            schedule.plan(due_us, kept, tuple(s.values for s in kept.statements))
            for due_us, kept in due
        ],
        duration_s=3.0,
    )
    verdict = loaded.judge()
    assert verdict.valid, verdict.why_not
    assert verdict.healthy
    assert verdict.accounting.ok == verdict.accounting.planned == loaded.planned.transactions
    assert loaded.planned.left_out["copy"] > 0
    assert set(loaded.outcomes(WRITE)) == {OK}
    assert one(staging, "SELECT n FROM t WHERE id = 8") == loaded.outcomes(WRITE)[OK]
    reads = loaded.attempts.filter(pc.equal(loaded.attempts["template"], READ))
    assert pc.unique(reads["rows"]).to_pylist() == [1]
    assert pc.all(pc.less_equal(reads["began_us"], reads["ended_us"])).as_py()
    assert pc.all(pc.less_equal(reads["due_us"], reads["began_us"])).as_py()
    poll(lambda: not sessions(staging))


def captured(
    template: str, sql: str, slots: str, value: str | None, prepared: str | None
) -> Statement:
    return Statement(
        template=template,
        sql=sql,
        slots=slots,
        values=(value,) if slots else (),
        prepared=prepared,
        offset_us=0,
        duration_us=0,
    )


def test_the_clients_own_time_holds_the_lock(drive: Callable[..., Loaded]) -> None:
    pause_us = 30_000
    loaded = drive(arrivals(100, 0.3, lambda _: update(0, gap_us=pause_us)), drain_s=5.0)
    table = loaded.attempts.sort_by([("arrival", "ascending"), ("ordinal", "ascending")])
    written = table.filter(pc.equal(table["template"], WRITE)).to_pylist()
    committed = table.filter(pc.equal(table["template"], COMMIT)).to_pylist()
    for write, commit in zip(written, committed, strict=True):
        assert commit["due_us"] - write["ended_us"] == pytest.approx(pause_us, abs=2)
        assert commit["began_us"] >= commit["due_us"]
    # All of them update one row, so that no two of these intervals may overlap.
    held = sorted((w["ended_us"], c["ended_us"]) for w, c in zip(written, committed, strict=True))
    assert all(end <= begin + 15_000 for (_, end), (begin, _) in itertools.pairwise(held))


def test_a_blocked_row_empties_the_pool(drive: Callable[..., Loaded], staging: str) -> None:
    with psycopg.connect(staging) as blocker:
        blocker.execute("UPDATE t SET n = 0 WHERE id = 1")
        loaded = drive(
            arrivals(100, 1.0, lambda _: update(0)), pool=2, pool_timeout_ms=300, drain_s=0.2
        )
    outcomes = loaded.outcomes(BEGIN)
    books = loaded.judge().accounting
    assert (books.planned, books.ok, books.failed, books.cancelled) == (100, 0, 0, 2)
    assert outcomes[SKIPPED_POOL] + outcomes.get(SKIPPED_END, 0) == books.skipped == 98
    gave_up = loaded.attempts.filter(pc.equal(loaded.attempts["outcome"], SKIPPED_POOL))
    waited = pc.subtract(gave_up["ended_us"], gave_up["due_us"])
    assert pc.min(waited).as_py() >= 300_000
    assert pc.max(gave_up["lag_us"]).as_py() < 250_000  # the wait is the pool's, not ours
    assert not loaded.judge().healthy
    assert one(staging, "SELECT n FROM t WHERE id = 1") == 0


def test_boosted_transactions_are_no_part_of_the_objective(
    drive: Callable[..., Loaded], staging: str
) -> None:
    def of(number: int) -> tuple[PlannedStatement, ...]:
        return update(0) if number % 2 else (statement(READ, "SELECT 1"),)

    with psycopg.connect(staging) as blocker:
        blocker.execute("UPDATE t SET n = 0 WHERE id = 1")
        loaded = drive(arrivals(20, 1.0, of), pool=30, drain_s=0.2)
    assert not loaded.judge().healthy
    assert loaded.judge(WRITE).healthy
    assert loaded.judge(WRITE).objective["transactions"] == 10


def test_an_error_rolls_back_and_is_named(drive: Callable[..., Loaded], staging: str) -> None:
    def of(number: int) -> tuple[PlannedStatement, ...]:
        begin, write, commit = update(number)
        expected = "22012" if number % 2 else ""
        wrong = statement(WRONG, "SELECT 1 / ($1)::int", "0", prepared="w", error=expected)
        if expected:
            return begin, write, wrong, statement(COMMIT, "ROLLBACK", prepared=None)
        return begin, write, wrong, commit

    loaded = drive(arrivals(100, 0.5, of))
    books = loaded.judge().accounting
    assert (books.planned, books.failed) == (50, 50)
    assert loaded.outcomes(WRONG) == {"22012": 50}
    assert loaded.outcomes(COMMIT) == {OK: 25}  # what followed in production follows here
    assert np.flatnonzero(loaded.report.expected).tolist() == list(range(1, 50, 2))
    assert loaded.judge().objective["not_ok_share"] == 0.5
    assert one(staging, "SELECT sum(n) FROM t") == 0


def test_a_lost_backend_is_one_lost_transaction(drive: Callable[..., Loaded], staging: str) -> None:
    killed: list[int] = []

    def kill_some() -> None:
        with psycopg.connect(staging, autocommit=True) as connection:
            for pid in sessions(staging)[:3]:
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
                killed.append(pid)

    slow = (statement(READ, "SELECT pg_sleep(0.02)"),)
    loaded = drive(
        arrivals(100, 1.5, lambda _: slow),
        duration_s=1.5,
        pool=4,
        ready=lambda _: threading.Timer(0.8, kill_some).start(),
    )
    outcomes = loaded.outcomes(READ)
    books = loaded.judge().accounting
    assert len(killed) == 3
    assert 1 <= outcomes[LOST] <= 3
    assert books.failed == outcomes[LOST]
    assert books.ok == 150 - books.failed
    (worker,) = loaded.report.workers
    assert (worker.lost_connections, worker.reconnections) == (3, 3)
    last = loaded.attempts.filter(pc.greater(loaded.attempts["due_us"], 1_300_000))
    assert pc.count_distinct(last["session"]).as_py() == 4  # all of the pool is back
    assert not set(pc.unique(last["pid"]).to_pylist()) & set(killed)


def test_several_workers_share_the_load_and_the_origin(
    drive: Callable[..., Loaded], staging: str
) -> None:
    loaded = drive(arrivals(200, 1.0, update), workers=2, pool=5)
    assert loaded.judge().accounting.ok == 200
    counted = pc.value_counts(loaded.attempts["worker"]).to_pylist()
    assert {entry["values"]: entry["counts"] for entry in counted} == {0: 300, 1: 300}
    assert one(staging, "SELECT sum(n) FROM t") == 200


def test_an_unmarked_target_gets_no_session(new_database: str, tmp_path: Path) -> None:
    sharding.write_shards(tmp_path, arrivals(10, 1.0, update))
    with pytest.raises(RefusedError, match="replay mark-staging"):
        launch(
            tmp_path,
            dsn=new_database,
            run=tmp_path,
            scenario="mix",
            pool=1,
            pool_timeout_ms=1000,
            statement_timeout_ms=1000,
            duration_s=1,
            drain_s=1,
        )


def test_a_server_with_too_few_connections_is_named(drive: Callable[..., Loaded]) -> None:
    with pytest.raises(EnvironmentFaultError, match="smaller --pool"):
        drive(arrivals(10, 1.0, update), pool=300)


def test_ctrl_c_keeps_what_was_done(drive: Callable[..., Loaded], staging: str) -> None:
    loaded = drive(
        arrivals(100, 30, update),
        duration_s=30,
        ready=lambda _: threading.Timer(1.2, os.kill, (os.getpid(), signal.SIGINT)).start(),
    )
    books = loaded.judge().accounting
    assert loaded.report.state == "interrupted"
    assert loaded.report.missing
    assert not loaded.judge().valid
    assert 50 < books.ok < 300
    assert books.planned == 3000
    assert one(staging, "SELECT sum(n) FROM t") >= books.ok
    poll(lambda: not sessions(staging))


def test_a_killed_worker_leaves_books_that_balance(
    drive: Callable[..., Loaded], staging: str
) -> None:
    def kill_child() -> None:
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.ZombieProcess):  # of an earlier test
                if "locust" in " ".join(child.cmdline()):
                    child.kill()

    loaded = drive(
        arrivals(100, 30, update),
        duration_s=30,
        ready=lambda _: threading.Timer(1.5, kill_child).start(),
    )
    books = loaded.judge().accounting
    assert loaded.report.state == "failed"
    assert loaded.report.lost_workers == (0,)
    assert books.ok > 50
    assert one(staging, "SELECT sum(n) FROM t") >= books.ok
    poll(lambda: not sessions(staging))


def test_a_bare_locust_runs_it_too(staging: str, tmp_path: Path) -> None:
    left = tmp_path / "not" / "there"
    options = ("--run-time", "3", "--run-directory", str(left))
    with bare_locust(staging, arrivals(100, 3.0, update), tmp_path, *options) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    done = rundir.read_table(left, "attempts", worker=0)
    assert set(done["arrival"].to_pylist()) == set(range(300))
    assert "planned 300 = started 300 + skipped 0" in said
    assert "UPDATE t SET n = n + 1 WHERE id = $1" in said  # Locust's own table
    assert one(staging, "SELECT sum(n) FROM t") == 300


def unbaked(cwd: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Locust by itself, without shards."""
    command = [sys.executable, "-m", "locust", "-f", str(SCENARIO), "--headless", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_a_bare_locust_does_not_believe_what_leaves_out_too_much(
    staging: str, tmp_path: Path
) -> None:
    kept = [
        transaction(captured_as("SELECT n FROM t WHERE id = $1", "5"), weight=60),
        transaction(captured_as("COPY t FROM stdin", prepared=None), weight=40),
    ]
    workload = str(write_workload(tmp_path / "a.workload", kept))
    options = ("--workload", workload, "--target", staging, "--duration", "1", "--bind", "identity")
    done = unbaked(tmp_path, *options)
    assert done.returncode == 3, done.stderr
    assert "of production's transactions are not replayed (copy " in done.stdout


def test_a_bare_locust_says_what_it_lacks_without_a_traceback(tmp_path: Path) -> None:
    done = unbaked(tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("no workload: give --workload DIRECTORY") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_locust_leaves_no_session(
    staging: str, tmp_path: Path, how: signal.Signals
) -> None:
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    sleeping = arrivals(50, 30.0, lambda _: (statement(READ, "SELECT pg_sleep(60)"),))
    with bare_locust(staging, sleeping, tmp_path, "--duration", "30", "--pool", "6") as process:
        poll(lambda: one(staging, asleep) == 6)
        process.send_signal(how)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 130, said
    poll(lambda: not sessions(staging))
    report = read_worker(tmp_path, 0)
    assert report is not None
    assert report.state == "interrupted"
