"""Rule 14: statements that lock more relations than a backend's own slots hold meet in the lock table.

Unpruned partitions, each with its indexes, are locked one by one in the shared lock table, whose
partitions are guarded by lightweight locks (manual, 13.3; 16 slots a backend before PostgreSQL 18,
from then on max_locks_per_transaction).
"""

from collections.abc import Iterator, Mapping

from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_pool, shortened
from replay.finding import Finding, Fix

NUMBER = 14
_WAIT = "LWLock: LockManager"
_LOCKS = 16  # relations that one execution locks


def lock_manager(evidence: Evidence) -> Iterator[Finding]:
    """One finding for all statements that queue up for the lock table."""
    spent = evidence.sessions.spent_s.get(_WAIT, {})
    crowded = {
        name: plan.locks
        for name, plan in evidence.plans.items()
        if plan.slow_locks and plan.locks >= _LOCKS
    }
    spent_s = sum(spent.values())
    if crowded and evidence.material(spent_s):
        yield _finding(evidence, crowded, spent, spent_s)


def _finding(
    evidence: Evidence, crowded: Mapping[str, int], spent: Mapping[str, float], spent_s: float
) -> Finding:
    def weight(name: str) -> float:
        known = evidence.templates.get(name)
        return crowded[name] * (known.calls if known else 0)

    ranked = sorted(crowded, key=weight, reverse=True)
    worst = ranked[0]
    plan = evidence.plans[worst]
    return Finding(
        rule=NUMBER,
        name="lock manager contention",
        summary=(
            f"{shortened(evidence.sql(worst))} locks {plan.locks} relations, {plan.slow_locks} of "
            f"them past the fast path; sessions spent {spent_s:,.1f} s waiting for the lock table"
        ),
        templates=tuple(evidence.culprit(name) for name in ranked),
        relations=tuple(dict.fromkeys(scan.relation for scan in plan.scans))[:1],
        slowed_s=round(spent_s, 3),
        fixes=(
            Fix.in_application(
                "let the planner prune: compare the partition key with a value, or have fewer "
                "partitions and indexes; measure the gain by throughput, not by this wait"
            ),
        ),
        confidence=0.8,
        evidence={
            "locks": dict(crowded),
            "slow_locks": {name: evidence.plans[name].slow_locks for name in ranked},
            "waited_s": {name: round(s, 3) for name, s in spent.items()},
            **of_pool(evidence),
        },
    )
