"""Which part of a workload is asked for, and what stands in it; the writers only write."""

from collections.abc import Iterator
from dataclasses import dataclass

from replay.errors import InputError
from replay.report.inspect.shapes import Shape, shapes
from replay.workload import Conflict, Statement, Template, Workload

_EXAMPLES = 5
_KINDS_OF_SLOT = {
    "p": "bound parameters",
    "s": "string literals",
    "n": "numbers",
    "b": "bit strings",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """The values of one kind of slot over all kept statements."""

    kind: str
    values: int  # NULLs included
    distinct: int
    examples: tuple[str, ...]  # tokens as they stand in the workload


def chosen(
    workload: Workload, *, rare: bool, template: str | None, by: str | None = None
) -> tuple[Template, ...]:
    """The templates asked for, most called first, and rare ones fewest first; `by` time: most time first.

    Raises InputError where `template` (an id or a prefix of it) names none, or several.
    """
    if template is not None:
        return (_named(workload, template),)
    asked = [t for t in workload.templates if t.rare] if rare else list(workload.templates)
    if by == "time":
        asked.sort(key=lambda t: -t.total_ms)
    elif rare:
        asked.sort(key=lambda t: t.calls)
    return tuple(asked)


def kept_statements(workload: Workload, template: str) -> Iterator[Statement]:
    """Kept executions of a template, in order of time."""
    for transaction in workload.transactions:
        for statement in transaction.statements:
            if statement.template == template:
                yield statement


def shapes_of(workload: Workload, template: str) -> tuple[Shape, ...]:
    """Shapes of transactions that a template is part of."""
    return tuple(
        shape
        for shape in shapes(workload.transactions)
        if any(step.template == template for step in shape.steps)
    )


def conflicts_of(workload: Workload, template: str) -> tuple[Conflict, ...]:
    """Conflicts that a template took part in, on either side."""
    return tuple(c for c in workload.conflicts if template in (c.template, *c.peers))


def slots(workload: Workload) -> tuple[Slots, ...]:
    """Every kind of slot with its tokens counted."""
    found: dict[str, list[str | None]] = {}
    for transaction in workload.transactions:
        for statement in transaction.statements:
            for letter, value in zip(statement.slots, statement.values, strict=True):
                found.setdefault(letter, []).append(value)
    return tuple(
        Slots(
            kind=_KINDS_OF_SLOT.get(letter, letter),
            values=len(values),
            distinct=len(set(values)),
            examples=tuple(dict.fromkeys(v for v in values if v is not None))[:_EXAMPLES],
        )
        for letter, values in sorted(found.items())
    )


def _named(workload: Workload, template: str) -> Template:
    matching = [t for t in workload.templates if t.id.startswith(template.lower())]
    if len(matching) == 1:
        return matching[0]
    if matching:
        several = ", ".join(t.id for t in matching[:_EXAMPLES])
        raise InputError(f"--template {template}: {len(matching)} templates begin so: {several}")
    raise InputError(
        f"--template {template}: the workload has no such template; replay inspect lists them"
    )
