"""Rule 4: a parent is deleted or its key changed, and the foreign key's check scans the whole child.

No plan shows it: the DELETE goes by primary key, and its time is a trigger's. Meanwhile whoever
inserts a child of that parent waits for the deleting transaction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_gen.names import dotted, quoted
from data_gen.profile import ForeignKey, TableProfile
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import locks_queue_s, of_hold, of_pool
from replay.diagnose.indexing import is_served
from replay.finding import Finding, Fix

NUMBER = 4
_TRIGGER_SHARE = 0.5  # of the execution
_TRIGGER_MS = 5.0
_CHILD_ROWS = 10_000  # where no execution tells: a smaller child is scanned in no time
_WRITERS = frozenset({"delete", "update", "merge"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A foreign key whose columns no index of the child begins with."""

    child: TableProfile
    key: ForeignKey
    time_ms: float | None  # its check in one execution; None where not executed


def foreign_key_scan(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each statement whose foreign-key checks scan."""
    for template in evidence.templates.values():
        if template.kind not in _WRITERS or not template.calls:
            continue
        found = gaps(evidence, template.id)
        episodes = [e for e in evidence.blocking.episodes if e.culprit == template.id]
        blocked_s = sum(episode.blocked_s for episode in episodes)
        queue_s = locks_queue_s(evidence, episodes) + evidence.queue.demand_s.get(template.id, 0.0)
        if found and evidence.material(blocked_s + queue_s):
            yield _finding(evidence, template.id, found, blocked_s, queue_s)


def gaps(evidence: Evidence, template: str) -> tuple[Gap, ...]:
    """Foreign keys without an index that take the template's time."""
    known, plan = evidence.templates.get(template), evidence.plans.get(template)
    if evidence.profile is None or known is None or known.kind not in _WRITERS:
        return ()
    missing = list(unindexed(evidence.profile.tables))
    if plan is not None and plan.analyzed:
        heavy = {
            t.name: t.time_ms
            for t in plan.triggers
            if t.time_ms >= max(_TRIGGER_MS, _TRIGGER_SHARE * (plan.execution_ms or 0.0))
        }
        return tuple(
            Gap(child=child, key=key, time_ms=heavy[key.name])
            for child, key in missing
            if key.name in heavy
        )
    if known.kind != "delete" or (plan is not None and plan.wasteful):
        return ()
    target = evidence.targets.get(template, "")
    return tuple(
        Gap(child=child, key=key, time_ms=None)
        for child, key in missing
        if key.parent == target and child.rows >= _CHILD_ROWS
    )


def unindexed(tables: Sequence[TableProfile]) -> Iterator[tuple[TableProfile, ForeignKey]]:
    """Foreign keys whose columns are not the first ones, in any order, of an index that serves."""
    for table in tables:
        for key in table.foreign_keys:
            if not is_served(key.columns, table):
                yield table, key


def index_for(gap: Gap) -> Fix:
    """The index that the check lacks."""
    name, columns = (
        dotted(gap.child.schema, gap.child.name),
        ", ".join(map(quoted, gap.key.columns)),
    )
    took = f", {gap.time_ms:,.0f} ms of one execution" if gap.time_ms is not None else ""
    return Fix(
        kind="index",
        sql=f"CREATE INDEX CONCURRENTLY ON {name} ({columns})",
        why=f"the check of {gap.key.name} scans {gap.child.qualified}{took}",
    )


def _finding(
    evidence: Evidence, template: str, found: Sequence[Gap], blocked_s: float, queue_s: float
) -> Finding:
    plan = evidence.plans.get(template)
    episodes = [e for e in evidence.blocking.episodes if e.culprit == template]
    children = tuple(dict.fromkeys(gap.child.qualified for gap in found))
    parent = found[0].key.parent
    known = [gap.time_ms for gap in found if gap.time_ms is not None]
    took = (
        f"{sum(known):,.0f} of {plan.execution_ms or 0:,.0f} ms" if known and plan else "its time"
    )
    blocked = (
        f"up to {max(e.sessions for e in episodes)} sessions blocked, {blocked_s:,.1f} s in sum"
        if episodes
        else "nobody is seen to wait for a lock"
    )
    return Finding(
        rule=NUMBER,
        name="foreign key without an index",
        summary=(
            f"each check for rows of {', '.join(children)} that refer to {parent} reads the whole "
            f"table, {took}: {blocked}, {queue_s:,.1f} s of waiting for a pool slot"
        ),
        templates=(evidence.culprit(template),),
        relations=(*children, parent),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=tuple(index_for(gap) for gap in found),
        confidence=0.95 if known else 0.7,
        evidence={
            **(of_hold(evidence, episodes) if episodes else of_pool(evidence)),
            "execution_ms": plan.execution_ms if plan else None,
            "checks": [
                {
                    "constraint": gap.key.name,
                    "child": gap.child.qualified,
                    "child_rows": gap.child.rows,
                    "columns": list(gap.key.columns),
                    "time_ms": gap.time_ms,
                }
                for gap in found
            ],
        },
    )
