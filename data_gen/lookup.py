"""Rows of a generated table by what stands in some of their columns, without the table itself."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from data_gen.agreeing import MOST, base_of, points_of
from data_gen.cells import Cells
from data_gen.plan import Plan
from data_gen.profile import SchemaProfile
from data_gen.rows import planned
from data_gen.shuffle import Ints
from data_gen.sources import Borrowed, Filled

_MOST_VALUES = 1 << 18  # of a column, that are looked up by their text
_INDEXES = 64  # columns that are kept


@dataclass(frozen=True, slots=True, eq=False)
class _Index:
    """The rows of each value."""

    texts: Mapping[str, int]  # value -> its place in `ends`
    order: Ints  # rows, value by value
    ends: Ints

    def rows(self, text: str) -> Ints:
        """Those with that value."""
        place = self.texts.get(text)
        if place is None:
            return self.order[:0]
        return self.order[self.ends[place - 1] if place else 0 : self.ends[place]]


def rows_with(
    profile: SchemaProfile,
    table: str,
    values: Mapping[str, str],
    *,
    scale: float,
    seed: int,
    base_time: datetime,
) -> Ints | None:
    """Numbers of the rows that have these values, in PostgreSQL's text form; None: not known.

    Tables of some million rows, and columns of many values that differ, are not looked up.
    """
    plan = planned(profile, scale, seed, base_time)
    found: Ints | None = None
    for name, text in values.items():
        index = _index(plan, table, name)
        if index is None:
            return None
        rows = index.rows(text)
        found = rows if found is None else np.intersect1d(found, rows, assume_unique=True)
    return found


@functools.lru_cache(maxsize=_INDEXES)
def _index(plan: Plan, table: str, name: str) -> _Index | None:
    found = plan.profile.table(table)
    column = plan.columns(found).get(name) if found is not None else None
    if found is None or column is None or plan.counts[found.qualified] > MOST:
        return None
    base = base_of(column)
    if base is None:
        return None
    count = plan.counts[found.qualified]
    points, places = np.unique(points_of(column, count), return_inverse=True)
    if points.size > _MOST_VALUES:
        return None
    rows = np.arange(count, dtype=np.int64)
    if isinstance(column, Filled | Borrowed) and column.nulls is not None:
        rows = rows[~column.nulls.flags(rows)]
    order = rows[np.argsort(places[rows], kind="stable")]
    ends = np.cumsum(np.bincount(places[rows], minlength=points.size))
    raws = Cells(base.encode(points)).raw()
    texts = {base.decode(raw): n for n, raw in enumerate(raws) if raw is not None}
    return _Index(texts, order, ends)
