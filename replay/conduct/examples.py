"""Executions of captured statements that a target can be asked with.

As they are bound, and with the most frequent, median and rarest value of each column that is looked up:
the statistics are the target's own, so every value exists in its data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import psycopg

from data_gen.profile import SchemaProfile
from replay.bind import Binder
from replay.sql.resolve import resolve
from replay.sql.slots import render
from replay.workload import Statement, Workload

AS_CAPTURED, FREQUENT, MEDIAN, RAREST = "as captured", "most frequent", "median", "rarest"
_EQUAL = frozenset({"eq", "in"})
_STATISTICS = """
SELECT schemaname || '.' || tablename, attname,
       coalesce(most_common_vals::text::text[], '{}'), coalesce(histogram_bounds::text::text[], '{}')
FROM pg_stats WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema'
"""

Bound = tuple[str, tuple[str | None, ...]]  # SQL with `$n`, and their values


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnValues:
    """A column's own values, by how many rows have them."""

    frequent: str
    median: str
    rarest: str


def column_values(connection: psycopg.Connection) -> dict[tuple[str, str], ColumnValues]:
    """(relation, column) -> its values; a column that was never analysed has none."""
    found = {}
    for relation, column, common, bounds in connection.execute(_STATISTICS).fetchall():
        if not common and not bounds:
            continue
        found[relation, column] = ColumnValues(
            frequent=common[0] if common else bounds[len(bounds) // 2],
            median=bounds[len(bounds) // 2] if bounds else common[len(common) // 2],
            # A bound is the value of a row that is not among the common ones.
            rarest=bounds[-2 if len(bounds) > 2 else -1] if bounds else common[-1],
        )
    return found


def variants(
    statement: Statement,
    bound: tuple[str | None, ...],
    schema: SchemaProfile,
    known: Mapping[tuple[str, str], ColumnValues],
) -> Iterator[tuple[str, Bound]]:
    """(which values, the statement with them), each distinct set once."""
    uses = {use.number: use for use in resolve(statement.sql, schema)}
    seen = set()
    for which in (AS_CAPTURED, FREQUENT, MEDIAN, RAREST):
        values = list(bound)
        for at in range(len(values)):
            use = uses.get(at + 1)
            column = known.get((use.table, use.column)) if use else None
            if use is None or column is None or use.array or values[at] is None:
                continue
            # Limits keep their place: only what is looked up is exchanged.
            if which != AS_CAPTURED and use.role in _EQUAL:
                values[at] = {
                    FREQUENT: column.frequent,
                    MEDIAN: column.median,
                    RAREST: column.rarest,
                }[which]
        if tuple(values) not in seen:
            seen.add(tuple(values))
            yield which, render(statement.sql, statement.slots, tuple(values))


def bound_statements(
    workload: Workload, binder: Binder, seed: int
) -> dict[str, tuple[Statement, tuple[str | None, ...]]]:
    """A kept execution of each template that did not fail, and values that live in the target."""
    rng = np.random.default_rng(seed)
    return {
        statement.template: (statement, values)
        for transaction in workload.transactions
        for statement, values in zip(
            transaction.statements, binder.bind(transaction, rng), strict=True
        )
        if not statement.error
    }


def examples(workload: Workload, binder: Binder, seed: int) -> dict[str, Bound]:
    """Template -> an execution of it, ready to be explained."""
    return {
        template: render(statement.sql, statement.slots, values)
        for template, (statement, values) in bound_statements(workload, binder, seed).items()
    }
