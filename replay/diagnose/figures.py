"""Figures that several rules put into their findings, under the same keys."""

from collections.abc import Sequence

import numpy as np

from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.sums import merged, summed


def of_scan(evidence: Evidence, template: str) -> dict[str, object]:
    """What the template's most wasteful scan reads and keeps; empty where no scan is wasteful."""
    plan = evidence.plans.get(template)
    scan = plan.wasteful if plan else None
    if plan is None or scan is None:
        return {}
    grown = evidence.changed.get(("table", scan.relation), {})
    return {
        "node": scan.node,
        "relation": scan.relation,
        "rows_read": round(scan.rows_read),
        "rows_kept": round(scan.rows_kept),
        "rows_per_kept": round(scan.rows_per_kept),
        "execution_ms": plan.execution_ms,
        "analyzed": plan.analyzed,
        "seq_scans": grown.get("seq_scan", 0.0),
        "seq_tup_read": grown.get("seq_tup_read", 0.0),
    }


def of_episodes(episodes: Sequence[Episode]) -> dict[str, object]:
    """How many sessions were blocked, how deep and how long; the episodes must not be empty."""
    holds = [episode.hold_ms for episode in episodes]
    return {
        "episodes": len(episodes),
        "sessions_blocked_at_most": max(episode.sessions for episode in episodes),
        "longest_wait_ms": round(max(episode.longest_ms for episode in episodes), 1),
        "depth": max(episode.depth for episode in episodes),
        "hold_p50_ms": round(float(np.quantile(holds, 0.5)), 1),
        "hold_p95_ms": round(float(np.quantile(holds, 0.95)), 1),
        "locked_relations": relations(episodes),
        "waiting_s": {
            name: round(spent, 3) for name, spent in merged(e.waiting for e in episodes).items()
        },
    }


def relations(episodes: Sequence[Episode]) -> list[str]:
    """Relations whose rows were waited for, the longest first."""
    return [name for name in summed((e.relation, e.blocked_s) for e in episodes) if name]


def of_pool(evidence: Evidence) -> dict[str, object]:
    """The wait for the pool."""
    return {
        "pool": evidence.run.pool,
        "pool_wait_s": round(evidence.queue.total_s, 3),
        "pool_wait_p95_ms": round(evidence.queue.p95_ms, 1),
    }
