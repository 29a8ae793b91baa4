"""Rule 5: a missing index prolongs a lock hold.

Sessions wait for a row, and the transaction that holds it spends the time in a statement that reads
far more rows than it keeps. The statement that took the lock may be quick and indexed.
"""

from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.edges import ROW_LOCKS
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import grouped, of_episodes, of_pool, of_scan, relations
from replay.diagnose.indexing import propose
from replay.finding import Finding

NUMBER = 5
_PAUSE_AT_MOST = 0.5  # of the hold: beyond, the client holds the lock, not the scan


def missing_index_hold(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each statement that scans while its transaction blocks others."""
    by_culprit = grouped(
        evidence, lambda one: one.culprit if is_prolonged_by_scan(evidence, one) else None
    )
    for culprit, episodes in by_culprit.items():
        blocked_s = sum(episode.blocked_s for episode in episodes)
        queue_s = evidence.queue.locks_s.get(culprit, 0.0)
        if evidence.material(blocked_s + queue_s):
            yield _finding(evidence, culprit, episodes, blocked_s, queue_s)


def is_prolonged_by_scan(evidence: Evidence, episode: Episode) -> bool:
    """Whether a wasteful scan is what kept the row lock held."""
    plan = evidence.plans.get(episode.culprit)
    return (
        episode.ours
        and episode.lock_type in ROW_LOCKS
        and episode.pause_share <= _PAUSE_AT_MOST
        and plan is not None
        and plan.wasteful is not None
    )


def _finding(
    evidence: Evidence, culprit: str, episodes: Sequence[Episode], blocked_s: float, queue_s: float
) -> Finding:
    scan, seen = of_scan(evidence, culprit), of_episodes(episodes)
    fix = propose(evidence, culprit)
    locked = relations(episodes)
    return Finding(
        rule=NUMBER,
        name="missing index prolongs a lock hold",
        summary=(
            f"reads {scan['rows_per_kept']:,} rows of {scan['relation']} for each row it keeps, "
            f"while its transaction holds row locks{' on ' + ', '.join(locked) if locked else ''}: "
            f"up to {seen['sessions_blocked_at_most']} sessions blocked at once, "
            f"{blocked_s:,.1f} s in sum, {seen['longest_wait_ms']:,.0f} ms at the longest"
        ),
        templates=(evidence.culprit(culprit),),
        relations=tuple(dict.fromkeys([str(scan["relation"]), *locked])),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=(fix,) if fix else (),
        confidence=0.95 if scan["analyzed"] and len(episodes) > 1 else 0.7,
        evidence={**scan, **seen, **of_pool(evidence)},
    )
