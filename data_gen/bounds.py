"""What a partition's bound asks of the values in it.

Source of the texts: pg_get_expr of pg_class.relpartbound, PostgreSQL 14 to 18.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile

_RANGE = re.compile(r"FOR VALUES FROM \((?P<low>.*)\) TO \((?P<high>.*)\)\Z", re.DOTALL)
_LIST = re.compile(r"FOR VALUES IN \((?P<values>.*)\)\Z", re.DOTALL)
_ITEM = re.compile(r"'((?:[^']|'')*)'|([^\s,']+)")
_OPEN = frozenset({"MINVALUE", "MAXVALUE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one column of a partition is held to."""

    low: str | None = None  # the least value
    high: str | None = None  # the first one that is too large
    above_low: bool = False  # the least value itself is not safe
    to_high: bool = False  # the high value itself is one
    values: tuple[str, ...] = ()  # nothing but these; (): any
    null: bool = True  # may be NULL
    only_null: bool = False


ANY = Held()


def held(profile: SchemaProfile, table: TableProfile, column: ColumnProfile) -> Held:
    """What the bounds of a table and of all that it is a partition of ask of a column."""
    found = ANY
    while table.bound and (parent := profile.table(table.parents[0])) is not None:
        if column.name in parent.partition_columns:
            one = _held(table.bound, parent, column.name)
            found = one if one != ANY else found
        table = parent
    return found


def squeezed(points: Sequence[int], low: int, high: int) -> Callable[[int], int]:
    """A map of points into low … high that keeps their order: unmoved, moved, or pressed together.

    Scrubbing moves old dates by some days, and a month's rows leave their month by that.
    """
    first, last = min(points, default=low), max(points, default=low)
    if low <= first and last <= high:
        return lambda point: point
    if last - first <= high - low:
        by = low - first if first < low else high - last
        return lambda point: min(max(point + by, low), high)
    return lambda point: low + (point - first) * (high - low) // (last - first)


def is_routed(profile: SchemaProfile, table: TableProfile) -> bool:
    """Whether only the server can say which partition of a table a row belongs to.

    So where rows are shared out by their hash, or by an expression: they are sent to the table.
    """
    return "" in table.partition_columns or any(
        child.bound.startswith("FOR VALUES WITH") for child in children(profile, table)
    )


def children(profile: SchemaProfile, table: TableProfile) -> tuple[TableProfile, ...]:
    """The partitions of a table, those of partitions not."""
    name = table.qualified
    return tuple(one for one in profile.tables if one.bound and one.parents[:1] == (name,))


def leaves(profile: SchemaProfile, table: TableProfile) -> Iterator[TableProfile]:
    """The partitions of a table that hold rows, at any depth."""
    for child in children(profile, table):
        if child.partition_key:
            yield from leaves(profile, child)
        else:
            yield child


def units(profile: SchemaProfile, table: TableProfile) -> Iterator[TableProfile]:
    """The tables in which a partitioned table's rows are made: leaves, or what the server routes."""
    if not table.partition_key or is_routed(profile, table):
        yield table
    else:
        for child in children(profile, table):
            yield from units(profile, child)


def loaded(profile: SchemaProfile) -> tuple[TableProfile, ...]:
    """Every table that rows are sent to, once."""
    return tuple(
        unit for table in profile.tables if not table.bound for unit in units(profile, table)
    )


def _held(bound: str, parent: TableProfile, column: str) -> Held:
    listed = _LIST.match(bound)
    if listed is not None:
        items = _items(listed["values"])
        values = tuple(value for value in items if value is not None)
        return Held(values=values, null=None in items, only_null=not values)
    between = _RANGE.match(bound)
    if between is None:
        return ANY  # by hash, or what no other partition takes
    low, high = _items(between["low"]), _items(between["high"])
    place = parent.partition_columns.index(column)
    if low[:place] != high[:place]:
        return Held(null=False)  # an earlier column decides
    last = place == len(low) - 1
    return Held(
        low=None if low[place] in _OPEN else low[place],
        high=None if high[place] in _OPEN else high[place],
        above_low=not last and low[place] != high[place],
        values=(low[place] or "",) if not last and low[place] == high[place] else (),
        null=False,
    )


def _items(text: str) -> tuple[str | None, ...]:
    return tuple(
        None if plain == "NULL" else plain or quoted.replace("''", "'")
        for quoted, plain in _ITEM.findall(text)
    )
