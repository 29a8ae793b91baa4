"""A generated target against the workload that it was made from: tables, then templates.

Templates are bound as a run binds them, and really executed, each in a transaction that is rolled back.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psycopg

from data_gen.introspect import introspect
from data_gen.verify import compare
from replay import bundle, target
from replay.bind import Binder
from replay.errors import InputError
from replay.load.refuse import first_reason
from replay.sql.plan_shape import shape
from replay.sql.slots import render
from replay.verification import TemplateCheck, Verification
from replay.workload import Statement, Transaction, Workload

_EXECUTIONS = 24  # of a template
_TIMEOUT_MS = 10_000
_KINDS = frozenset({"select", "insert", "update", "delete", "merge"})


@dataclass(slots=True)
class _Seen:
    """What a template did here."""

    rows: list[int] = field(default_factory=list)
    shapes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


def verify(workload_path: Path, dsn: str, *, seed: int = 0) -> Verification:
    """Compare a marked target, filled by generate, with its workload.

    Raises RefusedError and InputError as a run does; the target's rows are as they were afterwards.
    """
    source = bundle.read_manifest(workload_path).source
    with target.connect_target(dsn, source=source) as connection:
        generated = target.read_generated(connection)
        if generated is None or generated.workload_id != bundle.workload_id(workload_path):
            raise InputError(
                f"{target.describe(connection)} was not generated from {workload_path}; fill it with "
                "replay generate"
            )
        captured = bundle.read_profile(workload_path)
        with connection.transaction():
            made = introspect(connection)
        tables = compare(captured, made, scale=generated.scale)
        workload = bundle.read(workload_path)
        binder = Binder(workload, captured, generated)
        seen = _executed(connection, workload, binder, seed)
    plans = bundle.read_plans(workload_path)
    return Verification(
        workload_id=generated.workload_id,
        scale=generated.scale,
        tables=tables,
        templates=tuple(_templates(workload, seen, plans)),
    )


def _executed(
    connection: psycopg.Connection, workload: Workload, binder: Binder, seed: int
) -> Mapping[str, _Seen]:
    seen: dict[str, _Seen] = defaultdict(_Seen)
    kinds = {template.id: template.kind for template in workload.templates}
    rng = np.random.default_rng(seed)
    for transaction in workload.transactions:
        wanted = any(
            kinds.get(s.template) in _KINDS and len(seen[s.template].rows) < _EXECUTIONS
            for s in transaction.statements
        )
        if wanted and not first_reason(transaction.statements):
            _execute(connection, transaction, binder.bind(transaction, rng), kinds, seen)
    return seen


def _execute(
    connection: psycopg.Connection,
    transaction: Transaction,
    bound: Sequence[tuple[str | None, ...]],
    kinds: Mapping[str, str],
    seen: Mapping[str, _Seen],
) -> None:
    """A whole transaction, for a statement may need what one before it did."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL statement_timeout = {_TIMEOUT_MS}".encode())
        for statement, values in zip(transaction.statements, bound, strict=True):
            if kinds.get(statement.template) not in _KINDS:
                continue
            try:
                with connection.transaction():
                    _one(connection, statement, values, seen[statement.template])
            except psycopg.Error as error:
                seen[statement.template].errors[error.sqlstate or "lost"] += 1
                if connection.closed:
                    raise


def _one(
    connection: psycopg.Connection,
    statement: Statement,
    values: tuple[str | None, ...],
    seen: _Seen,
) -> None:
    sql, parameters = render(statement.sql, statement.slots, values, linked=True)
    with psycopg.RawCursor(connection) as cursor:
        row = cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}".encode(), parameters or None).fetchone()
        assert row is not None
        plan = shape(row[0][0]["Plan"])
        cursor.execute(sql.encode(), parameters or None)
        seen.rows.append(max(cursor.rowcount, 0))
        seen.shapes[plan] += 1


def _templates(
    workload: Workload, seen: Mapping[str, _Seen], plans: bundle.Plans
) -> list[TemplateCheck]:
    found = []
    for template in workload.templates:
        here = seen.get(template.id)
        if here is None:
            continue
        counted = template.counted
        there = Counter(dict(plans.get(template.id, ())))
        found.append(
            TemplateCheck(
                id=template.id,
                sql=template.sql,
                calls=template.calls,
                rows_captured=counted.rows / counted.calls if counted and counted.calls else None,
                rows_generated=float(np.mean(here.rows)) if here.rows else None,
                plans_equal=_overlap(there, here.shapes) if there and here.shapes else None,
                plan_captured=there.most_common(1)[0][0] if there else "",
                plan_generated=here.shapes.most_common(1)[0][0] if here.shapes else "",
                errors=tuple(
                    (state, count)
                    for state, count in here.errors.most_common()
                    if state not in dict(template.error_states)
                ),
            )
        )
    return found


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    """How much two distributions of plans have in common: 1 is all of it."""
    return sum(min(n / one.total(), other[plan] / other.total()) for plan, n in one.items())
