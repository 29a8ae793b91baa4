"""Rows of generated tables: any block, any cell, from the profile alone.

Nothing here looks at another row: a value depends on scale, seed, base time, table, column and row
number only, so blocks may be made in any order, anywhere, and one value can be told again later.
"""

import functools
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Executor, Future
from datetime import datetime

import numpy as np

from data_gen.cells import Cells, copy_rows
from data_gen.plan import Plan
from data_gen.profile import SchemaProfile, TableProfile
from data_gen.shuffle import Ints

_PLANS = 4  # plans kept for `planned`: a program works with one or two targets
_BLOCK_BYTES = 1 << 22  # what is laid out stays in the cache
_BLOCK_ROWS = 1 << 16
_AHEAD = 4  # blocks
_TRIED_ROWS = 64


def column_values(
    profile: SchemaProfile,
    table: str,
    column: str,
    rows: Ints,
    *,
    scale: float,
    seed: int,
    base_time: datetime,
) -> list[str | None]:
    """Cells of one column in PostgreSQL's text form, one a row number; None is NULL.

    A row number beyond the table's end has no value, nor has a column that is left to its default.
    """
    plan = planned(profile, scale, seed, base_time)
    found = plan.profile.table(table)
    source = plan.columns(found).get(column) if found is not None else None
    count = plan.counts[found.qualified] if found is not None else 0
    if source is None or not count:
        return [None] * rows.size
    raw = source.cells(rows % count).raw()
    inside = rows < count
    return [
        source.decode(value) if value is not None and here else None
        for value, here in zip(raw, inside, strict=True)
    ]


def looks(
    profile: SchemaProfile,
    table: str,
    column: str,
    *,
    scale: float,
    seed: int,
    base_time: datetime,
) -> tuple[Ints, Ints] | None:
    """What the rows of a key look like, by position of the key: kinds by their values, and their children.

    Rows of one kind have the same codes in the table's joint. None where that has none.
    """
    plan = planned(profile, scale, seed, base_time)
    found = plan.profile.table(table)
    if found is None or not plan.columns(found):
        return None
    made = plan.planned.get(found.qualified)
    return None if made is None else made.kin.looks(column)


def planned(profile: SchemaProfile, scale: float, seed: int, base_time: datetime) -> Plan:
    """The plan of all that is generated so; kept for who asks again."""
    return _plan(_Same(profile), scale, seed, base_time)


def blocks(
    plan: Plan, table: TableProfile, makers: Executor, begin: int, end: int
) -> Generator[tuple[int, memoryview]]:
    """Rows of a table as parts of a COPY BINARY stream, with the number of rows in each.

    In order, and made ahead by the threads of `makers`: numpy leaves them room beside one another.
    """
    step = _block_rows(plan, table)
    pending: deque[Future[tuple[int, memoryview]]] = deque()
    try:
        for first in range(begin, end, step):
            pending.append(makers.submit(_block, plan, table, first, min(first + step, end)))
            if len(pending) > _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _block(plan: Plan, table: TableProfile, first: int, end: int) -> tuple[int, memoryview]:
    rows = np.arange(first, end, dtype=np.int64)
    return rows.size, copy_rows(_cells(plan, table, rows))


def _cells(plan: Plan, table: TableProfile, rows: Ints) -> Sequence[Cells]:
    return [source.cells(rows) for source in plan.columns(table).values()]


def _block_rows(plan: Plan, table: TableProfile) -> int:
    """So many rows that their padded values stay within some megabytes."""
    tried = np.arange(min(_TRIED_ROWS, plan.counts[table.qualified]), dtype=np.int64)
    width = sum(4 + cells.width for cells in _cells(plan, table, tried))
    return max(min(_BLOCK_BYTES // max(width, 1), _BLOCK_ROWS), 1)


class _Same:
    """A profile as a key of a cache: the very object, not what it holds."""

    def __init__(self, profile: SchemaProfile) -> None:
        self.profile = profile

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.profile is other.profile

    def __hash__(self) -> int:
        return id(self.profile)


@functools.lru_cache(maxsize=_PLANS)
def _plan(same: _Same, scale: float, seed: int, base_time: datetime) -> Plan:
    return Plan(same.profile, scale=scale, seed=seed, base_time=base_time)
