"""Gathers the evidence of a run, once, from its directory and its workload."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_gen.profile import SchemaProfile
from replay import rundir
from replay.diagnose import (
    blocking,
    bursts,
    deadlocks,
    failures,
    inferred,
    queue,
    scans,
    served,
    sessions,
    trends,
)
from replay.diagnose.attempts import Ints
from replay.diagnose.evidence import Evidence
from replay.diagnose.scans import PlanFigures
from replay.diagnose.stored import stored
from replay.diagnose.templates import by_second, by_template
from replay.diagnose.timeline import Timeline
from replay.migration import Migration
from replay.rundir import RunManifest
from replay.sql.resolve import ColumnUse, predicates
from replay.workload import Workload

_OBJECTIVE_MS = 250.0  # where the run does not say what it was judged by
_PERIOD_S = 0.1  # where fewer than two samples tell
_LONG_SHARE = 0.2  # of the run: a transaction that was open for so much of it is long
# Advisory locks that outlive their transaction (manual, 9.28.10).
_SESSION_LOCK = re.compile(r"\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(", re.IGNORECASE)
_COMMENTS = re.compile(r"\A(?:\s|/\*.*?\*/|--[^\n]*\n)+", re.DOTALL)


def gather(run: Path, workload: Workload, profile: SchemaProfile | None) -> Evidence:
    """Read a run directory; raises InputError where it is none. Tables that it lacks are empty."""
    manifest = rundir.read_manifest(run)
    attempts = stored(lambda: rundir.read_blocks(run, "attempts"))
    samples = rundir.read_table(run, "samples")
    edges = rundir.read_table(run, "blocking")
    moments = _moments(samples, edges, manifest)
    period_s = _period_s(moments)
    migration = rundir.read_migration(run)
    through_service = bool(manifest.options.get("service"))
    who = _naming(workload, migration)
    targets = _targets(workload, profile)
    locklog = rundir.read_table(run, "locklog")
    # What ran on the server's sessions: of a service's, as far as it was seen.
    ran = inferred.statements(samples, who, period_s) if through_service else attempts
    blocked = blocking.analyse(
        edges,
        ran,
        targets,
        period_s,
        who=who,
        session_locks={t.id for t in workload.templates if _SESSION_LOCK.search(t.sql)},
        told=_rows_told(locklog),
    )
    plans = {
        template: found
        for template, entry in rundir.read_plans(run).items()
        if (found := scans.figures(entry, profile)) is not None
    }
    objective_ms = manifest.objective.get("objective_ms", _OBJECTIVE_MS)
    series = by_second(attempts)
    counters = rundir.read_table(run, "counters")
    figures = by_template(attempts, workload, plans, objective_ms)
    if through_service:
        waited = served.charge(attempts, ran, moments, blocked.behind)
        seen = by_template(ran, workload, plans, objective_ms)
        figures = served.figures(figures, seen, waited, attempts)
    else:
        waited = queue.charge(attempts, moments, blocked.behind)
    return Evidence(
        run=manifest,
        attempts=attempts,
        templates=figures,
        series=series,
        queue=waited,
        blocking=blocked,
        failures=failures.find(attempts, workload, manifest.boosted),
        sessions=sessions.read(samples, period_s, who, least_s=_LONG_SHARE * manifest.duration_s),
        # Samples do not tell how a statement's time changes: the quick ones are not seen.
        trends={} if through_service else trends.trends(attempts, blocked.waiting),
        deadlocks=deadlocks.find(ran, locklog, Timeline(ran, {}), who),
        in_production=workload.conflicts,
        activity=workload.activity,
        bursts=bursts.find(series, objective_ms),
        targets=targets,
        changed=_by_object(counters, pc.subtract(counters["after"], counters["before"])),
        after=_by_object(counters, counters["after"]),
        plans=plans,
        columns=_columns(plans, workload, profile),
        profile=profile,
        migration=migration,
        paused=served.paused(workload.transactions) if through_service else frozenset(),
        routes_seen=served.routes(samples, workload.templates) if through_service else {},
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


def _naming(workload: Workload, migration: Migration | None) -> Callable[[str, str], str]:
    """How a session is named: by a template that is known, else by its own text."""
    known = {template.id for template in workload.templates}
    if migration is not None:
        known |= {statement.template for statement in migration.statements}

    def who(template: str, text: str) -> str:
        if template in known or not text:
            return template
        return _COMMENTS.sub("", text)

    return who


def _rows_told(locklog: pa.Table) -> dict[int, list[tuple[int, str]]]:
    """Session -> when the server's log told that it waited for a row, and which."""
    found: dict[int, list[tuple[int, str]]] = {}
    for row in locklog.to_pylist():
        if row["kind"] == "waiting" and row["key"]:
            found.setdefault(row["pid"], []).append((row["at_us"], row["key"]))
    return found


def _by_object(
    counters: pa.Table, values: pa.ChunkedArray
) -> dict[tuple[str, str], dict[str, float]]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    names: Iterable[tuple[str, str, str]] = zip(
        *(counters[name].to_pylist() for name in ("kind", "name", "figure")), strict=True
    )
    for (kind, name, figure), value in zip(names, values.to_pylist(), strict=True):
        found.setdefault((kind, name), {})[figure] = value
    return found


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
