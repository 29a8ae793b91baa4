"""A partitioned table as the sum of its partitions: its rows, and its statistics where it has none.

Autovacuum never analyses a partitioned table, so most have no statistics of their own, and whoever
asks for a column of it (a parameter that meets it, a key that leads to it) finds those here.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any

import numpy as np

from data_gen.cells import Cells, Piece
from data_gen.profile import ColumnProfile, TableProfile
from data_gen.shuffle import Ints
from data_gen.sources import CellSource

_NUMBERS = frozenset({"int2", "int4", "int8", "oid", "numeric", "float4", "float8"})
_MOST_COMMON = 100
_BUCKETS = 100


def with_statistics(tables: Sequence[TableProfile]) -> tuple[TableProfile, ...]:
    """The tables, partitioned ones with the rows and the statistics of their partitions."""
    done = {table.qualified: table for table in tables}
    below: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        if table.bound and table.parents:
            below[table.parents[0]].append(table.qualified)
    for table in tables:
        if table.partition_key:
            parts = [done[name] for name in _leaves(below, table.qualified) if name in done]
            done[table.qualified] = _summed(table, [p for p in parts if not p.partition_key])
    return tuple(done[table.qualified] for table in tables)


def _leaves(below: dict[str, list[str]], name: str) -> list[str]:
    return [leaf for child in below[name] for leaf in (child, *_leaves(below, child))]


def _summed(table: TableProfile, parts: Sequence[TableProfile]) -> TableProfile:
    return replace(
        table,
        rows=sum(part.rows for part in parts),
        dead_rows=sum(part.dead_rows for part in parts),
        columns=tuple(
            column if column.analyzed else _merged(column, parts) for column in table.columns
        ),
    )


def _merged(column: ColumnProfile, parts: Sequence[TableProfile]) -> ColumnProfile:
    found = [
        (part.rows, theirs)
        for part in parts
        if part.rows and (theirs := part.column(column.name)) is not None and theirs.analyzed
    ]
    total = sum(rows for rows, _ in found)
    if not total:
        return column
    shares = [(rows / total, theirs) for rows, theirs in found]
    common: dict[str, float] = defaultdict(float)
    for share, theirs in shares:
        for value, fraction in zip(theirs.common_values, theirs.common_fractions, strict=True):
            common[value] += share * fraction
    most = sorted(common.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_COMMON]
    correlations = [t.correlation for _, t in found if t.correlation is not None]
    return replace(
        column,
        null_fraction=sum(share * theirs.null_fraction for share, theirs in shares),
        average_width=round(sum(share * theirs.average_width for share, theirs in shares)),
        n_distinct=_distinct(found, total),
        common_values=tuple(value for value, _ in most),
        common_fractions=tuple(fraction for _, fraction in most),
        histogram=_histogram(column, shares),
        correlation=sum(correlations) / len(correlations) if correlations else None,
        analyzed=True,
    )


def _distinct(found: Sequence[tuple[int, ColumnProfile]], total: int) -> float:
    """Partitions that count their values by their rows have values of their own; others share."""
    if all(column.n_distinct < 0 for _, column in found):
        return sum(column.n_distinct * rows for rows, column in found) / total
    return max(
        column.n_distinct if column.n_distinct > 0 else -column.n_distinct * rows
        for rows, column in found
    )


def _histogram(
    column: ColumnProfile, shares: Sequence[tuple[float, ColumnProfile]]
) -> tuple[str, ...]:
    """Bounds of all partitions, each with its partition's share, cut into even parts."""

    def order(pair: tuple[str, float]) -> Any:
        try:
            return Decimal(pair[0]) if column.base_type in _NUMBERS else pair[0]
        except InvalidOperation:
            return Decimal(0)

    bounds = sorted(
        (
            (bound, share / len(theirs.histogram))
            for share, theirs in shares
            for bound in theirs.histogram
        ),
        key=order,
    )
    if not bounds:
        return ()
    sums = list(accumulate(weight for _, weight in bounds))
    cuts = min(_BUCKETS, len(bounds) - 1)
    places = (bisect_left(sums, sums[-1] * cut / max(cuts, 1)) for cut in range(cuts + 1))
    return tuple(bounds[min(place, len(bounds) - 1)][0] for place in places)


@dataclass(frozen=True, slots=True, eq=False)
class Stacked:
    """A column of a partitioned table: its partitions' rows, one after the other."""

    ends: Ints  # rows up to and with each partition
    columns: tuple[CellSource | None, ...]  # None where a partition leaves it empty

    def cells(self, rows: Ints) -> Cells:
        """The values of some rows, from the partitions they stand in."""
        which = np.searchsorted(self.ends, rows, side="right")
        null = np.zeros(rows.size, bool)
        pieces: list[Piece] = []
        for number in np.unique(which):
            column, here = self.columns[number], which == number
            if column is None:
                null |= here
                continue
            first = 0 if number == 0 else int(self.ends[number - 1])
            made = column.cells(np.where(here, rows - first, 0))
            pieces += [piece.only(here) for piece in made.pieces]
            if made.null is not None:
                null |= made.null & here
        return Cells(tuple(pieces) or (Piece(np.zeros((rows.size, 0), np.uint8)),), null)

    def decode(self, raw: bytes) -> str:
        """As any of the partitions prints it."""
        return next(column for column in self.columns if column is not None).decode(raw)
