"""Hand-made directories for tests of report and command line: a workload, and runs that tell a story.

A small queueing model plays the pool of connections, so that waits, latencies and locks fit together
as they do in a real storm: one rare read scans, one rare update holds a counter's row while it scans.
"""

import heapq
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from replay import bundle, outcome, rundir
from replay.finding import BuiltFix, Culprit, Finding, Fix, Proof, ProofStep
from replay.outcome import Accounting
from replay.rundir import RunManifest
from replay.workload import (
    Manifest,
    Skip,
    Source,
    Statement,
    Template,
    Transaction,
    Workload,
    duration_bucket,
)

BEGIN = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
WINDOW_S = 20.0
RELEASE = "5e1ea5e000000001"
CALLBACK = "ca11bac000000002"
RELEASE_COUNTER = "5e1ea5e000000003"
COUNTED_ONLY = "c0017ed000000004"
UPDATE_COUNTER = "c0017e5000000005"

# id, kind, SQL, tables, calls in 20 s, milliseconds a call
_TEMPLATES = (
    ("a07e000000000001", "select", "SELECT p.id, a.plan FROM projects p JOIN accounts a ON a.id = p.account_id WHERE p.token = $1", ("projects", "accounts"), 812, 0.4),
    ("57a7000000000002", "select", "SELECT id, state, priority, created_at, started_at, finished_at FROM tasks WHERE id = $1", ("tasks",), 806, 0.3),
    ("c0de000000000003", "select", "SELECT id FROM codes WHERE project_id = $1 ORDER BY name LIMIT ?", ("codes",), 377, 0.3),
    ("e1ec000000000004", "insert", "INSERT INTO tasks (project_id, code_id, priority, payload, callback_id) VALUES ($1, $2, $3, $4, $5) RETURNING id", ("tasks",), 377, 0.6),
    (UPDATE_COUNTER, "update", "UPDATE project_counters SET queued = queued + ? WHERE project_id = $1", ("project_counters",), 377, 0.4),
    ("5e5e000000000006", "update", "UPDATE tasks SET state = ?, started_at = now(), worker_id = $1 WHERE id = (SELECT id FROM tasks WHERE state = ? ORDER BY priority DESC, id LIMIT ? FOR UPDATE SKIP LOCKED) RETURNING id, project_id", ("tasks",), 371, 1.1),
    ("1157000000000007", "select", "SELECT t.id, t.state, t.created_at, c.name FROM tasks t JOIN codes c ON c.id = t.code_id WHERE t.project_id = $1 ORDER BY t.created_at DESC LIMIT ?", ("tasks", "codes"), 322, 1.9),
    ("10c5000000000008", "select", "SELECT at, line FROM task_logs WHERE task_id = $1 ORDER BY at LIMIT ?", ("task_logs",), 214, 0.3),
    (CALLBACK, "select", "SELECT id, state, finished_at FROM tasks WHERE callback_id = $1", ("tasks",), 4, 96.0),
    (RELEASE, "update", "UPDATE tasks SET state = ?, started_at = NULL, worker_id = NULL WHERE worker_id = $1 AND state = ?", ("tasks",), 4, 118.0),
    (RELEASE_COUNTER, "update", "UPDATE project_counters SET released = released + ? WHERE project_id = $1", ("project_counters",), 4, 0.5),
    (COUNTED_ONLY, "delete", "DELETE FROM task_logs WHERE at < now() - interval ?", ("task_logs",), 1, 220.0),
)  # fmt: skip
_RARE = {CALLBACK, RELEASE, RELEASE_COUNTER, COUNTED_ONLY}
_UNITS = (  # templates of a transaction, calls in 20 s
    (("a07e000000000001",), 812),
    (("57a7000000000002",), 806),
    (("c0de000000000003", "e1ec000000000004", UPDATE_COUNTER), 377),
    (("5e5e000000000006",), 371),
    (("1157000000000007",), 322),
    (("10c5000000000008",), 214),
    ((CALLBACK,), 4),
    ((RELEASE_COUNTER, RELEASE), 4),
)
_MEAN_MS = {row[0]: row[5] for row in _TEMPLATES}


