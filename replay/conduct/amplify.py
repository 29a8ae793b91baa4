"""Make more of one thing than production does, at the same rate: pure, on planned arrivals.

A higher rate alone does not turn every incident on. So arrivals of chosen templates can be held
back until so many come on one tick, the client's pauses inside their transactions stretched, and
their lists made longer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from replay.workload import Statement, Transaction

_ARRAY = re.compile(r'\{[^{}"]+\}')
Arrival = tuple[int, Transaction]  # due µs since the origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Amplify:
    """What is made more of, for transactions that hold one of the templates."""

    templates: tuple[str, ...]
    simultaneous: int = 1  # arrivals on one tick
    pauses: float = 1.0  # factor of the client's time inside a transaction
    lists: int = 1  # factor of the length of lists in arrays

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


def joined(
    copies: Sequence[tuple[tuple[str | None, ...], ...]],
) -> tuple[tuple[str | None, ...], ...]:
    """Values of one transaction whose arrays hold those of all copies, each element once."""
    return tuple(
        tuple(
            _array(texts) if _is_array(texts[0]) else texts[0]
            for texts in zip(*values, strict=True)
        )
        for values in zip(*copies, strict=True)
    )


def _is_array(text: str | None) -> bool:
    """Whether it is a plain array: one whose elements need no quotes and are no arrays."""
    return text is not None and _ARRAY.fullmatch(text) is not None


def _array(texts: Sequence[str | None]) -> str:
    parts = dict.fromkeys(p for text in texts if text for p in text[1:-1].split(","))
    return "{" + ",".join(parts) + "}"
