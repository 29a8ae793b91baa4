"""All that a rule may see of a run, frozen (see `gathering`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from data_gen.profile import SchemaProfile
from replay.diagnose import deadlocks
from replay.diagnose.attempts import Attempts
from replay.diagnose.blocking import Blocking
from replay.diagnose.bursts import Burst
from replay.diagnose.deadlocks import Deadlocks
from replay.diagnose.failures import Failures
from replay.diagnose.queue import Queue
from replay.diagnose.scans import PlanFigures
from replay.diagnose.sessions import Sessions
from replay.diagnose.templates import Second, TemplateFigures
from replay.diagnose.trends import Trend
from replay.finding import Culprit
from replay.migration import Migration
from replay.requests import REQUEST
from replay.rundir import RunManifest
from replay.sql.fingerprint import fingerprint
from replay.sql.resolve import ColumnUse
from replay.workload import Activity, Conflict

_STALL_MS = 1000.0
_LEAST_S = 0.5  # blocked, queue or slowed seconds that are worth a finding …
_LEAST_HEALTHY_S = 1.0  # … and in a run that held its objective
_LEAST_SHARE = 0.05  # of all blocked and queue-seconds
_ID = re.compile(r"[0-9a-f]{16}")


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
        names = self.attempts.among(self._sets_savepoint)
        if not names.any():
            return {}
        most = np.zeros(len(names), dtype=np.int64)
        for part in self.attempts.parts():
            counts = np.bincount(part.number, weights=names[part.template])
            np.maximum.at(most, part.mainly, counts.astype(np.int64))
        return {name: n for name, n in zip(self.attempts.names, most.tolist(), strict=True) if n}

    def _sets_savepoint(self, template: str) -> bool:
        return self.sql(template).lower().startswith("savepoint")
