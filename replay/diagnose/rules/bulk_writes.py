"""Rule 13: many write to the end of one table, and wait for its pages, its size, or the log.

Extension of the relation, content of hot pages and room in the write-ahead log are what bulk loads,
and tables with many indexes, queue up for.
"""

from collections.abc import Iterator, Mapping

from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_pool
from replay.diagnose.sums import summed
from replay.finding import Finding, Fix

NUMBER = 13
_WAITS = (
    *("Lock: extend", "LWLock: RelationExtension", "LWLock: BufferContent", "LWLock: WALInsert"),
    *("IO: DataFileExtend", "LWLock: WALWrite"),
)
_ON_ONE = 0.6  # of that time, on one table
_MANY_INDEXES = 5


def bulk_writes(evidence: Evidence) -> Iterator[Finding]:
    """One finding for the table that the writers queue up for."""
    waited = [
        (evidence.targets.get(name, ""), label, name, spent)
        for label in _WAITS
        for name, spent in evidence.sessions.spent_s.get(label, {}).items()
        if _writes(evidence, name)
    ]
    by_relation = summed((relation, spent) for relation, _, _, spent in waited if relation)
    total_s = sum(spent for *_, spent in waited)
    for relation, spent_s in by_relation.items():
        if spent_s >= _ON_ONE * total_s and evidence.material(spent_s):
            mine = [row for row in waited if row[0] == relation]
            yield _finding(
                evidence,
                relation,
                spent_s,
                summed((label, spent) for _, label, _, spent in mine),
                summed((name, spent) for _, _, name, spent in mine),
            )


def _writes(evidence: Evidence, name: str) -> bool:
    known = evidence.templates.get(name)
    return known is not None and known.kind in {"insert", "copy", "update", "merge", "delete"}


def _finding(
    evidence: Evidence,
    relation: str,
    spent_s: float,
    waits: Mapping[str, float],
    writers: Mapping[str, float],
) -> Finding:
    table = evidence.profile.table(relation) if evidence.profile else None
    indexes = len(table.indexes) + sum(c.kind in "pux" for c in table.constraints) if table else 0
    many = f", which has {indexes} indexes" if indexes >= _MANY_INDEXES else ""
    return Finding(
        rule=NUMBER,
        name="bulk writes to one table",
        summary=(f"writers of {relation}{many} waited {spent_s:,.1f} s for {', '.join(waits)}"),
        templates=tuple(evidence.culprit(name) for name in writers),
        relations=(relation,),
        slowed_s=round(spent_s, 3),
        fixes=(
            Fix.in_application(
                "load with COPY, or many rows a statement, from fewer sessions; drop indexes "
                "that nothing reads before a load, or for good"
            ),
        ),
        confidence=0.75,
        evidence={
            "waits_s": {label: round(spent, 3) for label, spent in waits.items()},
            "indexes": indexes,
            **of_pool(evidence),
        },
    )
