"""Which rows of a column are NULL: as many as in production, and as checks tie them to other columns'."""

from typing import TYPE_CHECKING

from data_gen.bounds import held
from data_gen.profile import ColumnProfile
from data_gen.shuffle import Permutation, key_of
from data_gen.sizes import foreign_key_of
from data_gen.sources import Nulls, null_rows

if TYPE_CHECKING:
    from data_gen.plan import TablePlan


def nulls_of(table: "TablePlan", name: str) -> Nulls | None:
    """Which rows of a column are NULL; None for none."""
    column = table.column(name)
    count = 0 if column.not_null else round(column.null_fraction * table.rows)
    limits = held(table.plan.profile, table.table, column)
    if limits.only_null or (not column.not_null and _parentless(table, column)):
        count = table.rows
    elif not limits.null:
        count = 0
    key = key_of(table.plan.seed, "null", table.table.qualified, round(column.null_fraction, 6))
    return null_group(table, column) or (
        Nulls(Permutation(table.rows, key), 0, count) if count else None
    )


def null_group(table: "TablePlan", column: ColumnProfile) -> Nulls | None:
    """NULLs of a column that a check ties to other columns'."""
    name, checks = column.name, table.checks
    for kind, groups in (
        ("same", checks.together),
        ("one", checks.one_of),
        ("any", checks.any_of),
    ):
        for names in groups:
            members = [found for one in names if (found := table.table.column(one)) is not None]
            if name not in names or len(members) < len(names) or not table.rows:
                continue
            key = key_of(table.plan.seed, "null", table.table.qualified, *names)
            shares = [max(1 - member.null_fraction, 0.0) for member in members]
            begin, end = null_rows(kind, shares, names.index(name), table.rows)
            return Nulls(Permutation(table.rows, key), begin, end)
    return None


def _parentless(table: "TablePlan", column: ColumnProfile) -> bool:
    key = foreign_key_of(table.table, column.name)
    return key is not None and not table.plan.counts.get(key.parent, 0)
