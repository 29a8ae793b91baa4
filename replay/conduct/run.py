"""One replay: bake the load, drive it, watch the server, judge the run, say what did it."""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns
from typing import Any

import psycopg
import pyarrow.compute as pc

from replay import __version__, bundle, replayed, rundir, target
from replay.conduct.bake import Baked, RunOptions, bake, settled
from replay.conduct.beside import beside
from replay.conduct.drive import Driven, drive
from replay.conduct.during import Script, read_script
from replay.conduct.impact import measure
from replay.conduct.prepare import STAGING, private_staging
from replay.conduct.salvage import discard
from replay.diagnose import diagnose
from replay.diagnose.gathering import gather
from replay.errors import InputError
from replay.load import ramp
from replay.load.launch import began
from replay.load.options import ASIDE_POOL
from replay.load.report import FAILED, INTERRUPTED
from replay.load.verdict import judge
from replay.migration import Migration
from replay.rundir import RunManifest
from replay.watch import plans

log = logging.getLogger(__name__)

_EXPLAINED_AT_MOST = 40  # templates, those that took the most time first
_ESTIMATED_AT_MOST = 200  # templates whose plan is also asked for before the run, unexecuted
Progress = Callable[[str], contextlib.AbstractContextManager[Callable[[int, int], None]]]
"""Shows how far something is while a block runs, told by (done, of how many)."""
_SETTINGS = (
    "shared_buffers",
    "max_connections",
    "work_mem",
    "random_page_cost",
    "deadlock_timeout",
    "autovacuum",
)


@contextlib.contextmanager
def _untold(_what: str) -> Iterator[Callable[[int, int], None]]:
    """The progress of what nobody looks at."""
    yield lambda _done, _total: None


def run(
    workload_path: Path,
    dsn: str | None,
    out: Path,
    options: RunOptions,
    *,
    say: Callable[[str], None] = log.info,
    progress: Progress = _untold,
) -> RunManifest:
    """Replay a workload against a marked target and leave a run directory; returns its manifest.

    Without a `dsn` a private server is started, filled from the workload, and stopped afterwards.
    `progress` shows how far the planning is.
    Raises RefusedError before anything is sent where the target is not proven to be staging, and
    InputError where its data was not generated from this workload. A run that is stopped, or whose
    server is lost, leaves a readable directory that says what is missing; KeyboardInterrupt goes
    on to the caller after that.
    """
    options = settled(options, workload_path)
    options.check()
    rundir.require_writable(out)
    script = read_script(options.during) if options.during is not None else None
    if dsn is None:
        with private_staging(workload_path, seed=options.seed, say=say) as private:
            return run(
                workload_path, private.dsn(STAGING), out, options, say=say, progress=progress
            )
    source = bundle.read_manifest(workload_path).source
    with (
        target.connect_target(dsn, source=source) as connection,
        beside(out) as baking,
    ):
        with progress("planning") as tell:
            baked = bake(workload_path, connection, baking, options, tell=tell)
        manifest = _begin(workload_path, connection, out, options, baked)
        load = baking.rename(rundir.load_directory(out))
        say(f"{baked.planned.transactions} transactions in {options.duration_s:g} s")
        chosen = list(dict.fromkeys([*baked.boosted, *baked.examples]))[:_ESTIMATED_AT_MOST]
        planned = plans.estimates(
            connection, [(name, *baked.examples[name]) for name in chosen if name in baked.examples]
        )
        with _told_in(out, manifest):
            behind = bundle.read(workload_path).templates if options.service else ()
            aside_pool = min(options.connections or ASIDE_POOL, ASIDE_POOL) if baked.aside else 0
            driven = drive(connection, dsn, load, out, options, script, behind, aside_pool)
            manifest = _conclude(out, manifest, driven, options, baked)
            discard(out)
            if script is not None:
                rundir.write_migration(out, _measured(out, script, driven, options))
        if manifest.state == INTERRUPTED:
            raise KeyboardInterrupt
        try:
            _explain(connection, out, baked, planned)
        except psycopg.OperationalError as error:
            log.warning("no plans were taken: %s", error)
    return _name_causes(out, workload_path, manifest)


@contextlib.contextmanager
def _told_in(out: Path, manifest: RunManifest) -> Iterator[None]:
    """Where the block fails, the run directory says so, as far as it can still be written."""
    try:
        yield
    except BaseException as error:
        reason = f"the run failed: {type(error).__name__}: {error}"
        if not began(rundir.load_directory(out)):
            discard(out)
        with contextlib.suppress(OSError):
            rundir.write_manifest(out, replace(manifest, state=FAILED, missing=(reason,)))
        raise


