"""What each kept statement of a workload does on one database: its plan, its rows, its error.

Statements run transaction by transaction, as bound, and are rolled back: both databases are the same
before each.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg

from replay.bind import Binder
from replay.sql.plan_shape import shape
from replay.sql.slots import render
from replay.workload import Transaction, Workload

_PER_TEMPLATE = 64  # executions that are explained …
_AT_LEAST, _AT_MOST_S = 12, 1.0  # … so many, and more while they take no longer together
_ABOVE = {
    *("Aggregate", "Limit", "Sort", "Incremental Sort", "Unique", "LockRows", "ModifyTable"),
    *("Gather", "Gather Merge", "Materialize", "WindowAgg", "Result", "Subquery Scan", "Group"),
    "ProjectSet",
}
_ENDS = {"begin", "commit", "rollback"}


@dataclass
class Seen:
    """One template on one database."""

    shapes: Counter[str] = field(default_factory=Counter)
    flows: list[float] = field(default_factory=list)  # rows joined or scanned, below aggregates
    rows: list[tuple[int, int, int]] = field(default_factory=list)  # transaction, ordinal, rows
    errors: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    explained_s: float = 0.0

    @property
    def is_enough(self) -> bool:
        """Whether no more executions are to be explained."""
        done = len(self.flows)
        return done >= _PER_TEMPLATE or (done >= _AT_LEAST and self.explained_s > _AT_MOST_S)


def measure(
    connection: psycopg.Connection,
    workload: Workload,
    binder: Binder,
    *,
    plans_only: bool = False,
    reads: bool | None = None,
) -> dict[str, Seen]:
    """By template; only those that read, or only the others, where that is said."""
    seen: dict[str, Seen] = defaultdict(Seen)
    kind_of = {template.id: template.kind for template in workload.templates}
    rng = np.random.default_rng(7)
    connection.execute("SET statement_timeout = '20s'")
    for transaction in workload.transactions:
        if plans_only and all(seen[s.template].is_enough for s in transaction.statements):
            continue
        with connection.transaction(force_rollback=True):
            for ordinal, template, sql, values in _bound(transaction, binder, rng):
                kind = kind_of[template]
                if kind in _ENDS or (reads is not None and reads != (kind == "select")):
                    continue
                if not _one(connection, seen[template], transaction.id, ordinal, sql, values):
                    break
    return seen


def _bound(
    transaction: Transaction, binder: Binder, rng: np.random.Generator
) -> Iterator[tuple[int, str, str, tuple[str | None, ...]]]:
    bound = binder.bind(transaction, rng)
    for ordinal, (statement, values) in enumerate(zip(transaction.statements, bound, strict=True)):
        yield (
            ordinal,
            statement.template,
            *render(statement.sql, statement.slots, values, linked=True),
        )


def _one(
    connection: psycopg.Connection,
    seen: Seen,
    number: int,
    ordinal: int,
    sql: str,
    values: tuple[str | None, ...],
) -> bool:
    """Explain and execute a statement; whether the transaction can go on."""
    seen.calls += 1
    try:
        if not seen.is_enough:
            began = time.monotonic()
            with connection.transaction(force_rollback=True), psycopg.RawCursor(connection) as c:
                text = f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, FORMAT JSON) {sql}"
                plan = c.execute(text, values or None).fetchone()[0][0]["Plan"]
            seen.shapes[shape(plan)] += 1
            seen.flows.append(flow(plan))
            seen.explained_s += time.monotonic() - began
        with psycopg.RawCursor(connection) as cursor:
            cursor.execute(sql, values or None)
            seen.rows.append((number, ordinal, max(cursor.rowcount, 0)))
    except psycopg.Error as error:
        seen.errors[f"{error.sqlstate} {str(error).splitlines()[0]}"] += 1
        return False
    return True


def flow(node: dict[str, Any]) -> float:
    """Rows that the topmost scan or join gave, over all its loops."""
    children = [n for n in node.get("Plans", []) if n.get("Parent Relationship") != "InitPlan"]
    if node["Node Type"] in _ABOVE and children:
        return sum(map(flow, children))
    return float(node["Actual Rows"]) * float(node["Actual Loops"])
