"""Rule 1: a DDL statement waits for AccessExclusive, and all that comes after it waits behind it.

Two are to be named: the DDL, whose place in the queue stops everybody, and who holds the lock for
so long that the DDL waits at all.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import (
    holders,
    locks_queue_s,
    of_hold,
    relations,
    shortened,
)
from replay.diagnose.rules.wraparound import is_wraparound
from replay.finding import Finding, Fix

NUMBER = 1
_BEHIND_AT_LEAST = 2  # sessions at once


def ddl_queue(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each DDL statement behind which others queued up."""
    by_head: dict[str, list[Episode]] = defaultdict(list)
    for episode in evidence.blocking.episodes:
        for head, (_, crowd) in episode.heads.items():
            if crowd >= _BEHIND_AT_LEAST and not is_wraparound(evidence, episode):
                by_head[head].append(episode)
    for head, episodes in by_head.items():
        blocked_s = sum(e.heads[head][0] + e.waiting.get(head, 0.0) for e in episodes)
        queue_s = locks_queue_s(evidence, episodes)
        if evidence.material(blocked_s + queue_s):
            yield _finding(evidence, head, episodes, blocked_s, queue_s)


def _finding(
    evidence: Evidence, head: str, episodes: Sequence[Episode], blocked_s: float, queue_s: float
) -> Finding:
    holding = holders(evidence, episodes)
    crowd = max(episode.heads[head][1] for episode in episodes)
    held = ", ".join(relations(episodes)) or "a relation"
    ddl = shortened(evidence.sql(head))
    return Finding(
        rule=NUMBER,
        name="DDL lock queue",
        summary=(
            f"{ddl} waited {max(e.longest_ms for e in episodes):,.0f} ms for {held}, which "
            f"{shortened(evidence.sql(holding[0])) if holding else 'an idle session'} held, and up "
            f"to {crowd} sessions queued up behind it, {blocked_s:,.1f} s in sum"
        ),
        templates=tuple(evidence.culprit(who) for who in dict.fromkeys([head, *holding])),
        relations=tuple(relations(episodes)),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=tuple(_fixes(evidence.sql(head))),
        confidence=0.95,
        evidence={
            **of_hold(evidence, episodes),
            "ddl": evidence.sql(head),
            "held_by": [evidence.sql(holder) for holder in holding],
            "queued_behind_at_most": crowd,
        },
    )


def _fixes(ddl: str) -> Iterator[Fix]:
    yield Fix(
        kind="migration",
        sql=_patient(ddl.strip().rstrip(";")),
        why=(
            "give up soon and try again, until the lock is free: nobody then waits longer than the "
            "timeout behind the DDL"
        ),
    )
    yield Fix.in_application(
        "run it when the long holder does not run, or end that transaction first"
    )


def _patient(ddl: str) -> str:
    if "concurrently" in ddl.lower():  # takes no transaction, and so no block around it
        return f"SET lock_timeout = '100ms';\n{ddl};"
    return (
        "DO $patient$ BEGIN\n"
        "    SET LOCAL lock_timeout = '100ms';\n"
        "    FOR attempt IN 1 .. 100 LOOP\n"
        "        BEGIN\n"
        f"            {ddl};\n"
        "            RETURN;\n"
        "        EXCEPTION WHEN lock_not_available THEN\n"
        "            PERFORM pg_sleep(0.25 + random() / 4);\n"
        "        END;\n"
        "    END LOOP;\n"
        "    RAISE EXCEPTION 'the lock was never free';\n"
        "END $patient$;"
    )
