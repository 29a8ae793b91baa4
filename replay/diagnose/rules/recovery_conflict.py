"""Rule 20: on a standby, recovery holds a lock that its readers wait for, or ends their queries.

What the primary locked in AccessExclusive mode, a vacuum that gives pages back included, the standby
locks when it replays it (manual, 26.4.2).
"""

from collections.abc import Iterator, Sequence

from data_gen.names import dotted
from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_episodes, of_pool, relations, waiters
from replay.finding import Finding, Fix

NUMBER = 20
_SHARE = 0.5  # of the wait


def recovery_conflict(evidence: Evidence) -> Iterator[Finding]:
    """One finding for all that recovery held up."""
    episodes = [e for e in evidence.blocking.episodes if e.startup_s > _SHARE * e.blocked_s]
    cancelled = {
        figure: count
        for (kind, _), figures in evidence.changed.items()
        if kind == "conflict"
        for figure, count in figures.items()
        if count > 0
    }
    blocked_s = sum(episode.blocked_s for episode in episodes)
    if cancelled or (episodes and evidence.material(blocked_s)):
        yield _finding(evidence, episodes, cancelled, blocked_s)


def _finding(
    evidence: Evidence, episodes: Sequence[Episode], cancelled: dict[str, float], blocked_s: float
) -> Finding:
    held = relations(episodes)
    ended = f"{sum(cancelled.values()):,.0f} queries were cancelled" if cancelled else ""
    waited = f"up to {max(e.sessions for e in episodes)} sessions waited" if episodes else ""
    return Finding(
        rule=NUMBER,
        name="recovery conflict",
        summary=(
            f"the standby's recovery held {', '.join(held) or 'what its readers needed'}: "
            f"{' and '.join(filter(None, [waited, ended]))}, {blocked_s:,.1f} s in sum"
        ),
        templates=tuple(evidence.culprit(name) for name in waiters(episodes)) if episodes else (),
        relations=tuple(held),
        blocked_s=round(blocked_s, 3),
        fixes=tuple(_fixes(held)),
        confidence=0.9,
        evidence={
            **(of_episodes(episodes) if episodes else {}),
            "cancelled": cancelled,
            **of_pool(evidence),
        },
    )


def _fixes(held: Sequence[str]) -> Iterator[Fix]:
    for name in held:
        table = dotted(*name.split(".", 1)) if "." in name else name
        yield Fix(
            kind="setting",
            sql=f"ALTER TABLE {table} SET (vacuum_truncate = off)",
            why="on the primary: vacuum then gives no pages back, and takes no AccessExclusive lock",
        )
    yield Fix.in_application(
        "run DDL on the primary when the standby is quiet; hot_standby_feedback against "
        "conflicts over snapshots, max_standby_streaming_delay against cancelled queries"
    )
