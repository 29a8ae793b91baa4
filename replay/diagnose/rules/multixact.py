"""Rule 16: many lock the same parent rows in share mode, and meet in the cache of multixacts.

Every row that two or more transactions lock at once names a multixact; who looks at such a row must
read its members (multixact.c). Foreign keys lock their parent so.
"""

from collections.abc import Iterator

from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_pool
from replay.diagnose.sums import merged
from replay.finding import Finding, Fix

NUMBER = 16
_NAMED = 0.1  # of the time


def multixact(evidence: Evidence) -> Iterator[Finding]:
    """One finding for all that wait for multixacts."""
    waits = {
        label: spent
        for label, spent in evidence.sessions.spent_s.items()
        if "multixact" in label.lower()
    }
    by_name = merged(waits.values())
    spent_s = sum(by_name.values())
    if not waits or not evidence.material(spent_s):
        return
    named = [name for name, spent in by_name.items() if name and spent >= _NAMED * spent_s]
    read = {
        cache: evidence.changed.get(("slru", cache), {}).get("blks_read", 0.0)
        for cache in ("multixact_offset", "multixact_member")
    }
    yield Finding(
        rule=NUMBER,
        name="multixact contention",
        summary=(
            f"sessions spent {spent_s:,.1f} s waiting for multixacts "
            f"({', '.join(waits)}): rows that many transactions lock in share mode at once"
        ),
        templates=tuple(evidence.culprit(name) for name in named),
        relations=_parents(evidence, named),
        slowed_s=round(spent_s, 3),
        fixes=(
            Fix.in_application(
                "let fewer rows be everybody's parent: drop the foreign key to a row that all "
                "refer to, or check it in the application; keep such transactions short"
            ),
        ),
        confidence=0.8,
        evidence={
            "waits_s": {label: round(sum(spent.values()), 3) for label, spent in waits.items()},
            "pages_read": read,
            **of_pool(evidence),
        },
    )


def _parents(evidence: Evidence, named: list[str]) -> tuple[str, ...]:
    """The tables that they work on, and those that their foreign keys lock."""
    found: dict[str, None] = {}
    for name in named:
        table = evidence.profile.table(evidence.targets.get(name, "")) if evidence.profile else None
        if table is not None:
            found[table.qualified] = None
            found.update({key.parent: None for key in table.foreign_keys})
    return tuple(found)
