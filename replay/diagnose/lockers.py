"""Statements that lock rows, by what they are: for the fixes that move them in their transaction."""

from collections.abc import Iterable

from replay.diagnose.evidence import Evidence


def locks_rows(kind: str, sql: str) -> bool:
    """Whether a statement locks rows that are there, as strongly as a write does."""
    text = sql.lower()
    return kind in {"update", "delete"} or "for update" in text or "for no key update" in text


def lockers(
    evidence: Evidence, names: Iterable[str], *, relation: str = "", inserts: bool = False
) -> tuple[str, ...]:
    """Those of the templates that lock rows, of the relation where one is given, each once.

    With `inserts` so do INSERTs: another that inserts the same key waits for them.
    """
    found = dict.fromkeys(names)
    return tuple(
        name
        for name in found
        if name in evidence.templates
        and (not relation or evidence.targets.get(name) == relation)
        and (
            locks_rows(evidence.templates[name].kind, evidence.sql(name))
            or (inserts and evidence.templates[name].kind == "insert")
        )
    )
