"""Shapes of transactions: which statements follow one another, how often, and for how long.

All figures are estimates from the kept transactions and their weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from replay.workload import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A statement of a shape, repeated from `fewest` to `most` times without another between."""

    template: str
    fewest: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Transactions of one sequence of templates, whatever the lengths of their loops."""

    ids: tuple[str, ...]  # `Transaction.shape`s of its loops' lengths
    steps: tuple[Step, ...]
    transactions: float  # production's, estimated: the sum of weights
    share: float  # of all transactions
    kept: int
    mean_ms: float  # from the first statement's start to the last one's end
    statement_ms: float  # of that, spent in statements
    statements: float  # a transaction


def shapes(transactions: Sequence[Transaction]) -> tuple[Shape, ...]:
    """All shapes that were kept, those of the most transactions first."""
    grouped: dict[tuple[str, ...], list[Transaction]] = {}
    for transaction in transactions:
        names = (statement.template for statement in transaction.statements)
        grouped.setdefault(tuple(name for name, _ in groupby(names)), []).append(transaction)
    grouped.pop((), None)  # of a failed one the log may tell no statement
    whole = sum(transaction.weight for group in grouped.values() for transaction in group)
    found = [_shape(names, group, whole) for names, group in grouped.items()]
    return tuple(sorted(found, key=lambda shape: (-shape.transactions, shape.ids)))


def open_on_average(transactions: Sequence[Transaction], window_s: float) -> tuple[float, float]:
    """Transactions open at once, and statements of them at work at once, on average."""
    lasted = sum(t.weight * _length_us(t) for t in transactions)
    worked = sum(t.weight * _worked_us(t) for t in transactions)
    return lasted / 1e6 / window_s, worked / 1e6 / window_s


def _shape(names: tuple[str, ...], group: Sequence[Transaction], whole: float) -> Shape:
    weight = sum(transaction.weight for transaction in group)
    loops = [
        [sum(1 for _ in run) for _, run in groupby(s.template for s in transaction.statements)]
        for transaction in group
    ]

    def mean(values: Sequence[float]) -> float:
        weighted = zip(group, values, strict=True)
        return sum(transaction.weight * value for transaction, value in weighted) / weight

    return Shape(
        ids=tuple(sorted({transaction.shape for transaction in group})),
        steps=tuple(
            Step(template=name, fewest=min(lengths), most=max(lengths))
            for name, lengths in zip(names, zip(*loops, strict=True), strict=True)
        ),
        transactions=weight,
        share=weight / whole,
        kept=len(group),
        mean_ms=mean([_length_us(t) / 1e3 for t in group]),
        statement_ms=mean([_worked_us(t) / 1e3 for t in group]),
        statements=mean([len(t.statements) for t in group]),
    )


def _length_us(transaction: Transaction) -> int:
    return max((s.offset_us + s.duration_us for s in transaction.statements), default=0)


def _worked_us(transaction: Transaction) -> int:
    return sum(statement.duration_us for statement in transaction.statements)
