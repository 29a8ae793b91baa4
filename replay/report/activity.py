"""What sessions were at, production's beside staging's: by wait, so many on average."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from replay import rundir
from replay.report import waits
from replay.report.columns import ints, names
from replay.report.tables import figures_table
from replay.rundir import RunManifest
from replay.workload import Workload

_SHOWN = 12
_LEAST = 0.005  # sessions on average, on either side


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One thing that sessions were at."""

    name: str  # "on CPU", "Lock: transactionid", "idle in transaction"
    production: float  # sessions on average, at a moment
    staging: float


def beside(run: Path, manifest: RunManifest, workload: Workload | None) -> tuple[Beside, ...]:
    """Both sides, the most of either first; empty where production's activity was not captured."""
    if workload is None or not workload.activity:
        return ()
    here, there = _staging(run, manifest), _production(workload)
    ranked = sorted({*here, *there}, key=lambda name: (-max(here[name], there[name]), name))
    return tuple(
        Beside(name=name, production=round(there[name], 3), staging=round(here[name], 3))
        for name in ranked[:_SHOWN]
        if max(here[name], there[name]) >= _LEAST
    )


def table(rows: Sequence[Beside]) -> Table:
    """For people."""
    shown = figures_table("", "production", "staging")
    for row in rows:
        shown.add_row(row.name, f"{row.production:,.2f}", f"{row.staging:,.2f}")
    return shown


def _production(workload: Workload) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for one in workload.activity:
        found[waits.label(one.state, one.wait_type, one.wait)] += one.sessions
    return found


def _staging(run: Path, manifest: RunManifest) -> dict[str, float]:
    sampled = rundir.read_table(run, "samples")
    found: dict[str, float] = defaultdict(float)
    if not sampled.num_rows:
        return found
    at_us = ints(sampled, "at_us")
    spans = waits.spans_us(at_us)
    rows = zip(
        at_us.tolist(),
        names(sampled, "state").text(),
        names(sampled, "wait_type").text(),
        names(sampled, "wait").text(),
        strict=True,
    )
    for at, state, wait_type, wait in rows:
        share = spans[at] / 1e6 / manifest.duration_s
        found[waits.label(state, wait_type, wait)] += share
    return found
