"""Make more of one thing than production does, at the same rate: pure, on planned arrivals.

A higher rate alone does not turn every incident on. So arrivals of chosen templates can be held
back until so many come on one tick, the client's pauses inside their transactions stretched, and
their lists made longer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from replay.workload import Statement, Transaction

_SLOT = re.compile(r"\$(\d+)")
_LISTS = re.compile(
    r"\bin\s*\(\s*(?P<items>\$\d+(?:\s*,\s*\$\d+)+)\s*\)"
    r"|\bvalues\s*(?P<rows>\((?:[^()]|\(\))*\)(?:\s*,\s*\((?:[^()]|\(\))*\))+)",
    re.IGNORECASE,
)
_ARRAY = re.compile(r'\{[^{}"]+\}')
Values = tuple[tuple[str | None, ...], ...]  # of each statement, one a slot
Arrival = tuple[int, Transaction]  # due µs since the origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Amplify:
    """What is made more of, for transactions that hold one of the templates."""

    templates: tuple[str, ...]
    simultaneous: int = 1  # arrivals on one tick
    pauses: float = 1.0  # factor of the client's time inside a transaction
    lists: int = 1  # factor of the length of lists: arrays, IN (…), rows of VALUES

    def chooses(self, transaction: Transaction) -> bool:
        """Whether a transaction is one of those."""
        return any(statement.template in self.templates for statement in transaction.statements)


def arrivals(planned: Iterable[Arrival], amplify: Amplify) -> Iterator[Arrival]:
    """The arrivals, in order; what waits for its tick when they end comes with the last of them."""
    held: list[Transaction] = []
    due_us = 0
    for due_us, transaction in planned:
        if not amplify.chooses(transaction):
            yield due_us, transaction
            continue
        held.append(_paused(transaction, amplify.pauses))
        if len(held) >= amplify.simultaneous:
            yield from ((due_us, one) for one in held)
            held.clear()
    yield from ((due_us, one) for one in held)


def _paused(transaction: Transaction, factor: float) -> Transaction:
    """The same with its client's pauses between statements `factor` times as long."""
    if factor == 1.0:
        return transaction
    statements: list[Statement] = []
    offset_us = answered_us = 0
    for statement in transaction.statements:
        gap_us = max(statement.offset_us - answered_us, 0) if statements else 0
        offset_us = round(offset_us + gap_us * factor) if statements else statement.offset_us
        statements.append(replace(statement, offset_us=offset_us))
        answered_us = statement.offset_us + statement.duration_us
        offset_us += statement.duration_us
    return replace(transaction, statements=tuple(statements))


def has_list(statement: Statement) -> bool:
    """Whether a statement takes a list that can be made longer: an array, IN (…), rows of VALUES."""
    return any(map(_is_array, statement.values)) or bool(list(_regions(statement.sql)))


def lengthened(transaction: Transaction, copies: Sequence[Values]) -> tuple[Transaction, Values]:
    """The transaction, and its values, with lists that hold those of all copies.

    `copies` are bound values of the same transaction, the first of them its own.
    """
    longer = [
        _lengthened(statement, values)
        for statement, values in zip(transaction.statements, zip(*copies, strict=True), strict=True)
    ]
    statements = tuple(statement for statement, _ in longer)
    return replace(transaction, statements=statements), tuple(values for _, values in longer)


def _lengthened(
    statement: Statement, copies: Sequence[tuple[str | None, ...]]
) -> tuple[Statement, tuple[str | None, ...]]:
    values = [
        _array(texts) if _is_array(texts[0]) else texts[0] for texts in zip(*copies, strict=True)
    ]
    sql, slots = statement.sql, statement.slots
    for begin, end in reversed(list(_regions(sql))):
        region, more = sql[begin:end], ""
        for copy in copies[1:]:
            numbers = list(dict.fromkeys(int(found[1]) for found in _SLOT.finditer(region)))
            anew = {old: len(values) + at for at, old in enumerate(numbers, start=1)}
            values += [copy[old - 1] for old in numbers]
            slots += "".join(statement.slots[old - 1] for old in numbers)
            more += ", " + _SLOT.sub(lambda found, anew=anew: f"${anew[int(found[1])]}", region)  # type: ignore[misc]
        sql = sql[:end] + more + sql[end:]
    return replace(statement, sql=sql, slots=slots), tuple(values)


def _regions(sql: str) -> Iterator[tuple[int, int]]:
    """Where the items of IN (…), or the rows of VALUES, of two at least begin and end."""
    for found in _LISTS.finditer(sql):
        group = "items" if found["items"] else "rows"
        yield found.start(group), found.end(group)


def _is_array(text: str | None) -> bool:
    """Whether it is a plain array: one whose elements need no quotes and are no arrays."""
    return text is not None and _ARRAY.fullmatch(text) is not None


def _array(texts: Sequence[str | None]) -> str:
    parts = dict.fromkeys(p for text in texts if text for p in text[1:-1].split(","))
    return "{" + ",".join(parts) + "}"
