"""A run whose command was killed, or whose disk was full: what its workers recorded is brought in."""

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

from replay import rundir
from replay.conduct.beside import sweep
from replay.load import launch
from replay.load.report import FAILED
from replay.load.transactions import transactions
from replay.load.verdict import judge

_KILLED = (
    "the command was killed before it was done: plans, findings and what was to be seen of the "
    "server are missing"
)


def salvage(run: Path) -> bool:
    """Make a killed run whole as far as it goes; False where there is nothing to do.

    Nothing is done either while it still runs. What a killed command left beside it is removed.
    Raises InputError where the directory is no run, and EnvironmentFaultError where there is no
    room for its attempts.
    """
    sweep(run)
    manifest = rundir.read_manifest(run)
    load = rundir.load_directory(run)
    if not load.is_dir():
        return False
    report = launch.salvage(load, run, manifest.duration_s)
    if report is None:
        return False
    judged = judge(
        transactions(rundir.read_blocks(run, "attempts"), len(report.shape_of), run),
        planned=report.planned,
        report=report,
        objective_ms=float(str(manifest.options.get("objective_ms", 0.0))),
        boosted=manifest.boosted,
    )
    missing = (*(manifest.missing or (_KILLED,)), *report.missing)
    why_not = (f"the run was {FAILED}", *missing, *judged.why_not)
    rundir.write_manifest(
        run,
        replace(
            manifest,
            state=FAILED,
            missing=missing,
            accounting=judged.accounting,
            valid=False,
            why_not=tuple(dict.fromkeys(why_not)),
            healthy=judged.healthy,
            objective=judged.objective,
            generator=judged.generator,
        ),
    )
    discard(run)
    return True


def discard(run: Path) -> None:
    """Remove what stood there of the load while it ran."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(rundir.load_directory(run))
