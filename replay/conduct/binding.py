"""How the slots of a workload would be bound: by kind, and what meets no column, template by template."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_gen.keys import key_domains
from replay import bundle
from replay.bind.slots import Kind, Place, places
from replay.documents import JSON_VERSION


def binding(path: Path) -> dict[str, Any]:
    """A document: kept slots by kind, and templates with slots that stay as captured, most first.

    Raises InputError where the workload has no profile: then nothing can be resolved.
    """
    profile = bundle.read_profile(path)
    workload = bundle.read(path)
    domains = key_domains(profile, 1.0, 0, datetime.now(UTC))
    known: dict[str, tuple[Place, ...]] = {}
    kinds: Counter[str] = Counter()
    loose: dict[str, Counter[str]] = {}
    for statement in (s for t in workload.transactions for s in t.statements):
        if statement.sql not in known:
            known[statement.sql] = places(statement.sql, statement.slots, profile, domains)
        for place in known[statement.sql]:
            kinds[place.kind.value] += 1
            if place.kind is Kind.UNRESOLVED:
                loose.setdefault(statement.template, Counter())[f"${place.number}"] += 1
    texts = {template.id: (template.sql, template.calls) for template in workload.templates}
    return {
        "version": JSON_VERSION,
        "slots": dict(kinds.most_common()),
        "unresolved": [
            {
                "id": template,
                "sql": texts[template][0],
                "calls": texts[template][1],
                "slots": dict(slots),
            }
            for template, slots in sorted(loose.items(), key=lambda item: -item[1].total())
            if template in texts
        ],
    }
