"""One table's rows sent to the server as COPY BINARY, on as many pages as production's take.

A table is truncated and filled in one transaction, frozen: nothing is left for the first reader or
for autovacuum to do, and with wal_level=minimal nothing is logged. What production's vacuum had not
come to yet is not frozen here either.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.copy import LibpqWriter
from psycopg.generators import copy_to

from data_gen.bounds import units
from data_gen.cells import HEADER, TRAILER
from data_gen.density import CLOSE, FEWEST_PAGES, own_fillfactor, wanted_pages
from data_gen.names import split
from data_gen.plan import Plan
from data_gen.profile import TableProfile

Block = tuple[int, memoryview]  # rows, and their bytes
Sent = Callable[[int], None]  # so many rows more

_CHUNK = 1 << 18  # bytes handed to libpq at once: with more it moves what it holds about
_AHEAD_SINCE = 160_000  # from this version on a bulk load extends a file by many pages at once
_MOST_AHEAD = 64  # pages (MAX_BUFFERS_TO_EXTEND_BY)
_TRUNCATED = 1 / 16  # of a file's pages: VACUUM gives so many empty ones at its end back
_NEARLY_ALL = 0.98
_FEW = 0.01  # of the rows


class _Writer(LibpqWriter):
    """Waits until the server has taken what it is given: libpq would hold it, without a bound."""

    def write(self, data: Buffer) -> None:
        """Send some bytes."""
        pgconn = self.connection.pgconn
        for start in range(0, len(data), _CHUNK):
            self.connection.wait(copy_to(pgconn, data[start : start + _CHUNK], flush=True))


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where a table's rows go, and how."""

    table: TableProfile
    columns: tuple[str, ...]
    fillfactor: int

    def truncate(self, connection: psycopg.Connection[Any]) -> None:
        """Take away what an earlier run left, and set how full the pages will be."""
        only = "" if self.table.partition_key else "ONLY "
        connection.execute(sql.SQL(f"TRUNCATE {only}{{}}").format(self._place()))
        if self.fillfactor != own_fillfactor(self.table):
            setting = sql.SQL(f"SET (fillfactor = {self.fillfactor})")
            connection.execute(sql.SQL("ALTER TABLE {} ").format(self._place()) + setting)

    def restore(self, connection: psycopg.Connection[Any]) -> None:
        """Production's fillfactor again."""
        if self.fillfactor != own_fillfactor(self.table):
            self._restore(connection)

    def _restore(self, connection: psycopg.Connection[Any]) -> None:
        own = next((o for o in self.table.options if o.startswith("fillfactor=")), None)
        setting = sql.SQL(f"SET ({own})" if own else "RESET (fillfactor)")
        connection.execute(sql.SQL("ALTER TABLE {} ").format(self._place()) + setting)

    def rewrite(self, connection: psycopg.Connection[Any], changed: int, rows: int) -> None:
        """Let a table in which many rows were mended have its pages without the rows before that."""
        if self.table.partition_key or changed <= rows * _FEW:
            return
        place = self._place()
        setting = sql.SQL(f"SET (fillfactor = {self.fillfactor})")
        connection.execute(sql.SQL("ALTER TABLE {} ").format(place) + setting)
        try:
            connection.execute(sql.SQL("VACUUM (FULL) {}").format(place))
        finally:
            self._restore(connection)
        if self.table.visible_pages:
            connection.execute(sql.SQL("VACUUM {}").format(place))

    def copy(
        self,
        connection: psycopg.Connection[Any],
        blocks: Iterable[Block],
        sent: Sent,
        *,
        frozen: bool,
    ) -> None:
        """Send blocks; while some are sent, the next are made."""
        statement = sql.SQL("COPY {} ({}) FROM STDIN ({})").format(
            sql.Identifier(*split(_sent_to(self.table))),
            sql.SQL(", ").join(map(sql.Identifier, self.columns)),
            sql.SQL("FORMAT binary, FREEZE" if frozen else "FORMAT binary"),
        )
        cursor = connection.cursor()
        with cursor.copy(statement, writer=_Writer(cursor)) as stream:
            stream.write(HEADER)
            for rows, block in blocks:
                stream.write(block)
                sent(rows)
            stream.write(TRAILER)

    def trim(
        self,
        connection: psycopg.Connection[Any],
        plan: Plan,
        some: Callable[[int], Iterable[Block]],
    ) -> None:
        """Give back the empty pages that a bulk load leaves behind the last row.

        VACUUM does so where they are a sixteenth of the file; where they are fewer, and still too
        many, rows of a transaction that is rolled back make up for it.
        """
        rows = plan.counts[self.table.qualified]
        wanted = wanted_pages(plan.profile, self.table, rows)
        most = _MOST_AHEAD / CLOSE
        if connection.info.server_version < _AHEAD_SINCE or not FEWEST_PAGES < wanted < most:
            return
        size, used = self.pages(connection)
        if size - used <= CLOSE * used:
            return
        lacking = round(size * _TRUNCATED * 1.1) + 1 - (size - used)
        if lacking > 0:
            with connection.transaction(force_rollback=True):
                self.copy(
                    connection, some(lacking * rows // used + 1), lambda _: None, frozen=False
                )
        connection.execute(sql.SQL("VACUUM {}").format(self._place()))

    def pages(self, connection: psycopg.Connection[Any]) -> tuple[int, int]:
        """Pages of the table's file, and those up to the last row."""
        place = self._place()
        found = connection.execute(
            sql.SQL(
                "SELECT pg_relation_size({}) / current_setting('block_size')::int,"
                " (max(ctid)::text::point)[0]::int + 1 FROM ONLY {}"
            ).format(sql.Literal(place.as_string(connection)), place)
        ).fetchone()
        return found if found is not None and found[1] is not None else (0, 0)

    def _place(self) -> sql.Identifier:
        return sql.Identifier(self.table.schema, self.table.name)


def frozen_rows(plan: Plan, table: TableProfile) -> int:
    """How many of a table's rows, from the first on, production's vacuum had been over."""
    rows = plan.counts[table.qualified]
    if tuple(units(plan.profile, table)) != (table,) or table.partition_key:
        return 0
    if table.bound == "DEFAULT":  # its rows go by way of the parent
        return 0
    if table.visible_pages < 0 or not table.pages:
        return rows
    share = table.visible_pages / table.pages
    return rows if share >= _NEARLY_ALL else round(rows * share)


def _sent_to(table: TableProfile) -> str:
    """The table that COPY names: rows of a default partition may be another one's after all."""
    return table.parents[0] if table.bound == "DEFAULT" else table.qualified
