"""Rule 8: several sessions insert the same key, and all but one wait for the first to commit.

An INSERT that meets a key which another transaction has inserted, and not yet committed, waits for
that transaction's end, whatever it does meanwhile.
"""

from collections.abc import Iterator, Sequence

from replay.diagnose.blocking import Episode
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import grouped, locks_queue_s, of_hold, waiters
from replay.diagnose.lockers import lockers
from replay.diagnose.sums import summed
from replay.finding import LAST, Finding, Fix

NUMBER = 8
_WAITS = frozenset({"transactionid", "spectoken", "tuple"})
_LATE = (
    "insert late, and commit at once: the wait for the key is as long as the rest of the "
    "transaction; or take the key first, in a short transaction of its own"
)


def duplicate_key_race(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each relation whose keys are raced for."""
    by_relation = grouped(evidence, lambda episode: raced_for(evidence, episode))
    for relation, episodes in by_relation.items():
        blocked_s = sum(episode.blocked_s for episode in episodes)
        queue_s = locks_queue_s(evidence, episodes)
        if evidence.material(blocked_s + queue_s):
            yield _finding(evidence, relation, episodes, blocked_s, queue_s)


def raced_for(evidence: Evidence, episode: Episode) -> str:
    """The relation whose key both root and waiters insert; empty where it is none.

    Who inserts may also wait for a row of another table: the parent that a foreign key points to.
    """
    main = next(iter(summed(episode.waiting.items())), "")
    relation = evidence.targets.get(main, "")
    if episode.relation and episode.relation != relation:
        return ""
    if episode.lock_type not in _WAITS or not _inserts(evidence, main) or not relation:
        return ""
    into = {
        evidence.targets.get(name, "") for name in episode.statements if _inserts(evidence, name)
    }
    return relation if relation in into and unique_keys(evidence, relation) else ""


def unique_keys(evidence: Evidence, relation: str) -> list[str]:
    """Columns of each unique index of the relation, as text."""
    table = evidence.profile.table(relation) if evidence.profile else None
    if table is None:
        return []
    found = [c.columns for c in table.constraints if c.kind in {"p", "u"}]
    found += [index.columns for index in table.indexes if index.unique and index.valid]
    return [", ".join(columns) for columns in found]


def _inserts(evidence: Evidence, name: str) -> bool:
    known = evidence.templates.get(name)
    return known is not None and known.kind == "insert"


def _finding(
    evidence: Evidence, relation: str, episodes: Sequence[Episode], blocked_s: float, queue_s: float
) -> Finding:
    figures = of_hold(evidence, episodes)
    inserting = (name for episode in episodes for name in episode.statements)
    moved = lockers(evidence, (*waiters(episodes), *inserting), relation=relation, inserts=True)
    return Finding(
        rule=NUMBER,
        name="duplicate-key race",
        summary=(
            f"sessions insert the same key of {relation} and wait for whoever came first to commit, "
            f"{figures['hold_p50_ms']:,.0f} ms at the median: up to "
            f"{figures['sessions_blocked_at_most']} sessions blocked, {blocked_s:,.1f} s in sum"
        ),
        templates=tuple(evidence.culprit(name) for name in waiters(episodes)),
        relations=(relation,),
        blocked_s=round(blocked_s, 3),
        queue_s=round(queue_s, 3),
        fixes=(Fix.in_application(_LATE, LAST, moved),),
        confidence=0.85,
        evidence={**figures, "unique_keys": unique_keys(evidence, relation)},
    )