def workload() -> Workload:
    """Twenty seconds of a task queue's API, with rare paths, as capture would keep them."""
    templates = tuple(_template(*row) for row in _TEMPLATES)
    return Workload(
        manifest=Manifest(
            tool_version="0.1.0",
            format="jsonlog",
            inputs=("postgresql-14.json",),
            begin=BEGIN,
            end=BEGIN + timedelta(seconds=WINDOW_S),
            slice_s=1.0,
            seed=0,
            per_stratum=64,
            scrub={"words": "keyed tokens of the same length", "uuid": "keyed"},
            records=3704,
            executions=sum(t.calls for t in templates),
            transactions=sum(calls for _, calls in _UNITS),
            sessions=9,
            skipped=(Skip(reason="not JSON", count=2, first="postgresql-14.json:311"),),
            notes=("pg_stat_statements evicted 12 entries",),
            peak_concurrency=6,
            source=Source(
                server_version="18.1",
                database="shop",
                system_identifier="7300000000000000001",
                started="2026-03-01",
            ),
        ),
        templates=tuple(sorted(templates, key=lambda t: -t.calls)),
        transactions=tuple(_kept()),
    )


def write_workload(path: Path) -> Path:
    """The workload on disk; returns `path`."""
    bundle.write(path, workload(), None)
    return path


