"""All that a rule may see of a run, frozen: gathered once, from the run and its workload."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_gen.profile import SchemaProfile
from replay import rundir
from replay.diagnose import blocking, failures, queue, scans
from replay.diagnose.attempts import Ints, from_table
from replay.diagnose.blocking import Blocking
from replay.diagnose.failures import Failures
from replay.diagnose.queue import Queue
from replay.diagnose.scans import PlanFigures
from replay.diagnose.templates import Second, TemplateFigures, by_second, by_template
from replay.finding import Culprit
from replay.migration import Migration
from replay.rundir import RunManifest
from replay.sql.resolve import ColumnUse, predicates
from replay.workload import Workload

_OBJECTIVE_MS = 250.0  # where the run does not say what it was judged by
_PERIOD_S = 0.1  # where fewer than two samples tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run as the rules see it; times relative to its origin."""

    run: RunManifest
    templates: Mapping[str, TemplateFigures]  # of the workload and of the run, by id
    series: tuple[Second, ...]
    queue: Queue
    blocking: Blocking
    failures: Failures
    waits: Mapping[str, float]  # "Lock: tuple", "on CPU" … -> sessions on average
    changed: Mapping[tuple[str, str], Mapping[str, float]]  # (kind, name) -> figure -> growth
    plans: Mapping[str, PlanFigures]  # by template
    columns: Mapping[str, tuple[ColumnUse, ...]]  # by template whose plan is wasteful
    profile: SchemaProfile | None
    migration: Migration | None = None  # that ran in the middle of the load

    @property
    def blocked_s(self) -> float:
        """Seconds that sessions waited on locks, all together."""
        return sum(episode.blocked_s for episode in self.blocking.episodes)

    def material(self, seconds: float) -> bool:
        """Whether so many blocked and queue-seconds are worth a finding in this run."""
        return seconds >= max(0.5, 0.05 * (self.blocked_s + self.queue.total_s))

    def culprit(self, template: str) -> Culprit:
        """The template as a finding names it."""
        known = self.templates.get(template)
        if known is None and self.migration is not None:
            for statement in self.migration.statements:
                if statement.template == template:
                    return Culprit(id=template, sql=statement.sql, share=0.0)
        return Culprit(
            id=template, sql=known.sql if known else "", share=known.share if known else 0.0
        )


def gather(run: Path, workload: Workload, profile: SchemaProfile | None) -> Evidence:
    """Read a run directory; raises InputError where it is none. Tables that it lacks are empty."""
    manifest = rundir.read_manifest(run)
    attempts = from_table(rundir.read_table(run, "attempts"))
    samples = rundir.read_table(run, "samples")
    edges = rundir.read_table(run, "blocking")
    moments = _moments(samples, edges, manifest)
    blocked = blocking.analyse(edges, attempts, _targets(workload, profile), _period_s(moments))
    plans = {
        template: found
        for template, entry in rundir.read_plans(run).items()
        if (found := scans.figures(entry, profile)) is not None
    }
    objective_ms = manifest.objective.get("objective_ms", _OBJECTIVE_MS)
    return Evidence(
        run=manifest,
        templates=by_template(attempts, workload, plans, objective_ms),
        series=by_second(attempts),
        queue=queue.charge(attempts, moments, blocked.behind),
        blocking=blocked,
        failures=failures.find(attempts, workload, manifest.boosted),
        waits=_waits(samples),
        changed=_changed(rundir.read_table(run, "counters")),
        plans=plans,
        columns=_columns(plans, workload, profile),
        profile=profile,
        migration=rundir.read_migration(run),
    )


def _moments(samples: pa.Table, edges: pa.Table, manifest: RunManifest) -> Ints:
    """When the server was looked at; an even grid where it never was."""
    seen = np.unique(np.concatenate([table["at_us"].to_numpy() for table in (samples, edges)]))
    if len(seen):
        return np.asarray(seen, dtype=np.int64)
    return np.arange(0, int(manifest.duration_s * 1e6), int(_PERIOD_S * 1e6), dtype=np.int64)


def _period_s(moments: Ints) -> float:
    return float(np.median(np.diff(moments))) / 1e6 if len(moments) > 1 else _PERIOD_S


def _targets(workload: Workload, profile: SchemaProfile | None) -> dict[str, str]:
    """Template -> the first relation that it names: what an UPDATE or DELETE works on."""
    targets = {}
    for template in workload.templates:
        for name in template.tables[:1]:
            table = profile.table(name) if profile else None
            targets[template.id] = table.qualified if table else name
    return targets


def _waits(samples: pa.Table) -> dict[str, float]:
    looks = max(len(samples["at_us"].unique()), 1)
    counted = Counter(
        _state(*row)
        for row in zip(
            *(samples[name].to_pylist() for name in ("state", "wait_type", "wait")), strict=True
        )
    )
    return {name: round(number / looks, 3) for name, number in counted.most_common()}


def _state(state: str, wait_type: str, wait: str) -> str:
    if state != "active":
        return state
    return f"{wait_type}: {wait}" if wait_type else "on CPU"


def _changed(counters: pa.Table) -> dict[tuple[str, str], dict[str, float]]:
    growth = pc.subtract(counters["after"], counters["before"]).to_pylist()
    changed: dict[tuple[str, str], dict[str, float]] = {}
    names: Iterable[tuple[str, str, str]] = zip(
        *(counters[name].to_pylist() for name in ("kind", "name", "figure")), strict=True
    )
    for (kind, name, figure), grown in zip(names, growth, strict=True):
        changed.setdefault((kind, name), {})[figure] = grown
    return changed


def _columns(
    plans: Mapping[str, PlanFigures], workload: Workload, profile: SchemaProfile | None
) -> dict[str, tuple[ColumnUse, ...]]:
    """By which columns do the wasteful templates look: from a statement that can be parsed."""
    if profile is None:
        return {}
    whole: dict[str, Any] = {}
    for transaction in workload.transactions:
        for statement in transaction.statements:
            whole.setdefault(statement.template, statement.sql)
    return {
        template: predicates(whole.get(template, found.sql), profile)
        for template, found in plans.items()
        if found.wasteful
    }
