"""Rule 12: CREATE INDEX CONCURRENTLY, and its like, wait until every older snapshot is gone."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import holders, of_hold, shortened
from replay.finding import SHORTER, Finding, Fix

NUMBER = 12
_CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)
_END_IT = (
    "end the old transaction first; the build goes on when the last one that is older has ended. "
    "An index that is left invalid must be dropped before it is tried again"
)


def old_snapshot_wait(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each statement that waits for old transactions to end."""
    by_waiter: dict[str, list[Episode]] = defaultdict(list)
    for episode in evidence.blocking.episodes:
        for name in episode.waiting:
            if episode.lock_type == "virtualxid" and _CONCURRENTLY.search(evidence.sql(name)):
                by_waiter[name].append(episode)
    for name, episodes in by_waiter.items():
        blocked_s = sum(episode.waiting[name] for episode in episodes)
        if evidence.material(blocked_s):
            yield _finding(evidence, name, episodes, blocked_s)


def _finding(
    evidence: Evidence, waiter: str, episodes: Sequence[Episode], blocked_s: float
) -> Finding:
    holding = holders(evidence, episodes)
    ours = tuple(name for name in holding if name in evidence.templates)
    held = shortened(evidence.sql(holding[0])) if holding else "an idle session"
    return Finding(
        rule=NUMBER,
        name="waits for an old snapshot",
        summary=(
            f"{shortened(evidence.sql(waiter))} waited {blocked_s:,.1f} s for a transaction that is "
            f"older ({held})"
        ),
        templates=tuple(evidence.culprit(name) for name in dict.fromkeys([waiter, *holding])),
        blocked_s=round(blocked_s, 3),
        fixes=(Fix.in_application(_END_IT, SHORTER, ours),),
        confidence=0.95,
        evidence={
            **of_hold(evidence, episodes),
            "held_by": [evidence.sql(holder) for holder in holding],
        },
    )
