"""Rule 19: demand saturation. Rate times demand of a template or two fills the connection pool.

No lock is waited for: transactions that missed the objective spent the time waiting for a slot, and
the slots were held by statements that ran. Who ran there may be a victim of the crowded server too,
so a template is named only where its demand by itself is a large part of the load.
"""

from collections.abc import Iterator, Mapping, Sequence

from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_pool, of_scan
from replay.diagnose.indexing import propose
from replay.diagnose.rules.foreign_key_scan import gaps
from replay.diagnose.rules.plan_flip import flipped
from replay.diagnose.rules.snapshot_bloat import is_bloated
from replay.diagnose.templates import TemplateFigures
from replay.finding import Finding, Fix
from replay.requests import REQUEST

NUMBER = 19
# Share that a template must have, both of the queue charged to it and of the demand for the server.
_SHARE = 0.2
_SHARE_WASTEFUL = 0.05  # where its plan shows why


def demand_saturation(evidence: Evidence) -> Iterator[Finding]:
    """One finding that names all templates which filled the pool."""
    named = sorted(
        (t for t in evidence.templates.values() if _fills(evidence, t)),
        key=lambda t: -evidence.queue.demand_s[t.id],
    )
    if not named or not _wait_exceeds_service(evidence, named):
        return
    queue_s = sum(evidence.queue.demand_s[template.id] for template in named)
    if evidence.material(queue_s):
        yield _finding(evidence, named, queue_s)


def _busy_sessions(evidence: Evidence, template: TemplateFigures) -> float:
    """Rate times demand: sessions that it would keep busy on a server without others."""
    return template.calls * template.demand_ms / 1e3 / max(evidence.run.duration_s, 1e-3)


def _fills(evidence: Evidence, template: TemplateFigures) -> bool:
    if gaps(evidence, template.id) or is_bloated(evidence, template.id):
        return False  # another rule says why it takes so long
    if flipped(evidence, template.id):
        return False
    plan = evidence.plans.get(template.id)
    least = _SHARE_WASTEFUL if plan and plan.wasteful else _SHARE
    # Routes ask for nothing but what their statements do.
    asking = (other for other in evidence.templates.values() if other.kind != REQUEST)
    demand = sum(_busy_sessions(evidence, other) for other in asking)
    return (
        evidence.queue.demand_s.get(template.id, 0.0) >= least * evidence.queue.total_s > 0
        and _busy_sessions(evidence, template) >= least * demand > 0
    )


def _wait_exceeds_service(evidence: Evidence, named: Sequence[TemplateFigures]) -> bool:
    """Whether the others' late transactions waited longer for a slot than they were served.

    Waits on locks are part of being served, and another rule's: they do not count here.
    """
    ids = {template.id for template in named}
    others = [t for t in evidence.templates.values() if t.id not in ids]
    served_s = sum(t.late_served_s for t in others) - evidence.blocked_s
    return sum(t.late_wait_s for t in others) > served_s


def _finding(evidence: Evidence, named: Sequence[TemplateFigures], queue_s: float) -> Finding:
    figures = {template.id: _figures(evidence, template) for template in named}
    fixes = [fix for template in named if (fix := propose(evidence, template.id))]
    unfixed = [t for t in named if not of_scan(evidence, t.id)]
    share = queue_s / evidence.queue.total_s
    episodes = evidence.blocking.episodes
    return Finding(
        rule=NUMBER,
        name="demand saturation",
        summary=(
            f"{_spoken(figures)} filled {_pool(evidence)}: "
            f"{queue_s:,.1f} s of waiting for a slot, {evidence.queue.p95_ms:,.0f} ms at p95"
        ),
        templates=tuple(evidence.culprit(template.id) for template in named),
        relations=tuple(
            dict.fromkeys(str(f["relation"]) for f in figures.values() if "relation" in f)
        ),
        queue_s=round(queue_s, 3),
        fixes=(*fixes, *([_limit(unfixed)] if unfixed else [])),
        confidence=round(min(0.5 + share / 2, 0.95) - (0.1 if unfixed else 0.0), 2),
        evidence={
            **of_pool(evidence),
            "queue_share": round(share, 3),
            "blocked_s": round(evidence.blocked_s, 3),
            "sessions_blocked_at_most": max((e.sessions for e in episodes), default=0),
            "longest_wait_ms": round(max((e.longest_ms for e in episodes), default=0.0), 1),
            **of_scan(evidence, named[0].id),
            "by_template": figures,
        },
    )


def _pool(evidence: Evidence) -> str:
    if evidence.through_service:
        return "the service's pool"
    if not evidence.run.pool:
        return "the recorded sessions"
    return f"the pool of {evidence.run.pool} connections"


def _figures(evidence: Evidence, template: TemplateFigures) -> dict[str, object]:
    return {
        "calls_per_s": round(template.calls / max(evidence.run.duration_s, 1e-3), 3),
        "demand_ms": round(template.demand_ms, 3),
        "busy_sessions": round(_busy_sessions(evidence, template), 3),
        "queue_s": round(evidence.queue.demand_s[template.id], 3),
        "service_p95_ms": round(template.service_p95_ms, 3),
        **of_scan(evidence, template.id),
    }


def _spoken(figures: Mapping[str, Mapping[str, object]]) -> str:
    return " and ".join(
        f"{f['calls_per_s']:.1f} calls/s of {f['demand_ms']:,.0f} ms"
        + (
            f" ({f['node']} on {f['relation']}, {f['rows_per_kept']:,} rows read per row kept)"
            if "node" in f
            else ""
        )
        for f in figures.values()
    )


def _limit(templates: Sequence[TemplateFigures]) -> Fix:
    names = ", ".join(template.id for template in templates)
    return Fix.in_application(
        f"limit how many of {names} run at once, apart from the pool that all share"
    )
