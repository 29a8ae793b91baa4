"""Rule 7: a hot row, short holds by many transactions that all want the same row.

What tells it: one blocker after the other, at any moment nearly all waiters behind the same one,
and no scan that would explain the hold.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.edges import ROW_LOCKS
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_episodes, of_pool
from replay.diagnose.lockers import lockers
from replay.diagnose.rules.duplicate_key_race import raced_for
from replay.diagnose.rules.foreign_key_scan import gaps
from replay.diagnose.rules.idle_hold import is_idle, is_long
from replay.diagnose.rules.missing_index_hold import is_prolonged_by_scan
from replay.diagnose.sums import merged
from replay.finding import LAST, SKIP_LOCKED, Finding, Fix

NUMBER = 7
_ON_ONE_ROW = 0.8  # of the blocked time behind the foremost blocker of the moment
_BLOCKERS_AT_LEAST = 5  # different transactions, one after the other
_SHORT_MS = 1000.0  # median hold
_IN_CLIENT = 0.5  # of the blocked time: then the client's work is the cause, not the row
_NAMED = 0.1  # of the waiting, for a template to be named
_SPREAD = (
    "spread the row (several counters that are summed when read, or rows that are appended and "
    "folded later), or touch it last in the transaction and commit at once"
)
_SKIP = (
    "workers that only want some free row, as those of a queue, take the next one: FOR UPDATE SKIP "
    "LOCKED instead of waiting for each other's first"
)
_QUEUE = re.compile(r"\blimit\b.*\bfor\s+(no\s+key\s+)?update\b(?!.*\b(skip|nowait)\b)", re.DOTALL)


def hot_row(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each relation of which one row is wanted by all."""
    by_relation: dict[str, list[Episode]] = defaultdict(list)
    behind_scans_s: dict[str, float] = defaultdict(float)
    for episode in evidence.blocking.episodes:
        if episode.lock_type not in ROW_LOCKS:
            continue
        if is_prolonged_by_scan(evidence, episode) or gaps(evidence, episode.culprit):
            behind_scans_s[episode.relation] += episode.blocked_s
        elif not raced_for(evidence, episode):
            by_relation[episode.relation].append(episode)
    for relation, episodes in by_relation.items():
        # Who queued up behind a scan's hold passes the row on one by one: that is no hot row yet.
        of_its_own = sum(e.blocked_s for e in episodes) > behind_scans_s[relation]
        in_client = [episode for episode in episodes if is_idle(episode)]
        in_client = in_client if is_long(in_client) else []
        if sum(e.blocked_s for e in in_client) > _IN_CLIENT * sum(e.blocked_s for e in episodes):
            continue
        if of_its_own and _is_hot(episodes):
            finding = _finding(evidence, relation, episodes)
            if evidence.material(finding.blocked_s + finding.queue_s):
                yield finding


def _is_hot(episodes: Sequence[Episode]) -> bool:
    seen = of_episodes(episodes)
    return (
        len(episodes) >= _BLOCKERS_AT_LEAST
        and _concentration(episodes) >= _ON_ONE_ROW
        and float(str(seen["hold_p50_ms"])) <= _SHORT_MS
    )


def _concentration(episodes: Sequence[Episode]) -> float:
    return sum(e.foremost_s for e in episodes) / sum(e.blocked_s for e in episodes)


def _finding(evidence: Evidence, relation: str, episodes: Sequence[Episode]) -> Finding:
    waiting = merged(episode.waiting for episode in episodes)
    named = [name for name, spent in waiting.items() if spent >= _NAMED * sum(waiting.values())]
    blocked_s = sum(episode.blocked_s for episode in episodes)
    seen = of_episodes(episodes)
    culprits = {episode.culprit for episode in episodes}
    queue_s = sum(evidence.queue.locks_s.get(culprit, 0.0) for culprit in culprits)
    return Finding(
        rule=NUMBER,
        name="hot row",
        summary=(
            f"{len(episodes)} transactions one after the other held a row of "
            f"{relation or 'an unknown relation'} for {seen['hold_p50_ms']:,.0f} ms each, with up "
            f"to {seen['sessions_blocked_at_most']} sessions behind them, {blocked_s:,.1f} s in sum"
        ),
        templates=tuple(evidence.culprit(name) for name in named if name),
        relations=(relation,) if relation else (),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=tuple(_fixes(evidence, relation, named, episodes)),
        confidence=0.85 if relation else 0.6,
        evidence={
            **seen,
            "on_one_row_share": round(_concentration(episodes), 3),
            "pause_share": round(sum(e.pause_share * e.blocked_s for e in episodes) / blocked_s, 3),
            **of_pool(evidence),
        },
    )


def _fixes(
    evidence: Evidence, relation: str, named: Sequence[str], episodes: Sequence[Episode]
) -> Iterator[Fix]:
    waiting = [name for name in named if name in evidence.templates]
    queue = tuple(name for name in waiting if _QUEUE.search(evidence.sql(name).lower()))
    if queue:
        yield Fix.in_application(_SKIP, SKIP_LOCKED, queue)
        return
    # What goes on to write the row that it locked moves along.
    with_it = lockers(evidence, (n for e in episodes for n in e.statements), relation=relation)
    moved = tuple(dict.fromkeys((*waiting, *with_it)))
    yield Fix.in_application(_SPREAD, LAST, moved)
