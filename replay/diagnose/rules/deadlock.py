"""Rule 9: transactions wait for one another in a circle, and the server ends one of them.

Either two take the same locks in different orders, or one kind of transaction takes a weak lock
first and a stronger one on the same row later: two of them then each wait for the other.
"""

from collections.abc import Iterator, Sequence

from replay.diagnose.deadlocks import Deadlocks
from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_pool, shortened
from replay.diagnose.lockers import lockers, locks_rows
from replay.diagnose.sums import summed
from replay.finding import FIRST, IN_ORDER, Finding, Fix

NUMBER = 9


def deadlock(evidence: Evidence) -> Iterator[Finding]:
    """One finding for all deadlocks between the same statements."""
    by_sides: dict[frozenset[str], list[Deadlocks]] = {}
    alone = [one for one in evidence.deadlocks if len(one.sides) == 1]
    for one in evidence.deadlocks:
        if len(one.sides) > 1:
            by_sides.setdefault(_who(one), []).append(one)
    for one in alone:  # the log tells nothing of it: it joins a circle that it may be part of
        fitting = next((key for key in by_sides if _who(one) <= key), _who(one))
        by_sides.setdefault(fitting, []).append(one)
    for found in by_sides.values():
        yield _finding(evidence, found)


def _who(one: Deadlocks) -> frozenset[str]:
    return frozenset(side.who for side in one.sides if side.who)


def _finding(evidence: Evidence, found: Sequence[Deadlocks]) -> Finding:
    sides = list(dict.fromkeys(side for one in found for side in one.sides))
    names = list(dict.fromkeys(side.who for side in sides if side.who))
    count = sum(one.count for one in found)
    told = any(len(one.sides) > 1 for one in found)
    shapes = list(dict.fromkeys(side.shape for side in sides if side.shape))
    upgrade = _upgrade(evidence, shapes)
    relations = list(
        summed((one.relation, float(one.count)) for one in found if one.relation)
    ) or list(dict.fromkeys(evidence.targets[name] for name in names if name in evidence.targets))
    circle = " and ".join(shortened(evidence.sql(name)) for name in names)
    return Finding(
        rule=NUMBER,
        name="deadlock",
        summary=(
            f"{count:,} deadlock{'s' if count > 1 else ''}: {circle} wait for one another"
            f"{' on ' + ', '.join(relations) if relations else ''}, "
            + ("a lock that is upgraded" if upgrade else "locks taken in different orders")
        ),
        templates=tuple(evidence.culprit(name) for name in names),
        relations=tuple(_qualified(evidence, name) for name in relations),
        blocked_s=round(sum(one.lost_s for one in found), 3),
        fixes=(_fix(evidence, upgrade, shapes or [names]),),
        confidence=0.95 if told else 0.75,
        evidence={
            "deadlocks": count,
            "told_by_the_log": told,
            "lock_upgrade": upgrade,
            "circle": [
                {"statement": evidence.sql(s.who), "waits_for": s.mode, "on": s.lock_type}
                for s in sides
            ],
            "transactions": [[evidence.sql(name) for name in shape] for shape in shapes],
            **of_pool(evidence),
        },
    )


def _upgrade(evidence: Evidence, shapes: Sequence[Sequence[str]]) -> str:
    """The parent whose row is first locked by a child's foreign key, then again and stronger."""
    for shape in shapes:
        parents: set[str] = set()
        for name in shape:
            target = evidence.targets.get(name, "")
            kind = evidence.templates[name].kind if name in evidence.templates else ""
            if target in parents and locks_rows(kind, evidence.sql(name)):
                return target
            table = evidence.profile.table(target) if evidence.profile and target else None
            if table is not None and kind in {"insert", "update"}:
                parents |= {key.parent for key in table.foreign_keys}
            if kind == "select" and "for share" in evidence.sql(name).lower():
                parents.add(target)
    return ""


def _qualified(evidence: Evidence, name: str) -> str:
    table = evidence.profile.table(name) if evidence.profile else None
    return table.qualified if table else name


def _fix(evidence: Evidence, upgrade: str, shapes: Sequence[Sequence[str]]) -> Fix:
    locking = lockers(evidence, (name for shape in shapes for name in shape), relation=upgrade)
    if upgrade:
        return Fix.in_application(
            f"lock the row of {upgrade} first, as strongly as it is needed later (SELECT … FOR "
            "UPDATE before the INSERT of its child): nobody then holds it weakly while another does",
            FIRST,
            locking[:1],
        )
    return Fix.in_application(
        "take the locks in one order everywhere: sort the keys, and the tables, before writing",
        IN_ORDER,
        locking,
    )
