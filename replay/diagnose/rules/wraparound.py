"""Rule 3: an autovacuum to prevent wraparound holds its lock: unlike any other it does not give way."""

from collections.abc import Iterator

from data_gen.names import dotted
from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import locks_queue_s, of_hold, relations, waiters
from replay.finding import Finding, Fix

NUMBER = 3
_SAID = "(to prevent wraparound)"


def wraparound(evidence: Evidence) -> Iterator[Finding]:
    """One finding for all tables that are frozen while others wait."""
    episodes = [e for e in evidence.blocking.episodes if is_wraparound(evidence, e)]
    blocked_s = sum(episode.blocked_s for episode in episodes)
    queue_s = locks_queue_s(evidence, episodes)
    if not episodes or not evidence.material(blocked_s + queue_s):
        return
    held = relations(episodes)
    waiting = waiters(episodes)
    yield Finding(
        rule=NUMBER,
        name="wraparound freeze",
        summary=(
            f"autovacuum freezes {', '.join(held) or 'a table'} to prevent wraparound and does not "
            f"give way: up to {max(e.sessions for e in episodes)} sessions blocked, "
            f"{blocked_s:,.1f} s in sum, {max(e.longest_ms for e in episodes):,.0f} ms at the longest"
        ),
        templates=tuple(evidence.culprit(who) for who in waiting),
        relations=tuple(held),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=tuple(
            Fix(
                kind="maintenance",
                sql=f"VACUUM (FREEZE) {dotted(*name.split('.', 1)) if '.' in name else name}",
                why="freeze beforehand, at a quiet hour, so that no wraparound vacuum is due; and "
                "give the waiting DDL a lock_timeout",
            )
            for name in held
        ),
        confidence=0.95,
        evidence={**of_hold(evidence, episodes), "root": evidence.sql(episodes[0].culprit)},
    )


def is_wraparound(evidence: Evidence, episode: Episode) -> bool:
    """Whether what the others wait for is such a vacuum."""
    text = evidence.sql(episode.culprit)
    return text.startswith("autovacuum:") and _SAID in text