def _template(
    name: str, kind: str, sql: str, tables: tuple[str, ...], calls: int, mean_ms: float
) -> Template:
    logged = name != COUNTED_ONLY
    near, far = duration_bucket(int(mean_ms * 900)), duration_bucket(int(mean_ms * 3000))
    late = max(calls // 25, 0)
    return Template(
        id=name,
        sql=sql,
        kind=kind,
        tables=tables,
        calls=calls,
        errors=0,
        total_ms=round(calls * mean_ms, 3),
        histogram=((near, calls - late), *(((far, late),) if late else ())) if logged else (),
        first_seen=BEGIN + timedelta(seconds=1) if logged else None,
        last_seen=BEGIN + timedelta(seconds=19) if logged else None,
        kept=min(calls, 64) if logged else 0,
        rare=name in _RARE,
        source="both" if logged else "statements",
        query_ids=((-(2**62) + len(sql), calls),),
        rows=calls,
    )


def _kept() -> Iterator[Transaction]:
    number = 0
    for templates, calls in _UNITS:
        for _ in range(min(calls, 64)):
            statements = tuple(
                Statement(
                    template=name,
                    sql="SELECT $1",
                    slots="p",
                    values=(f"tok{number % 7}",),
                    prepared="",
                    offset_us=700 * ordinal,
                    duration_us=int(_MEAN_MS[name] * 1000),
                )
                for ordinal, name in enumerate(templates)
            )
            yield Transaction(
                id=number,
                session=f"s{number % 9}",
                start_us=number * 19_000,
                weight=calls / min(calls, 64),
                shape=f"{hash(len(templates)) & 0xFFFF:016x}",
                statements=statements,
            )
            number += 1


@dataclass(slots=True)
class Tables:
    """Rows of a run's tables while they are made."""

    attempts: list[dict[str, object]] = field(default_factory=list)
    samples: list[dict[str, object]] = field(default_factory=list)
    blocking: list[dict[str, object]] = field(default_factory=list)


def write_run(
    path: Path,
    source: Path,
    *,
    boost: float = 1.0,
    indexed: bool = False,
    duration_s: float = 10.0,
    pool: int = 20,
    **changes: object,
) -> Path:
    """A run of the workload on disk, with rare paths at `boost` times their rate; returns `path`.

    `changes` go into the manifest as they are.
    """
    tables = _play(boost, indexed=indexed, duration_s=duration_s, pool=pool)
    healthy = indexed or boost < 10
    manifest = RunManifest(
        tool_version="0.1.0",
        workload=source.name,
        workload_id=bundle.workload_id(source),
        scenario="mix" if boost == 1.0 else "storm",
        options={
            "rate": 1.0,
            "boosts": {} if boost == 1.0 else {"rare": boost},
            "objective_ms": 250.0,
        },
        seed=0,
        origin=datetime(2026, 3, 3, 9, 30, tzinfo=UTC),
        duration_s=duration_s,
        workers=1,
        pool=pool,
        server_version="18.1",
        server_settings={"shared_buffers": "32768"},
        boosted=() if boost == 1.0 else (CALLBACK, RELEASE, RELEASE_COUNTER),
        state="finished",
        accounting=_accounting(tables),
        valid=True,
        healthy=healthy,
        objective=_objective(tables),
        generator={"lag_p50_us": 41.0, "lag_p99_us": 212.0, "cpu_share": 0.11, "samples_missed": 0.0},
    )
    rundir.create(path, replace(manifest, **changes))
    rundir.write_table(path, "attempts", pa.Table.from_pylist(tables.attempts, rundir.ATTEMPTS))
    rundir.write_table(path, "samples", pa.Table.from_pylist(tables.samples, rundir.SAMPLES))
    rundir.write_table(path, "blocking", pa.Table.from_pylist(tables.blocking, rundir.BLOCKING))
    rundir.write_plans(path, {CALLBACK: {"sql": "SELECT 1", "plan": [], "how": "analyze"}})
    rundir.write_findings(path, () if healthy else findings())
    return path


def write_story(directory: Path) -> tuple[Path, list[Path]]:
    """A workload, and the runs of a demo: the broken storm first, with its proof."""
    source = write_workload(directory / "shop.workload")
    storm = write_run(directory / "storm-64.run", source, boost=64.0)
    fixed = write_run(directory / "storm-64-fixed.run", source, boost=64.0, indexed=True)
    again = write_run(directory / "storm-64-unfixed.run", source, boost=64.0)
    base = write_run(directory / "base.run", source)
    rundir.write_proof(storm, _proof(storm, fixed, again))
    return source, [storm, base, fixed, again]


def findings() -> tuple[Finding, ...]:
    """What diagnose would say of the storm."""
    executions = sum(row[4] for row in _TEMPLATES)
    texts = {row[0]: row[2] for row in _TEMPLATES}
    return (
        Finding(
            rule=5,
            name="missing index prolongs a lock hold",
            summary="UPDATE tasks by worker_id reads 1,200,000 rows to change 160 and holds a row of project_counters for 1.9 s (p95); 14 sessions waited behind it.",
            templates=(Culprit(id=RELEASE, sql=texts[RELEASE], share=4 / executions),),
            relations=("public.project_counters", "public.tasks"),
            blocked_s=61.2,
            queue_s=210.4,
            fixes=(
                Fix(
                    kind="index",
                    sql="CREATE INDEX CONCURRENTLY tasks_worker_id_state_idx ON public.tasks (worker_id, state)",
                    why="equality on worker_id and state keeps 160 of 1,200,000 rows",
                ),
            ),
            confidence=0.93,
            evidence={"rows_read_per_row_kept": 7500, "hold_p95_ms": 1912.0, "scan": "Seq Scan on tasks"},
        ),
        Finding(
            rule=19,
            name="demand saturation by a template",
            summary="SELECT tasks by callback_id takes 0.4 s of two cores a call; transactions waited 4.6 s (p95) for a pool slot.",
            templates=(Culprit(id=CALLBACK, sql=texts[CALLBACK], share=4 / executions),),
            relations=("public.tasks",),
            queue_s=188.0,
            fixes=(
                Fix(
                    kind="index",
                    sql="CREATE INDEX CONCURRENTLY tasks_callback_id_idx ON public.tasks (callback_id)",
                    why="equality on callback_id keeps 1 of 1,200,000 rows",
                ),
                Fix(kind="application", sql="", why="limit how many of these run at once"),
            ),
            confidence=0.88,
            evidence={"seconds_a_call": 0.41, "share_of_server_time": 0.71},
        ),
    )


def _proof(storm: Path, fixed: Path, again: Path) -> Proof:
    names = ("as it was", "with the fix", "without it again")
    steps = []
    for name, path in zip(names, (storm, fixed, again), strict=True):
        manifest = rundir.read_manifest(path)
        steps.append(
            ProofStep(
                name=name,
                run=path.name,
                healthy=manifest.healthy,
                valid=manifest.valid,
                figures=manifest.objective,
            )
        )
    fixes = [fix.sql for finding in findings() for fix in finding.fixes if fix.sql]
    return Proof(
        proven=True,
        why="fails, passes with the fix, fails without it",
        steps=tuple(steps),
        fixes=tuple(BuiltFix(sql=sql, build_s=1.31, bytes=9_428_992) for sql in fixes),
    )


def _play(boost: float, *, indexed: bool, duration_s: float, pool: int) -> Tables:
    """Arrivals through a pool of connections: first come, first served, given up after 5 s."""
    rng = random.Random(f"{boost} {indexed}")
    tables = Tables()
    free = [(0, slot) for slot in range(pool)]
    busy: list[tuple[int, int, str, int]] = []  # began, ended, template, pid
    for arrival, (due, unit) in enumerate(_arrivals(rng, boost, duration_s)):
        at, slot = heapq.heappop(free)
        if at > due + 5_000_000:
            heapq.heappush(free, (at, slot))
            _skip(tables, arrival, due, unit[0])
            continue
        began = max(at, due) + rng.randrange(20, 120)
        scans = sum(1 for _, end, name, _ in busy[-200:] if end > began and name in {CALLBACK, RELEASE})
        for ordinal, name in enumerate(unit):
            ended = began + _cost_us(rng, name, scans, indexed=indexed)
            lag = rng.randrange(20, 120) if ordinal == 0 else 0
            tables.attempts.append(
                {
                    **{"arrival": arrival, "ordinal": ordinal, "template": name, "session": slot},
                    **{"worker": 0, "pid": 4000 + slot, "due_us": due, "began_us": began},
                    **{"ended_us": ended, "lag_us": lag, "outcome": outcome.OK, "rows": 1},
                }
            )
            busy.append((began, ended, name, 4000 + slot))
            due = began = ended + 150
        heapq.heappush(free, (ended, slot))
    _sample(tables, rng, busy, duration_s, held=boost > 10 and not indexed)
    return tables


def _arrivals(
    rng: random.Random, boost: float, duration_s: float
) -> list[tuple[int, tuple[str, ...]]]:
    found = []
    for unit, calls in _UNITS:
        rate = calls / WINDOW_S * (boost if set(unit) & _RARE else 1.0)
        at = 0.0
        while (at := at + rng.expovariate(rate)) < duration_s:
            found.append((int(at * 1e6), unit))
    return sorted(found)


def _cost_us(rng: random.Random, name: str, scans: int, *, indexed: bool) -> int:
    mean = 0.6 if indexed and name in {CALLBACK, RELEASE} else _MEAN_MS[name] * (1 + scans / 2)
    waits = rng.random() * 260 * scans if name == UPDATE_COUNTER and scans > 3 else 0.0
    return int((mean * rng.lognormvariate(0, 0.35) + waits) * 1000) + 40


def _skip(tables: Tables, arrival: int, due: int, template: str) -> None:
    tables.attempts.append(
        {
            **{"arrival": arrival, "ordinal": 0, "template": template, "session": -1},
            **{"worker": 0, "pid": 0, "due_us": due, "began_us": -1},
            **{"ended_us": due + 5_000_000, "lag_us": 0},
            **{"outcome": outcome.SKIPPED_POOL, "rows": -1},
        }
    )


def _sample(
    tables: Tables,
    rng: random.Random,
    busy: list[tuple[int, int, str, int]],
    duration_s: float,
    *,
    held: bool,
) -> None:
    for at in range(0, int(duration_s * 1e6), 100_000):
        now = [row for row in busy if row[0] <= at < row[1]]
        holders = [row for row in now if row[2] == RELEASE]
        waiters = [row for row in now if row[2] == UPDATE_COUNTER] if held and holders else []
        for began, _, name, pid in now:
            kind, wait = _wait(rng, name, waiting=any(pid == row[3] for row in waiters))
            tables.samples.append(
                {
                    **{"at_us": at, "pid": pid, "state": "active", "wait_type": kind, "wait": wait},
                    **{"template": name, "transaction_age_us": at - began},
                    **{"query_age_us": at - began},
                }
            )
        for place, (began, _, name, pid) in enumerate(waiters):
            # The first waits for the holder's transaction, the next for the row's queue.
            ahead = holders[0] if place == 0 else waiters[0]
            tables.blocking.append(
                {
                    **{"at_us": at, "waiter": pid, "blocker": ahead[3], "waiter_template": name},
                    **{"blocker_template": ahead[2], "blocker_state": "active"},
                    **{"lock_type": "tuple" if place else "transactionid"},
                    **{"mode": "ExclusiveLock" if place else "ShareLock"},
                    **{"relation": "public.project_counters", "wait_us": at - began},
                }
            )


def _wait(rng: random.Random, name: str, *, waiting: bool) -> tuple[str, str]:
    if waiting:
        return "Lock", "transactionid" if rng.random() < 0.6 else "tuple"
    if name in _RARE and rng.random() < 0.3:
        return "IO", "DataFileRead"
    if name in _RARE and rng.random() < 0.08:
        return "LWLock", "BufferMapping"
    return "", ""


def _accounting(tables: Tables) -> Accounting:
    planned = len({row["arrival"] for row in tables.attempts})
    skipped = sum(1 for row in tables.attempts if row["began_us"] == -1)
    started = planned - skipped
    return Accounting(
        planned=planned, started=started, skipped=skipped, ok=started, failed=0, cancelled=0
    )


def _objective(tables: Tables) -> Mapping[str, float]:
    first = [row for row in tables.attempts if row["ordinal"] == 0]
    waits = sorted((int(str(r["ended_us"])) - int(str(r["due_us"]))) / 1e3 for r in first)
    accounting = _accounting(tables)
    return {
        "objective_ms": 250.0,
        "p50_ms": waits[len(waits) // 2],
        "p95_ms": waits[int(len(waits) * 0.95)],
        "p99_ms": waits[int(len(waits) * 0.99)],
        "pool_wait_p95_ms": max(waits[int(len(waits) * 0.95)] - 2, 0),
        "not_ok_share": accounting.skipped / accounting.planned,
    }
