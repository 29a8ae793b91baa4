"""How full the pages of a table are to be, so that it takes as many as production's does.

Space that dead rows left behind is spread over a table's pages, so it is rebuilt by leaving room in
each: a fillfactor for the load alone. Which one is tried out on a sample in a temporary table, for
what a row takes depends on alignment, NULLs, compression and what goes to TOAST.
"""

from contextlib import closing
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from data_gen.bounds import units
from data_gen.cells import HEADER, TRAILER, copy_rows
from data_gen.plan import Plan
from data_gen.profile import SchemaProfile, TableProfile

FULL, _LEAST = 100, 10  # fillfactor's range
_SAMPLE = 10_000  # rows
FEWEST_PAGES = 8  # a smaller table is as it is
CLOSE = 0.01  # a table so near to its size is as it is
_TRIES = 3


def own_fillfactor(table: TableProfile) -> int:
    """The fillfactor that production gave the table."""
    for option in table.options:
        name, _, value = option.partition("=")
        if name == "fillfactor":
            return int(value)
    return FULL


def wanted_pages(profile: SchemaProfile, table: TableProfile, rows: int) -> int:
    """Production's pages in proportion to the rows; 0 where they are not known."""
    parts = (table,) if tuple(units(profile, table)) == (table,) else ()
    pages = sum(part.pages for part in parts)
    return round(pages * rows / table.rows) if table.rows and pages else 0


def fillfactor(
    connection: psycopg.Connection[Any], plan: Plan, table: TableProfile, pages: int
) -> int:
    """The fillfactor with which a table takes about that many pages; its own where it is enough."""
    rows, own = plan.counts[table.qualified], own_fillfactor(table)
    if pages < FEWEST_PAGES or not rows:
        return own
    with closing(connection.cursor()) as cursor:
        sample = _Sample(cursor, plan, table)
        tried = {own: sample.pages(own) * rows / sample.rows}
        best = own
        for _ in range(_TRIES):
            if tried[best] >= pages * (1 - CLOSE):
                break
            guess = max(_LEAST, min(int(best * tried[best] / pages), best - 1))
            if guess in tried or best <= _LEAST:
                break
            tried[guess] = sample.pages(guess) * rows / sample.rows
            best = guess
        return min(tried, key=lambda one: abs(tried[one] - pages))


class _Sample:
    """Some rows of a table, written as often as wanted."""

    def __init__(self, cursor: psycopg.Cursor[Any], plan: Plan, table: TableProfile) -> None:
        self.cursor = cursor
        self.table = table
        self.columns = plan.columns(table)
        count = plan.counts[table.qualified]
        numbers = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
        self.rows = numbers.size
        self.block = bytes(copy_rows([source.cells(numbers) for source in self.columns.values()]))

    def pages(self, filled: int) -> float:
        """Pages that they take, the last one by its share."""
        name = sql.Identifier("pg_temp", "replay_sample")
        like = sql.SQL(
            "CREATE TEMP TABLE replay_sample (LIKE {} INCLUDING STORAGE INCLUDING GENERATED) WITH {}"
        ).format(
            sql.Identifier(self.table.schema, self.table.name),
            sql.SQL(f"(fillfactor = {filled}, autovacuum_enabled = off)"),
        )
        self.cursor.execute("DROP TABLE IF EXISTS pg_temp.replay_sample")
        self.cursor.execute(like)
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            name, sql.SQL(", ").join(map(sql.Identifier, self.columns))
        )
        with self.cursor.copy(copy) as stream:
            stream.write(HEADER + self.block + TRAILER)
        last = self.cursor.execute("SELECT (max(ctid)::text::point)[0] FROM pg_temp.replay_sample")
        (page,) = last.fetchone() or (0,)
        left = self.cursor.execute(
            "SELECT count(*) FILTER (WHERE (ctid::text::point)[0] = %s),"
            " count(*)::float8 / greatest(%s, 1) FROM pg_temp.replay_sample",
            (page, page),
        )
        on_last, each = left.fetchone() or (0, 1.0)
        self.cursor.execute("DROP TABLE pg_temp.replay_sample")
        return float(page) + min(float(on_last) / max(float(each), 1.0), 1.0)
