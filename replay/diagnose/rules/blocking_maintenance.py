"""Rule 2: a statement that builds, moves or rewrites holds its lock on a table for as long as it runs."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import locks_queue_s, of_hold, relations, shortened
from replay.finding import Finding, Fix

NUMBER = 2
_CREATE_INDEX = re.compile(r"\s*CREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY\b)", re.IGNORECASE)
_REINDEX = re.compile(
    r"\s*REINDEX\s+(\([^)]*\)\s*)?(INDEX|TABLE|SCHEMA|DATABASE|SYSTEM)\s+(?!CONCURRENTLY\b)",
    re.IGNORECASE,
)
_REFRESH = re.compile(r"\s*REFRESH\s+MATERIALIZED\s+VIEW\s+(?!CONCURRENTLY\b)", re.IGNORECASE)
_OTHERS = re.compile(
    r"\s*(VACUUM\s*(\([^)]*\bFULL\b|FULL\b)|CLUSTER\b|ALTER\s+TABLE\b|TRUNCATE\b|LOCK\b|DROP\s+INDEX\b"
    r"|DROP\s+TABLE\b|CREATE\s+TRIGGER\b|ALTER\s+INDEX\b)",
    re.IGNORECASE,
)
_CONCURRENTLY = (_CREATE_INDEX, _REINDEX, _REFRESH)


def blocking_maintenance(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each statement that held a table from others while it ran."""
    by_culprit: dict[str, list[Episode]] = defaultdict(list)
    for episode in evidence.blocking.episodes:
        if is_maintenance(evidence.sql(episode.culprit)):
            by_culprit[episode.culprit].append(episode)
    for culprit, episodes in by_culprit.items():
        blocked_s = sum(episode.blocked_s for episode in episodes)
        queue_s = locks_queue_s(evidence, episodes)
        if evidence.material(blocked_s + queue_s):
            yield _finding(evidence, culprit, episodes, blocked_s, queue_s)


def is_maintenance(sql: str) -> bool:
    """Whether the statement holds a strong lock on a relation while it works."""
    return any(pattern.match(sql) for pattern in (*_CONCURRENTLY, _OTHERS))


def concurrently(sql: str) -> str:
    """The same without blocking writers; empty where PostgreSQL has no such form."""
    for pattern in _CONCURRENTLY:
        found = pattern.match(sql)
        if found:
            return f"{sql[: found.end()].rstrip()} CONCURRENTLY {sql[found.end() :]}".strip()
    return ""


def _finding(
    evidence: Evidence, culprit: str, episodes: Sequence[Episode], blocked_s: float, queue_s: float
) -> Finding:
    sql = evidence.sql(culprit)
    held = relations(episodes)
    return Finding(
        rule=NUMBER,
        name="blocking maintenance",
        summary=(
            f"{shortened(sql)} holds {', '.join(held) or 'its table'} from others while it runs: up "
            f"to {max(e.sessions for e in episodes)} sessions blocked at once, {blocked_s:,.1f} s in "
            f"sum, {max(e.longest_ms for e in episodes):,.0f} ms at the longest"
        ),
        templates=(evidence.culprit(culprit),),
        relations=tuple(held),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=(_fix(sql),),
        confidence=0.95,
        evidence={**of_hold(evidence, episodes), "statement": sql},
    )


def _fix(sql: str) -> Fix:
    harmless = concurrently(sql)
    if harmless:
        return Fix(
            kind="migration",
            sql=harmless.rstrip(";"),
            why="build it without holding writers off; it takes longer, and no transaction block",
        )
    if re.match(r"\s*(VACUUM|CLUSTER)", sql, re.IGNORECASE):
        return Fix(
            kind="maintenance",
            sql="",
            why="do it in a maintenance window, or with a tool that copies and swaps (pg_repack)",
        )
    return Fix(
        kind="migration",
        sql="",
        why=(
            "split it, so that no strong lock outlasts a moment: a column without a volatile "
            "default, ADD CONSTRAINT … NOT VALID and VALIDATE apart, rows backfilled in batches"
        ),
    )
