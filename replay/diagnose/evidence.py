"""All that a rule may see of a run, frozen: gathered once, from the run and its workload."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
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
from replay.diagnose.attempts import Attempts, Ints, from_blocks
from replay.diagnose.blocking import Blocking
from replay.diagnose.bursts import Burst
from replay.diagnose.deadlocks import Deadlocks
from replay.diagnose.failures import Failures
from replay.diagnose.queue import Queue
from replay.diagnose.scans import PlanFigures
from replay.diagnose.sessions import Sessions
from replay.diagnose.templates import Second, TemplateFigures, by_second, by_template
from replay.diagnose.timeline import Timeline
from replay.diagnose.trends import Trend
from replay.finding import Culprit
from replay.migration import Migration
from replay.requests import REQUEST
from replay.rundir import RunManifest
from replay.sql.fingerprint import fingerprint
from replay.sql.resolve import ColumnUse, predicates
from replay.workload import Activity, Conflict, Workload

_OBJECTIVE_MS = 250.0  # where the run does not say what it was judged by
_PERIOD_S = 0.1  # where fewer than two samples tell
_STALL_MS = 1000.0
_LEAST_S = 0.5  # blocked, queue or slowed seconds that are worth a finding …
_LEAST_HEALTHY_S = 1.0  # … and in a run that held its objective
_LEAST_SHARE = 0.05  # of all blocked and queue-seconds
_ID = re.compile(r"[0-9a-f]{16}")
_LONG_SHARE = 0.2  # of the run: a transaction that was open for so much of it is long
# Advisory locks that outlive their transaction (manual, 9.28.10).
_SESSION_LOCK = re.compile(r"\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(", re.IGNORECASE)
_COMMENTS = re.compile(r"\A(?:\s|/\*.*?\*/|--[^\n]*\n)+", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A run as the rules see it; times relative to its origin.

    Sessions of the replay, and of a service that requests were sent to, are known by the template that
    they run; others, such as a migration's, by the beginning of their text.
    """

    run: RunManifest
    attempts: Attempts  # of a run through a service: requests
    templates: Mapping[str, TemplateFigures]  # of the workload and of the run, by id
    series: tuple[Second, ...]
    queue: Queue
    blocking: Blocking
    failures: Failures
    sessions: Sessions
    trends: Mapping[str, Trend]  # by template
    deadlocks: tuple[Deadlocks, ...]
    in_production: tuple[Conflict, ...]  # production's own evidence of contention
    activity: tuple[Activity, ...]  # what production's sessions were at, where somebody looked
    bursts: tuple[Burst, ...]  # bad seconds in a run whose averages may be normal
    targets: Mapping[str, str]  # template -> the relation that it works on
    changed: Mapping[tuple[str, str], Mapping[str, float]]  # (kind, name) -> figure -> growth
    after: Mapping[tuple[str, str], Mapping[str, float]]  # the same at the end
    plans: Mapping[str, PlanFigures]  # by template
    columns: Mapping[str, tuple[ColumnUse, ...]]  # by template whose plan is wasteful
    profile: SchemaProfile | None
    migration: Migration | None = None  # that ran in the middle of the load
    # Template -> routes that its comments named in this run, most first.
    routes_seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Of a run through a service: templates of transactions in which production's client paused, too.
    paused: frozenset[str] = frozenset()

    @property
    def through_service(self) -> bool:
        """Whether requests were sent to a service, and statements are its own."""
        return bool(self.run.options.get("service"))

    @property
    def blocked_s(self) -> float:
        """Seconds that sessions waited on locks, all together."""
        return sum(episode.blocked_s for episode in self.blocking.episodes)

    @property
    def suspect(self) -> bool:
        """Whether there is anything to explain: the run broke, or some seconds of it did.

        A deadlock that production did not have, or a wait of over a second for a lock, needs no
        average.
        """
        return (
            not self.run.healthy
            or bool(self.bursts)
            or any(state == deadlocks.SQLSTATE for _, state in self.failures.counts)
            or any(episode.longest_ms >= _STALL_MS for episode in self.blocking.episodes)
        )

    def material(self, seconds: float) -> bool:
        """Whether so many blocked, queue or slowed seconds are worth a finding in this run."""
        least = _LEAST_HEALTHY_S if self.run.healthy else _LEAST_S
        return seconds >= max(least, _LEAST_SHARE * (self.blocked_s + self.queue.total_s))

    def sql(self, who: str) -> str:
        """Text of a template, or the session's own text where it is none of the workload's."""
        known = self.templates.get(who)
        if known is not None and known.sql:
            return known.sql
        steps = self.migration.statements if self.migration is not None else ()
        return next((step.sql for step in steps if step.template == who), who)

    def routes(self, who: str) -> tuple[str, ...]:
        """Routes of the service that run a template; of one that is a route, itself."""
        known = self.templates.get(who)
        if known is None:
            return self.routes_seen.get(who, ())
        return (known.sql,) if known.kind == REQUEST else self.routes_seen.get(who, known.routes)

    def routes_known(self, who: str) -> str:
        """How these are known; empty of a route, which was sent."""
        if who in self.routes_seen:
            return "this run's comments"
        known = self.templates.get(who)
        return known.routes_known if known is not None else ""

    def culprit(self, who: str) -> Culprit:
        """The template, or the session, as a finding names it."""
        sql = self.sql(who)
        if not _ID.fullmatch(who):
            return Culprit(id=fingerprint(who).id, sql=sql, share=0.0)
        known = self.templates.get(who)
        share = known.share if known else 0.0
        return Culprit(id=who, sql="" if sql == who else sql, share=share)

    @cached_property
    def savepoints(self) -> Mapping[str, int]:
        """Template of a transaction's longest statement -> most savepoints in one of them."""
        names = np.array([self._sets_savepoint(name) for name in self.attempts.names], dtype=bool)
        if not names.any():
            return {}
        counts = np.bincount(self.attempts.number, weights=names[self.attempts.template])
        found: dict[str, int] = {}
        for count, code in zip(counts.tolist(), self.attempts.mainly.tolist(), strict=True):
            name = self.attempts.names[code]
            found[name] = max(found.get(name, 0), int(count))
        return {name: count for name, count in found.items() if count}

    def _sets_savepoint(self, template: str) -> bool:
        return self.sql(template).lower().startswith("savepoint")


def gather(run: Path, workload: Workload, profile: SchemaProfile | None) -> Evidence:
    """Read a run directory; raises InputError where it is none. Tables that it lacks are empty."""
    manifest = rundir.read_manifest(run)
    attempts = from_blocks(rundir.read_blocks(run, "attempts"))
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
