"""Rule 11: NOTIFY takes one lock for the whole server at COMMIT, so those commits go one by one.

The lock is on database 0 (async.c, PreCommit_Notify), and held until the commit is on disk, and on
a synchronous standby.
"""

import re
from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import locks_queue_s, of_hold, waiters
from replay.finding import WITHOUT, Finding, Fix

NUMBER = 11
_KEY = "pg_database 0"
_ELSEWHERE = (
    "send no NOTIFY from hot transactions: note the event in a table and let one process notify, "
    "or several events at once"
)
_ONLY_NOTIFY = re.compile(r"\s*(notify\b|select\s+pg_notify\s*\([^)]*\)\s*$)", re.IGNORECASE)


def notify_commit(evidence: Evidence) -> Iterator[Finding]:
    """One finding for all commits that queue up to notify."""
    episodes = [e for e in evidence.blocking.episodes if _is_notify(e)]
    blocked_s = sum(episode.blocked_s for episode in episodes)
    queue_s = locks_queue_s(evidence, episodes)
    if episodes and evidence.material(blocked_s + queue_s):
        yield _finding(evidence, episodes, blocked_s, queue_s)


def _is_notify(episode: Episode) -> bool:
    return episode.lock_type == "object" and episode.key == _KEY


def _finding(
    evidence: Evidence, episodes: Sequence[Episode], blocked_s: float, queue_s: float
) -> Finding:
    sent = [name for episode in episodes for name in episode.statements]
    senders = [name for name in dict.fromkeys(sent) if "notify" in evidence.sql(name).lower()]
    figures = of_hold(evidence, episodes)
    alone = tuple(name for name in senders if _ONLY_NOTIFY.match(evidence.sql(name)))
    return Finding(
        rule=NUMBER,
        name="NOTIFY serialises commits",
        summary=(
            "transactions that NOTIFY commit one after the other: up to "
            f"{figures['sessions_blocked_at_most']} sessions waited in COMMIT, {blocked_s:,.1f} s in "
            f"sum, {figures['longest_wait_ms']:,.0f} ms at the longest"
        ),
        templates=tuple(evidence.culprit(name) for name in senders or waiters(episodes)),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=(Fix.in_application(_ELSEWHERE, WITHOUT, alone),),
        confidence=0.95,
        evidence=figures,
    )
