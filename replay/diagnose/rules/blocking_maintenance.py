"""Rule 2: a statement that builds, moves or rewrites holds its lock on a table for as long as it runs.

And beyond, to its transaction's end: what a release does behind its ALTER TABLE, in one transaction with
it, prolongs that. One statement that writes many rows holds each of them in the same way.
"""

import re
from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.edges import ROW_LOCKS
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import grouped, locks_queue_s, of_hold, relations, shortened
from replay.finding import Finding, Fix

NUMBER = 2
_CREATE_INDEX = re.compile(r"\s*CREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY\b)", re.IGNORECASE)
_REINDEX = re.compile(
    r"\s*REINDEX\s+(\((?![^)]*\bCONCURRENTLY\b)[^)]*\)\s*)?(INDEX|TABLE|SCHEMA|DATABASE|SYSTEM)"
    r"\s+(?!CONCURRENTLY\b)",
    re.IGNORECASE,
)
_REFRESH = re.compile(r"\s*REFRESH\s+MATERIALIZED\s+VIEW\s+(?!CONCURRENTLY\b)", re.IGNORECASE)
_OTHERS = re.compile(
    r"\s*(VACUUM\s*(\([^)]*\bFULL\b|FULL\b)|CLUSTER\b|ALTER\s+TABLE\b|TRUNCATE\b|LOCK\b|DROP\s+INDEX\b"
    r"|DROP\s+TABLE\b|CREATE\s+TRIGGER\b|ALTER\s+INDEX\b)",
    re.IGNORECASE,
)
_CONCURRENTLY = (_CREATE_INDEX, _REINDEX, _REFRESH)
_WRITES = re.compile(r"\s*(UPDATE|DELETE|MERGE|WITH|INSERT)\b", re.IGNORECASE)
_BEGIN = re.compile(r"\s*(BEGIN|START)\b", re.IGNORECASE)
_END = re.compile(r"\s*(COMMIT|ROLLBACK|END|ABORT)\b(?!\s+TO\b)", re.IGNORECASE)
_IN_CLIENT = 0.5  # of the hold: then the client keeps the lock, which is another rule's
_MANY_ROWS = 1000  # that one statement writes


def blocking_maintenance(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each statement that held a table, or very many rows, from others."""
    for taker, episodes in grouped(evidence, lambda episode: _taker(evidence, episode)).items():
        blocked_s = sum(episode.blocked_s for episode in episodes)
        queue_s = locks_queue_s(evidence, episodes)
        if evidence.material(blocked_s + queue_s):
            yield _finding(evidence, taker, episodes, blocked_s, queue_s)


def _taker(evidence: Evidence, episode: Episode) -> str:
    """Whose lock it is: what ran, or what its transaction had run before; empty for no such thing."""
    if is_maintenance(evidence.sql(episode.culprit)):
        return episode.culprit
    if episode.pause_share > _IN_CLIENT:
        return ""
    if episode.lock_type == "relation":
        before = episode.statements or _migrated_before(evidence, episode.culprit)
        return next((name for name in reversed(before) if is_maintenance(evidence.sql(name))), "")
    return episode.culprit if _writes_many(evidence, episode) else ""


def _migrated_before(evidence: Evidence, culprit: str) -> tuple[str, ...]:
    """What a release ran before in the transaction of one of its statements."""
    found: list[str] = []
    opened = False
    for step in evidence.migration.statements if evidence.migration else ():
        if step.template == culprit:
            return tuple(found)
        if _BEGIN.match(step.sql) or _END.match(step.sql):
            opened = _BEGIN.match(step.sql) is not None
            found = []
        elif opened:
            found.append(step.template)
    return ()


def _writes_many(evidence: Evidence, episode: Episode) -> bool:
    """Whether one statement locked many rows: by its plan; a session that is none of the replay's, always."""
    if episode.lock_type not in ROW_LOCKS or not _WRITES.match(evidence.sql(episode.culprit)):
        return False
    if not episode.ours:
        return not evidence.through_service
    plan = evidence.plans.get(episode.culprit)
    target = evidence.targets.get(episode.culprit, "")
    return plan is not None and any(
        scan.relation == target and scan.rows_kept >= _MANY_ROWS and not scan.wasteful
        for scan in plan.scans
    )


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
    evidence: Evidence, taker: str, episodes: Sequence[Episode], blocked_s: float, queue_s: float
) -> Finding:
    sql = evidence.sql(taker)
    held = relations(episodes)
    rows = any(episode.lock_type in ROW_LOCKS for episode in episodes)
    behind = [e.culprit for e in episodes if e.culprit != taker]  # in its transaction
    until = (
        f"until its transaction ends, through {shortened(evidence.sql(behind[0]))}"
        if behind
        else "while it runs"
    )
    return Finding(
        rule=NUMBER,
        name="blocking maintenance",
        summary=(
            f"{shortened(sql)} holds {'rows of ' if rows else ''}{', '.join(held) or 'its table'} from "
            f"others {until}: up to {max(e.sessions for e in episodes)} sessions blocked at once, "
            f"{blocked_s:,.1f} s in sum, {max(e.longest_ms for e in episodes):,.0f} ms at the longest"
        ),
        templates=tuple(evidence.culprit(name) for name in dict.fromkeys([taker, *behind])),
        relations=tuple(held),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=(_fix(sql, prolonged=bool(behind)),),
        confidence=0.85 if rows else 0.95,
        evidence={**of_hold(evidence, episodes), "statement": sql},
    )


def _fix(sql: str, *, prolonged: bool) -> Fix:
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
    return Fix(kind="migration", sql="", why=_advice(sql, prolonged=prolonged))


def _advice(sql: str, *, prolonged: bool) -> str:
    if prolonged:
        return (
            "commit it by itself: its lock lasts as long as its transaction does; fill what is to be "
            "filled afterwards, some thousand rows a transaction"
        )
    if _WRITES.match(sql):
        return "write some thousand rows a transaction, by ranges of the key, and commit each"
    return (
        "split it, so that no strong lock outlasts a moment: a column without a volatile "
        "default, ADD CONSTRAINT … NOT VALID and VALIDATE apart, rows backfilled in batches"
    )
