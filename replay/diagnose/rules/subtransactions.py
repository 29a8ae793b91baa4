"""Rule 15: a transaction of more than 64 savepoints overflows, and every other session pays.

A backend publishes 64 subtransactions; of one that has more, others must look each up on disk, or in
its cache, as long as a transaction is open that is older (procarray.c, subtrans.c).
"""

from collections.abc import Iterator

from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_pool
from replay.diagnose.sums import merged
from replay.finding import NO_SAVEPOINTS, Finding, Fix

NUMBER = 15
_SAVEPOINTS = 64
_HITS = 20.0  # look-ups a transaction
_LABELS = ("LWLock: SubtransSLRU", "LWLock: SubtransBuffer", "LWLock: SubtransControlLock")


def subtransactions(evidence: Evidence) -> Iterator[Finding]:
    """One finding for all transactions that overflow."""
    many = {name: count for name, count in evidence.savepoints.items() if count > _SAVEPOINTS}
    waits = merged(evidence.sessions.spent_s.get(label, {}) for label in _LABELS)
    hits = _hits_per_transaction(evidence)
    if many and (hits >= _HITS or evidence.material(sum(waits.values()))):
        yield _finding(evidence, many, sum(waits.values()), hits)


def _hits_per_transaction(evidence: Evidence) -> float:
    looked_up = evidence.changed.get(("slru", "subtransaction"), {}).get("blks_hit", 0.0)
    return looked_up / max(evidence.attempts.transactions, 1)


def _finding(evidence: Evidence, many: dict[str, int], waited_s: float, hits: float) -> Finding:
    longest = max((one.age_s for one in evidence.sessions.long), default=0.0)
    return Finding(
        rule=NUMBER,
        name="subtransaction overflow",
        summary=(
            f"transactions of up to {max(many.values())} savepoints: {hits:,.0f} look-ups of "
            f"subtransactions for each transaction, {waited_s:,.1f} s of waiting for them"
        ),
        templates=tuple(evidence.culprit(name) for name in many),
        slowed_s=round(waited_s, 3),
        fixes=(
            Fix.in_application(
                "set no savepoint for each row: RELEASE does not help beyond 64; check before "
                "writing (ON CONFLICT), or commit in batches, and keep no transaction open long",
                NO_SAVEPOINTS,
                tuple(many),
            ),
        ),
        confidence=0.85,
        evidence={
            "savepoints": many,
            "hits_per_transaction": round(hits, 1),
            "waited_s": round(waited_s, 3),
            "oldest_transaction_s": round(longest, 1),
            **of_pool(evidence),
        },
    )
