"""Hand-made directories for tests of report and command line: a workload, and runs that tell a story."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from made_incident import (
    CALLBACK,
    COUNTED_ONLY,
    MEAN_MS,
    RARE,
    RELEASE,
    RELEASE_COUNTER,
    TEMPLATES,
    UNITS,
    WINDOW_S,
)
from made_storm import Storm, play

from replay import bundle, rundir
from replay.finding import BuiltFix, Culprit, Finding, Fix, Proof, ProofStep
from replay.outcome import Accounting
from replay.rundir import RunManifest
from replay.workload import (
    Counters,
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


def workload() -> Workload:
    """Twenty seconds of a task queue's API, with rare paths, as capture would keep them."""
    templates = tuple(_template(*row) for row in TEMPLATES)
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
            transactions=sum(calls for _, calls in UNITS),
            sessions=9,
            skipped=(Skip(reason="not JSON", count=2, first="postgresql-14.json:311"),),
            notes=("pg_stat_statements evicted 12 entries",),
            peak_concurrency=6,
            source=Source(
                server_version="18.1",
                database="shop",
                system_identifier="7300000000000000001",
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
        rare=name in RARE,
        source="both" if logged else "statements",
        query_ids=((-(2**62) + len(sql), calls),),
        counted=Counters(
            calls=calls, total_ms=round(calls * mean_ms, 3), rows=calls, shared_hit=calls * 4
        ),
    )


def _kept() -> Iterator[Transaction]:
    number = 0
    for templates, calls in UNITS:
        for _ in range(min(calls, 64)):
            statements = tuple(
                Statement(
                    template=name,
                    sql="SELECT $1",
                    slots="p",
                    values=(f"tok{number % 7}",),
                    prepared="",
                    offset_us=700 * ordinal,
                    duration_us=int(MEAN_MS[name] * 1000),
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
    storm = play(boost, indexed=indexed, duration_s=duration_s, pool=pool)
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
        accounting=_accounting(storm),
        valid=True,
        healthy=healthy,
        objective=_objective(storm),
        generator={
            "lag_p50_us": 41.0,
            "lag_p99_us": 212.0,
            "cpu_share": 0.11,
            "samples_missed": 0.0,
        },
    )
    rundir.create(path, replace(manifest, **changes))
    for name in ("attempts", "samples", "blocking"):
        rundir.write_table(path, name, storm.table(name))
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
    executions = sum(row[4] for row in TEMPLATES)
    texts = {row[0]: row[2] for row in TEMPLATES}
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
            evidence={
                "rows_read_per_row_kept": 7500,
                "hold_p95_ms": 1912.0,
                "scan": "Seq Scan on tasks",
            },
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


def _accounting(storm: Storm) -> Accounting:
    planned = len({row[0] for row in storm.attempts})
    skipped = sum(1 for row in storm.attempts if row[7] == -1)
    started = planned - skipped
    return Accounting(
        planned=planned, started=started, skipped=skipped, ok=started, failed=0, cancelled=0
    )


def _objective(storm: Storm) -> Mapping[str, float]:
    waits = sorted((row[8] - row[6]) / 1e3 for row in storm.attempts if row[1] == 0)
    accounting = _accounting(storm)
    p50, p95, p99 = (waits[int(len(waits) * share)] for share in (0.5, 0.95, 0.99))
    return {
        "objective_ms": 250.0,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "pool_wait_p95_ms": max(p95 - 2, 0),
        "not_ok_share": accounting.skipped / accounting.planned,
    }