def _begin(
    workload_path: Path,
    connection: psycopg.Connection,
    out: Path,
    options: RunOptions,
    baked: Baked,
) -> RunManifest:
    here = target.identity(connection)
    settings = connection.execute(
        "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(_SETTINGS),)
    ).fetchall()
    manifest = RunManifest(
        tool_version=__version__,
        workload=workload_path.name,
        workload_id=bundle.workload_id(workload_path),
        scenario=options.scenario,
        options={
            **asdict(options),
            "during": options.during.name if options.during is not None else None,
            "log": str(options.log or ""),
            "bindings": dict(baked.bindings),
            "left_out": dict(baked.planned.left_out),
            "requests": dict(baked.requests),
        },
        seed=options.seed,
        origin=datetime.now(UTC),
        duration_s=options.duration_s,
        workers=options.workers,
        pool=options.connections,
        server_version=here.server_version,
        server_settings=dict(settings),
        boosted=baked.boosted,
    )
    rundir.create(out, manifest)
    return manifest


def _measured(out: Path, script: Script, driven: Driven, options: RunOptions) -> Migration:
    return measure(
        script,
        driven.migration,
        t0_ns=driven.report.t0_ns,
        at_s=options.migration_at_s,
        repeat=options.repeat,
        blocking=rundir.read_table(out, "blocking"),
        attempts=partial(rundir.read_blocks, out, "attempts"),
        done=driven.done,
        expected=driven.report.expected,
        objective_ms=options.objective_ms,
        duration_s=options.duration_s,
    )


def _conclude(
    out: Path,
    manifest: RunManifest,
    driven: Driven,
    options: RunOptions,
    baked: Baked,
) -> RunManifest:
    report = driven.report
    borne_us = None
    if baked.steps:
        found = ramp.driven(baked.steps, driven.done, report.expected)
        rundir.write_capacity(out, found)
        borne_us = ramp.borne_us(baked.steps, found)
    verdict = judge(
        driven.done,
        planned=report.planned if baked.steps else baked.planned.transactions,
        report=report,
        objective_ms=options.objective_ms,
        boosted=baked.boosted,
        until_us=borne_us,
        left_out=baked.planned.left_out,
        left_out_of=baked.planned.transactions,  # of a ramp, its steps that were not driven, too
    )
    since_origin = timedelta(
        microseconds=(clock_gettime_ns(CLOCK_MONOTONIC) - report.t0_ns) // 1000
    )
    concluded = replace(
        manifest,
        origin=datetime.now(UTC) - since_origin,
        state=report.state,
        missing=report.missing,
        accounting=verdict.accounting,
        valid=verdict.valid,
        why_not=verdict.why_not,
        healthy=verdict.healthy,
        objective=verdict.objective,
        generator={**verdict.generator, "samples_missed": driven.missed},
    )
    rundir.write_manifest(out, concluded)
    return concluded


def _explain(
    connection: psycopg.Connection,
    out: Path,
    baked: Baked,
    before: Mapping[str, Any],
) -> None:
    """Plans of what took the time: the slowest templates in sum, and every boosted one.

    Of what a service ran, those that took the time in production, and the rare ones.

    Each stands beside the one that was chosen `before` the run.
    """
    slowest = [name for name, _ in _spent_us(out).most_common(_EXPLAINED_AT_MOST)]
    chosen = [name for name in dict.fromkeys([*baked.boosted, *slowest]) if name in baked.examples]
    chosen = chosen or list(baked.examples)[:_EXPLAINED_AT_MOST]  # behind a service nobody knows
    taken = plans.explain(connection, [(name, *baked.examples[name]) for name in chosen])
    rundir.write_plans(
        out, {name: {**entry, "before": before.get(name)} for name, entry in taken.items()}
    )


def _spent_us(out: Path) -> Counter[str]:
    """By template, how long its statements took, all together."""
    found: Counter[str] = Counter()
    for block in rundir.read_blocks(out, "attempts"):
        spent = pc.subtract(block["ended_us"], block["began_us"])
        sent = block.append_column("spent", spent).filter(pc.greater_equal(block["began_us"], 0))
        sums = sent.group_by("template").aggregate([("spent", "sum")])
        found.update(
            dict(zip(sums["template"].to_pylist(), sums["spent_sum"].to_pylist(), strict=True))
        )
    return found


def _name_causes(out: Path, workload_path: Path, manifest: RunManifest) -> RunManifest:
    try:
        profile = bundle.read_profile(workload_path)
    except InputError:
        profile = None  # a restored copy is replayed without a profile
    evidence = gather(
        out,
        replayed.read(workload_path, service=bool(manifest.options.get("service"))),
        profile,
    )
    rundir.write_findings(out, diagnose(evidence))
    return manifest
