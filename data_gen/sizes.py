"""How many rows each table gets: production's count, scaled, as far as its keys have room."""

import math
import re
from collections.abc import Iterator, Mapping

from data_gen.bounds import children, leaves, units
from data_gen.profile import ColumnProfile, Constraint, ForeignKey, SchemaProfile, TableProfile

_HALVINGS = 40
_LEAST_TARGET = 100  # default_statistics_target; longer lists tell of a larger one
# A unique index over one column in one case: values that are made differ in more than their case.
_FOLDED = re.compile(
    r"USING btree \((?:lower|upper)\(\(?(?P<column>\"(?:[^\"]|\"\")+\"|\w+)\)?(?:::\w+)?\)\)\Z"
)
_OPERATOR = re.compile(r" WITH ([^\s,)]+)")
_ROWS_PER_TARGET = 300  # that ANALYZE samples


def row_counts(profile: SchemaProfile, scale: float) -> Mapping[str, int]:
    """Rows by qualified table name.

    Counts in the catalog are estimates, and a scale under 1 shrinks pairs of keys by its square: a
    table never gets more rows than its unique keys over foreign keys and closed types allow. A
    parent that seems empty gets as many rows as its children name.
    """
    counts: dict[str, int] = {}
    for table in profile.tables:
        _count(table, profile, scale, counts, ())
    return counts


def distinct_values(column: ColumnProfile, rows: int, production: int) -> int:
    """Values to spread over all rows of a table; all different where nothing is known.

    `production` is the rows that the statistics speak of. NULLs cover values up: a value of n rows
    loses all of them with probability f ** n, f being the fraction of NULLs, so there are more.
    """
    if not column.analyzed:
        return rows
    wanted = float(_really_distinct(column, production))
    if column.n_distinct < 0:
        wanted *= rows / max(production, 1)
    low, high = max(min(wanted, rows), 1.0), float(max(rows, 1))
    for _ in range(_HALVINGS if column.null_fraction else 0):
        middle = (low + high) / 2
        left = middle * (1 - column.null_fraction ** (rows / middle))
        low, high = (middle, high) if left < wanted else (low, middle)
    return round(low)


def _really_distinct(column: ColumnProfile, rows: int) -> int:
    """How many values a column has when ANALYZE, which looks at a sample, says n_distinct.

    Its estimate is too low where many values are rare (Haas and Stokes 1998, in PostgreSQL's
    compute_scalar_stats): n d / (n - f1 + f1 n / N), of a sample of n from N rows with d values, f1
    of them seen once. The number is found for which that comes out, rare values having equal shares.
    """
    present = rows * (1 - column.null_fraction)
    said = column.n_distinct if column.n_distinct > 0 else -column.n_distinct * rows
    target = max(_LEAST_TARGET, len(column.common_values), len(column.histogram) - 1)
    share = min(_ROWS_PER_TARGET * target / max(rows, 1), 1.0)
    common = len(column.common_values)
    rare = present - rows * sum(column.common_fractions)
    low, high = max(said - common, 0.0), rare
    if share == 1 or low < 1 or high <= low:
        return round(said)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        seen, once = _seen(middle, rare, share)
        sample = share * present
        estimate = sample * (common + seen) / (sample - once + once * share)
        low, high = (middle, high) if estimate < said else (low, middle)
    return round(common + low)


def _seen(values: float, rows: float, share: float) -> tuple[float, float]:
    """Of values with even rows: how many a sample has, and how many it has once."""
    each = rows / values
    few = math.floor(each)
    more = each - few
    missed = (1 - share) ** few
    seen = values * (1 - missed * (1 - more * share))
    once = values * share * ((1 - more) * few * missed / (1 - share) + more * (few + 1) * missed)
    return seen, once


def unique_keys(table: TableProfile) -> tuple[tuple[str, ...], ...]:
    """Column lists that are unique over the whole table, the primary key first."""
    constraints = sorted(
        (constraint for constraint in table.constraints if constraint.kind in "pu"),
        key=lambda constraint: constraint.kind != "p",
    )
    indexes = (
        index.columns
        for index in table.indexes
        if index.unique and index.valid and "" not in index.columns
        if " WHERE " not in index.definition
    )
    folded = (
        (match["column"].strip('"').replace('""', '"'),)
        for index in table.indexes
        if index.unique and index.valid and (match := _FOLDED.search(index.definition))
    )
    return (
        *(constraint.columns for constraint in constraints),
        *indexes,
        *folded,
        *(key for one in table.constraints if one.kind == "x" for key in _excluding(table, one)),
    )


def _excluding(table: TableProfile, constraint: Constraint) -> Iterator[tuple[str, ...]]:
    """What must differ for an exclusion constraint to hold: ranges that differ do not overlap here."""
    if " WHERE " in constraint.definition:
        return
    ranges = (c.name for c in table.columns if c.type_kind == "r" and c.name in constraint.columns)
    overlapping = next(ranges, None)
    if overlapping is not None and " WITH &&" in constraint.definition:
        yield (overlapping,)
    elif set(_OPERATOR.findall(constraint.definition)) == {"="}:
        yield constraint.columns


def foreign_key_of(table: TableProfile, column: str) -> ForeignKey | None:
    """The foreign key that a column follows: the first of it alone, else the first that has it."""
    having = [key for key in table.foreign_keys if column in key.columns]
    return min(having, key=lambda key: len(key.columns) > 1, default=None)


def _count(
    table: TableProfile,
    profile: SchemaProfile,
    scale: float,
    counts: dict[str, int],
    above: tuple[str, ...],
) -> int:
    name = table.qualified
    if name in counts:
        return counts[name]
    parts = tuple(units(profile, table))
    if parts != (table,):
        own = {part.qualified for part in parts}
        counts[name] = sum(_count(part, profile, scale, counts, (*above, name)) for part in parts)
        for part in children(profile, table):
            if part.qualified not in own:
                _count(part, profile, scale, counts, (*above, name))
        return counts[name]
    if table.partition_key:  # the server shares its rows out
        counts.update(dict.fromkeys((leaf.qualified for leaf in leaves(profile, table)), 0))
    rows = max(round(table.rows * scale), min(table.rows, 1))
    if not rows:
        rows = round(_named_by_children(table, profile) * scale)
    for key in unique_keys(table):
        room = 1.0
        for column in key:
            room *= _room(table, column, profile, scale, counts, (*above, name))
        rows = int(min(rows, room))
    counts[name] = rows
    return rows


def _room(
    table: TableProfile,
    column_name: str,
    profile: SchemaProfile,
    scale: float,
    counts: dict[str, int],
    above: tuple[str, ...],
) -> float:
    """How many different values a column of a unique key can have; infinite for an open type."""
    column = table.column(column_name)
    if column is None or not column.not_null:
        return math.inf
    key = foreign_key_of(table, column_name)
    if key is not None and len(key.columns) == 1 and key.parent not in above:
        parent = profile.table(key.parent)
        if parent is not None:
            return _count(parent, profile, scale, counts, above)
    if column.base_type == "bool":
        return 2
    return len(column.enum_labels) or math.inf


def _named_by_children(table: TableProfile, profile: SchemaProfile) -> int:
    return max(
        (
            distinct_values(column, child.rows, child.rows)
            for child in profile.tables
            for key in child.foreign_keys
            if key.parent == table.qualified and len(key.columns) == 1
            if (column := child.column(key.columns[0])) is not None and child.rows
            if not column.analyzed or column.n_distinct
        ),
        default=0,
    )
