"""What a migration did to a load, from hand-made samples and attempts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from replay import runtables
from replay.conduct.during import Ran, Script, read_script
from replay.conduct.impact import measure
from replay.errors import InputError
from replay.load.transactions import transactions
from replay.migration import Migration
from replay.report.migration import recovery, sentence

MIGRATION, READER, LONG = 900, 7, 8
READ, SELECT = "a" * 16, "b" * 16


def script(
    tmp_path: Path, text: str = "SET lock_timeout = '2s'; ALTER TABLE t ADD c int"
) -> Script:
    file = tmp_path / "release.sql"
    file.write_text(text)
    return read_script(file)


def ran(of: Script, *times_s: tuple[float, float], outcome: str = "ok") -> list[Ran]:
    return [
        Ran(
            round=1,
            step=step,
            pid=MIGRATION,
            began_ns=int(began * 1e9),
            ended_ns=int(ended * 1e9),
            outcome=outcome,
            error="",
        )
        for step, (began, ended) in zip(of.steps, times_s, strict=False)
    ]


def edge(at_s: float, waiter: int, blocker: int, wait_s: float) -> dict[str, object]:
    migrates = waiter == MIGRATION
    return {
        "at_us": int(at_s * 1e6),
        "waiter": waiter,
        "blocker": blocker,
        "waiter_template": "" if migrates else READ,
        "blocker_template": SELECT if migrates else "",
        "blocker_state": "idle in transaction" if migrates else "active",
        "lock_type": "relation",
        "mode": "AccessExclusiveLock" if migrates else "AccessShareLock",
        "relation": "public.t",
        "wait_us": int(wait_s * 1e6),
    }


def attempts(*rows: tuple[float, float, str], pid: int = READER) -> pa.Table:
    """(due, latency, outcome) of transactions of one statement."""
    return pa.Table.from_pylist(
        [
            {
                "arrival": number,
                "ordinal": 0,
                "template": READ,
                "session": 0,
                "worker": 0,
                "pid": pid,
                "due_us": int(due * 1e6),
                "began_us": int(due * 1e6),
                "ended_us": int((due + took) * 1e6),
                "lag_us": 0,
                "outcome": outcome,
                "rows": 1,
            }
            for number, (due, took, outcome) in enumerate(rows)
        ],
        schema=runtables.ATTEMPTS,
    )


def steady(seconds: float, rate: int = 40) -> list[tuple[float, float, str]]:
    return [(number / rate, 0.002, "ok") for number in range(int(seconds * rate))]


def measured(
    of: Script, sent: list[Ran], edges: list[dict[str, object]], done: pa.Table
) -> Migration:
    return measure(
        of,
        sent,
        t0_ns=0,
        at_s=5,
        repeat=1,
        blocking=pa.Table.from_pylist(edges, schema=runtables.BLOCKING),
        attempts=lambda: [done],
        done=transactions([done]),
        expected=np.zeros(len(done), dtype=bool),
        objective_ms=250,
        duration_s=20,
    )


def test_waits_are_as_long_as_they_were_and_belong_to_their_statement(tmp_path):
    of = script(tmp_path)
    edges = [edge(5.1 + n / 10, MIGRATION, LONG, 0.09 + n / 10) for n in range(19)]
    edges += [edge(5.55 + n / 10, READER, MIGRATION, 0.05 + n / 10) for n in range(15)]
    done = attempts(*steady(5), (5.5, 1.52, "ok"))
    found = measured(of, ran(of, (5.0, 5.001), (5.002, 7.0)), edges, done)
    quick, alter = found.statements
    assert (quick.waited, quick.blocked) == ((), ())
    assert alter.waited_s == pytest.approx(1.99, abs=0.01)  # until it was done, not a sample longer
    assert (alter.waited[0].blocker, alter.waited[0].relation) == (SELECT, "public.t")
    (blocked,) = alter.blocked
    assert blocked.template == READ
    assert blocked.sessions == 1
    assert alter.blocked_s == pytest.approx(1.52, abs=0.01)  # the attempt says when it ended
    told = " / ".join(sentence(alter, {READ: "SELECT n FROM t", SELECT: "SELECT count(*) FROM t"}))
    assert (
        "waited 2.0 s for relation AccessExclusiveLock on public.t behind SELECT count(*)" in told
    )
    assert "blocked 1 session for 1.5 s in all" in told


def test_two_blockers_at_once_are_waited_for_once(tmp_path):
    of = script(tmp_path)
    edges = [
        edge(5.1 + n / 10, MIGRATION, pid, 0.09 + n / 10) for n in range(5) for pid in (LONG, 9)
    ]
    found = measured(of, ran(of, (5.0, 5.001), (5.002, 7.0)), edges, attempts(*steady(5)))
    assert found.statements[1].waited_s == pytest.approx(0.59, abs=0.01)


def test_a_load_that_stalls_is_disturbed_and_recovers(tmp_path):
    of = script(tmp_path)
    stalled = [(d, 7.2 - d if 5 <= d < 7 else t, o) for d, t, o in steady(20)]
    found = measured(of, ran(of, (5.0, 5.001), (5.002, 7.0)), [], attempts(*stalled))
    (one,) = found.rounds
    assert one.complete
    assert one.before_p95_ms == pytest.approx(2, abs=0.1)
    assert one.disturbed_s == pytest.approx(2.0, abs=0.51)
    assert one.recovered_s == pytest.approx(7.2, abs=0.5)
    assert one.worst_p95_ms > 1500
    assert "was itself again" in recovery(one)


def test_a_load_that_fails_to_the_end_has_not_recovered(tmp_path):
    of = script(tmp_path)
    broken = [(d, t, "57014" if d >= 5 else o) for d, t, o in steady(20)]
    (one,) = measured(of, ran(of, (5, 5.1), (5.1, 5.2)), [], attempts(*broken)).rounds
    assert one.recovered_s is None
    assert "did not recover" in recovery(one)


def test_a_load_that_feels_nothing_says_so(tmp_path):
    of = script(tmp_path)
    (one,) = measured(of, ran(of, (5, 5.1), outcome="55P03"), [], attempts(*steady(20))).rounds
    assert (one.disturbed_s, one.recovered_s, one.complete) == (0, 5, False)
    assert "NOT done" in recovery(one)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- nothing", "holds no statement"),
        ("SELECT 1;\n\\i other.sql", "release.sql:2: .* is for psql"),
        ("COPY t FROM STDIN;", "release.sql:1: COPY FROM STDIN"),
    ],
)
def test_what_cannot_run_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        script(tmp_path, text)
