"""Rule 6: the client works with the transaction open, and the locks wait for it.

The root of the wait sits idle in transaction for most of the hold: a call to another service, a loop
over rows, a person at a prompt. A prepared transaction that nobody ends has no client at all.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from replay.diagnose.blocking import Episode
from replay.diagnose.edges import PREPARED
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import grouped, is_frame, locks_queue_s, of_hold, relations
from replay.finding import SHORTER, Finding, Fix

NUMBER = 6
_PAUSE_AT_LEAST = 0.5  # of the hold
_HOLD_MS = 100.0  # the median: shorter holds of one row by many are a hot row
_OTHERS = frozenset({"virtualxid", "object"})  # waits for a snapshot, or to notify
_OUTSIDE = (
    "move the client's own work before BEGIN or behind COMMIT, so that the hold is as long as "
    "its statements; idle_in_transaction_session_timeout bounds what is forgotten"
)
_FORGOTTEN = (
    "end it with COMMIT PREPARED or ROLLBACK PREPARED (pg_prepared_xacts has its name), and let whoever "
    "prepares transactions end them at once; max_prepared_transactions = 0 where nobody should"
)


def idle_hold(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each kind of transaction that holds locks while its client does other things."""
    by_shape = grouped(
        evidence, lambda one: (one.statements or (one.culprit,)) if is_idle(one) else None
    )
    for shape, episodes in by_shape.items():
        blocked_s = sum(episode.blocked_s for episode in episodes)
        queue_s = locks_queue_s(evidence, episodes)
        if evidence.through_service and evidence.paused.isdisjoint(shape):
            continue  # the service was slow on this machine: production's did not pause there
        if is_long(episodes) and evidence.material(blocked_s + queue_s):
            yield _finding(evidence, shape, episodes, blocked_s, queue_s)


def is_idle(episode: Episode) -> bool:
    """Whether the client, and no statement, kept the lock; a session lock is another rule's."""
    if episode.lock_type in _OTHERS or episode.leaked_by:
        return False
    if episode.lock_type == "advisory" and not episode.ours:
        return False
    return episode.pause_share > _PAUSE_AT_LEAST


def is_long(episodes: Sequence[Episode]) -> bool:
    """Whether the holds are too long for a hot row; a foreign session's are not known."""
    holds = [episode.hold_ms for episode in episodes if episode.ours]
    return not holds or float(np.median(holds)) >= _HOLD_MS


def _finding(
    evidence: Evidence,
    shape: Sequence[str],
    episodes: Sequence[Episode],
    blocked_s: float,
    queue_s: float,
) -> Finding:
    figures = of_hold(evidence, episodes)
    held = relations(episodes)
    named = [name for name in dict.fromkeys(shape) if not is_frame(evidence.sql(name))]
    ours = tuple(name for name in named if name in evidence.templates)
    prepared = shape[0] == PREPARED
    return Finding(
        rule=NUMBER,
        name="client work inside the transaction",
        summary=(
            f"a {'prepared ' if prepared else ''}transaction sits idle for "
            f"{figures['pause_share']:.0%} of the time that it holds "
            f"locks{' on ' + ', '.join(held) if held else ''}"
            + (f", {figures['hold_p50_ms']:,.0f} ms at the median" if episodes[0].ours else "")
            + f": up to {figures['sessions_blocked_at_most']} sessions blocked, {blocked_s:,.1f} s in "
            f"sum, {figures['longest_wait_ms']:,.0f} ms at the longest"
        ),
        templates=tuple(evidence.culprit(name) for name in named or shape),
        relations=tuple(held),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=(Fix.in_application(_FORGOTTEN if prepared else _OUTSIDE, SHORTER, ours),),
        confidence=0.9,
        evidence=figures,
    )
