"""The index that a wasteful scan lacks: equality columns first, then a range or a sort column.

Columns are taken, most selective first, until few rows are left: each further one only makes
writes dearer. Nothing is proposed where an index that serves is there and was not used: that is a
matter of statistics, not of a missing index.
"""

import re
from collections.abc import Iterable, Sequence

from data_gen.names import dotted, quoted
from data_gen.profile import TableProfile
from replay.diagnose.evidence import Evidence
from replay.diagnose.scans import Scan
from replay.finding import Fix
from replay.sql.resolve import ColumnUse

_FEW_ROWS = 1000  # left to look through: further columns are not worth their upkeep
_COLUMNS_AT_MOST = 3
_COARSE = " USING brin "  # leads to ranges of pages, of which each row is looked at


def propose(evidence: Evidence, template: str) -> Fix | None:
    """An index for the template's most wasteful scan; None where its plan shows no need."""
    plan = evidence.plans.get(template)
    scan = plan.wasteful if plan else None
    table = evidence.profile.table(scan.relation) if scan and evidence.profile else None
    if scan is None or table is None:
        return None
    columns = candidate(scan, evidence.columns.get(template, ()), table)
    if not columns or is_served(columns, table):
        return None
    listed = ", ".join(map(quoted, columns))
    return Fix(
        kind="index",
        sql=f"CREATE INDEX CONCURRENTLY ON {dotted(table.schema, table.name)} ({listed})",
        why=(
            f"{scan.node} on {table.qualified} reads {scan.rows_read:,.0f} rows "
            f"and keeps {scan.rows_kept:,.0f}"
        ),
    )


def candidate(scan: Scan, uses: Iterable[ColumnUse], table: TableProfile) -> tuple[str, ...]:
    """Columns of an index for the scan, in order; empty where no column offers itself."""
    mine = [use for use in uses if use.table == table.qualified and table.column(use.column)]
    named = [use for use in mine if _stands_in(scan.condition, use.column)]
    equal = _distinct_first(_of_role(named, "eq") + _of_role(mine, "join"), table)
    chosen: list[str] = []
    for column in equal[:_COLUMNS_AT_MOST]:
        if _rows_left(chosen, table) > _FEW_ROWS:
            chosen.append(column)
    ordered = _of_role(named, "range") or _of_role(mine, "sort")
    if _rows_left(chosen, table) > _FEW_ROWS:
        chosen += [column for column in ordered[:1] if column not in chosen]
    return tuple(chosen)


def _of_role(uses: Sequence[ColumnUse], role: str) -> list[str]:
    return list(dict.fromkeys(use.column for use in uses if use.role == role))


def _stands_in(condition: str, column: str) -> bool:
    return re.search(rf'(?<![\w$"]){re.escape(quoted(column))}(?![\w$"])', condition) is not None


def _distinct_first(columns: Iterable[str], table: TableProfile) -> list[str]:
    return sorted(dict.fromkeys(columns), key=lambda column: -_distinct(column, table))


def _distinct(column: str, table: TableProfile) -> float:
    """How many different values; 1 where never analysed, so that it does not push ahead."""
    profile = table.column(column)
    if profile is None or not profile.analyzed:
        return 1.0
    if profile.n_distinct < 0:
        return max(-profile.n_distinct * table.rows, 1.0)
    return max(profile.n_distinct, 1.0)


def _rows_left(columns: Iterable[str], table: TableProfile) -> float:
    left = float(max(table.rows, _FEW_ROWS + 1))
    for column in columns:
        left /= _distinct(column, table)
    return left


def is_served(columns: Sequence[str], table: TableProfile) -> bool:
    """Whether a valid index begins with these columns, in any order, and serves an equality on them.

    It is one of the whole table, or leaves out only rows in which one of them is NULL.
    """
    begins = [i.columns for i in table.indexes if i.valid and _serves(i.definition, columns)]
    begins += [c.columns for c in table.constraints if c.kind in {"p", "u"}]
    return any(set(index[: len(columns)]) == set(columns) for index in begins)


def _serves(definition: str, columns: Iterable[str]) -> bool:
    before, partial, only = definition.partition(" WHERE ")
    return _COARSE not in before and (
        not partial or only in {f"({quoted(column)} IS NOT NULL)" for column in columns}
    )
