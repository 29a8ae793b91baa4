"""Rule 10: a session's advisory lock outlives the request that took it.

With a pool of connections the session goes on to serve others, or sits idle in the pool, and still
holds the lock: whoever wants it waits until that connection is closed.
"""

from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import grouped, of_hold, waiters
from replay.finding import TRANSACTION_LOCK, Finding, Fix

NUMBER = 10
_IDLE = 0.5  # of the wait, for a session whose history is not known
_WITH_TRANSACTION = (
    "take pg_advisory_xact_lock instead, which ends with its transaction; or unlock in the same "
    "request, on the same connection, also when it fails"
)


def leaked_lock(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each statement whose advisory lock is left behind."""
    for taker, episodes in grouped(evidence, _taker).items():
        blocked_s = sum(episode.blocked_s for episode in episodes)
        queue_s = sum(evidence.queue.locks_s.get(e.culprit, 0.0) for e in _one_each(episodes))
        if evidence.material(blocked_s + queue_s):
            yield _finding(evidence, taker, episodes, blocked_s, queue_s)


def _taker(episode: Episode) -> str:
    if episode.lock_type != "advisory":
        return ""
    if episode.leaked_by:
        return episode.leaked_by
    idle = not episode.ours and episode.idle_s > _IDLE * episode.blocked_s
    return episode.culprit if idle else ""


def _one_each(episodes: Sequence[Episode]) -> list[Episode]:
    return list({episode.culprit: episode for episode in episodes}.values())


def _finding(
    evidence: Evidence, taker: str, episodes: Sequence[Episode], blocked_s: float, queue_s: float
) -> Finding:
    figures = of_hold(evidence, episodes)
    named = list(dict.fromkeys([taker, *waiters(episodes)]))
    ours = tuple(name for name in named if name in evidence.templates)
    return Finding(
        rule=NUMBER,
        name="leaked session lock",
        summary=(
            "an advisory lock of a session outlived the transaction that took it: up to "
            f"{figures['sessions_blocked_at_most']} sessions waited for it, {blocked_s:,.1f} s in "
            f"sum, {figures['longest_wait_ms']:,.0f} ms at the longest"
        ),
        templates=tuple(evidence.culprit(name) for name in named),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=(Fix.in_application(_WITH_TRANSACTION, TRANSACTION_LOCK, ours),),
        confidence=0.95 if any(episode.leaked_by for episode in episodes) else 0.8,
        evidence={**figures, "keys": sorted({e.key for e in episodes if e.key})},
    )
