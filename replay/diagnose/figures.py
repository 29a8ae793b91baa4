"""Figures that several rules put into their findings, under the same keys."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np

from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.sums import merged, summed

_Key = TypeVar("_Key", bound=Hashable)
_FRAMES = frozenset({"begin", "start", "commit", "rollback", "end", "abort"})
_IDLE = 0.5  # of the hold
_PLACES = 3
_LONGEST = 5  # episodes told one by one
_SENTENCE = 90  # characters of a statement


def of_scan(evidence: Evidence, template: str) -> dict[str, object]:
    """What the template's most wasteful scan reads and keeps; empty where no scan is wasteful."""
    plan = evidence.plans.get(template)
    scan = plan.wasteful if plan else None
    if plan is None or scan is None:
        return {}
    grown = evidence.changed.get(("table", scan.relation), {})
    return {
        "node": scan.node,
        "relation": scan.relation,
        "rows_read": round(scan.rows_read),
        "rows_kept": round(scan.rows_kept),
        "rows_per_kept": round(scan.rows_per_kept),
        "execution_ms": plan.execution_ms,
        "analyzed": plan.analyzed,
        "seq_scans": grown.get("seq_scan", 0.0),
        "seq_tup_read": grown.get("seq_tup_read", 0.0),
    }


def of_episodes(episodes: Sequence[Episode]) -> dict[str, object]:
    """How many sessions were blocked, how deep and how long; the episodes must not be empty."""
    holds = [episode.hold_ms for episode in episodes]
    return {
        "episodes": len(episodes),
        "sessions_blocked_at_most": max(episode.sessions for episode in episodes),
        "longest_wait_ms": round(max(episode.longest_ms for episode in episodes), 1),
        "depth": max(episode.depth for episode in episodes),
        "hold_p50_ms": round(float(np.quantile(holds, 0.5)), 1),
        "hold_p95_ms": round(float(np.quantile(holds, 0.95)), 1),
        "locked_relations": relations(episodes),
        "locked_at": _places(episodes),
        "waiting_s": {
            name: round(spent, 3) for name, spent in merged(e.waiting for e in episodes).items()
        },
        "longest": of_longest(episodes),
    }


def of_longest(episodes: Sequence[Episode]) -> list[dict[str, object]]:
    """The episodes that blocked longest, each with its root, who waited for it, and when."""
    ranked = sorted(episodes, key=lambda episode: -episode.blocked_s)
    return [
        {
            "pid": one.root,
            "template": one.culprit,
            "transaction": list(one.statements),
            "idle_share": one.pause_share,
            "lock": f"{one.lock_type} {one.mode}".strip(),
            "relation": one.relation,
            "key": one.key,
            "waiters": list(one.waiting),
            "sessions": one.sessions,
            "depth": one.depth,
            "blocked_s": round(one.blocked_s, 3),
            "from_s": round(one.from_us / 1e6, 3),
            "to_s": round(one.to_us / 1e6, 3),
        }
        for one in ranked[:_LONGEST]
    ]


def _places(episodes: Sequence[Episode]) -> list[str]:
    """Rows, advisory locks or objects that were waited for, the longest first."""
    return [key for key in summed((e.key, e.blocked_s) for e in episodes) if key][:_PLACES]


def of_hold(evidence: Evidence, episodes: Sequence[Episode]) -> dict[str, object]:
    """`of_episodes`, the wait for the pool, and the time that the locks were held idle."""
    blocked_s = sum(episode.blocked_s for episode in episodes)
    pause_s = sum(episode.pause_share * episode.blocked_s for episode in episodes)
    return {
        **of_episodes(episodes),
        "pause_share": round(pause_s / (blocked_s or 1.0), 3),
        "from_s": round(min(episode.from_us for episode in episodes) / 1e6, 1),
        "to_s": round(max(episode.to_us for episode in episodes) / 1e6, 1),
        **of_pool(evidence),
    }


def is_frame(sql: str) -> bool:
    """Whether the statement only opens or ends a transaction."""
    return sql.partition(" ")[0].lower().rstrip(";") in _FRAMES


def holders(evidence: Evidence, episodes: Sequence[Episode]) -> list[str]:
    """Who held what the others waited for: a transaction that sat idle by all of its statements."""
    found: dict[str, None] = {}
    for episode in episodes:
        idle = episode.pause_share > _IDLE
        own = [name for name in episode.statements if not is_frame(evidence.sql(name))]
        found.update(dict.fromkeys(own if idle and own else [episode.culprit]))
    return [name for name in found if name]


def shortened(sql: str) -> str:
    """A statement in a sentence: one line, and not all of a long one."""
    line = " ".join(sql.split())
    return line if len(line) <= _SENTENCE else f"{line[: _SENTENCE - 1]}…"


def of_bursts(evidence: Evidence) -> list[dict[str, object]]:
    """The bad seconds in a row, by time."""
    return [
        {
            "from_s": burst.from_s,
            "to_s": burst.to_s,
            "worst_p95_ms": round(burst.worst_p95_ms, 1),
            "not_ok": burst.not_ok,
        }
        for burst in evidence.bursts
    ]


def waiters(episodes: Sequence[Episode], *, least: float = 0.1) -> list[str]:
    """Who waited at least that share of the time, most first."""
    waiting = merged(episode.waiting for episode in episodes)
    return [
        name for name, spent in waiting.items() if name and spent >= least * sum(waiting.values())
    ]


def grouped(evidence: Evidence, key: Callable[[Episode], _Key | None]) -> dict[_Key, list[Episode]]:
    """The run's episodes by something of theirs; without those that have nothing of it."""
    found: dict[_Key, list[Episode]] = defaultdict(list)
    for episode in evidence.blocking.episodes:
        if of := key(episode):
            found[of].append(episode)
    return found


def locks_queue_s(evidence: Evidence, episodes: Sequence[Episode]) -> float:
    """Queue-seconds charged to who kept these locks held."""
    culprits = {episode.culprit for episode in episodes}
    return sum(evidence.queue.locks_s.get(culprit, 0.0) for culprit in culprits)


def relations(episodes: Sequence[Episode]) -> list[str]:
    """Relations whose rows were waited for, the longest first."""
    return [name for name in summed((e.relation, e.blocked_s) for e in episodes) if name]


def of_pool(evidence: Evidence) -> dict[str, object]:
    """The wait for the pool."""
    return {
        "pool": evidence.run.pool,
        "pool_wait_s": round(evidence.queue.total_s, 3),
        "pool_wait_p95_ms": round(evidence.queue.p95_ms, 1),
    }
