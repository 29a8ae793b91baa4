"""How the audit asks a server: statements executed on data, or only planned on restored statistics."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import psycopg

from replay.conduct.examples import Bound
from replay.diagnose.scans import PlanFigures
from replay.gap import Candidate
from replay.watch import plans
from replay.workload import Template

_SIZES = """
SELECT n.nspname || '.' || c.relname, pg_table_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')
"""
_BLOCK = 8192

Asked = Iterable[tuple[str, str, tuple[str | None, ...]]]  # name, SQL with `$n`, values


def sizes(connection: psycopg.Connection) -> dict[str, int]:
    """Bytes of each table, by its qualified name."""
    return dict(connection.execute(_SIZES).fetchall())


class Trials(Protocol):
    """A database that statements are tried on, and indexes."""

    connection: psycopg.Connection
    bytes_of: Mapping[str, int]  # of each table

    def explain(self, asked: Asked) -> dict[str, Any]:
        """Plans, as watch.plans has them."""

    def took_ms(self, template: Template, plan: PlanFigures, error: str) -> float | None:
        """How long one execution takes, at least."""

    def measured(self, bound: Bound, plan: PlanFigures, *, generic: bool) -> "Measured | None":
        """What one execution costs now."""

    def built(self, index: Candidate) -> AbstractContextManager[tuple[float, int]]:
        """The index, for the length of the block: (seconds that it took to build, bytes)."""


Measured = tuple[float, int, float | None]  # cost, blocks read (0: not known), ms


class Executed:
    """On data: each statement is executed, each index built, and all of it rolled back."""

    def __init__(self, connection: psycopg.Connection, timeout_ms: int) -> None:
        self.connection = connection
        self.bytes_of: Mapping[str, int] = sizes(connection)
        self._timeout_ms = timeout_ms

    def explain(self, asked: Asked) -> dict[str, Any]:
        """Plans of executions that are rolled back."""
        return plans.explain(self.connection, asked, timeout_ms=self._timeout_ms)

    def took_ms(self, _template: Template, plan: PlanFigures, error: str) -> float | None:
        """What the execution took, or the timeout where it was broken off."""
        return plan.execution_ms or (self._timeout_ms if error else None)

    def measured(self, bound: Bound, plan: PlanFigures, *, generic: bool) -> Measured | None:
        """The cost of the plan in question, and what an execution read and took."""
        entry = self.explain([("it", *bound)]).get("it", {})
        document = entry.get("generic") if generic else entry.get("plan")
        if not document:
            return None
        top = document[0]["Plan"]
        executed = document if "Execution Time" in document[0] else entry["plan"]
        counted = executed[0]["Plan"]
        blocks = sum(int(counted.get(f"Shared {name} Blocks", 0)) for name in ("Hit", "Read"))
        if "Execution Time" not in executed[0]:  # it took too long: what it would have read
            blocks = sum(self.bytes_of.get(scan.relation, 0) // _BLOCK for scan in plan.scans)
        return float(top["Total Cost"]), blocks, executed[0].get("Execution Time")

    @contextlib.contextmanager
    def built(self, index: Candidate) -> Iterator[tuple[float, int]]:
        """The index, really built."""
        size = (
            "SELECT coalesce(sum(pg_relation_size(indexrelid)), 0) FROM pg_index WHERE indrelid = "
        )
        asked = f"{size} '{index.table}'::regclass".encode()
        with self.connection.transaction(force_rollback=True):
            began = time.monotonic()
            before = self.connection.execute(asked).fetchone()
            self.connection.execute(index.plain.encode())
            if any("(" in key for key in index.keys):
                self.connection.execute(f"ANALYZE {index.table}".encode())
            elapsed = time.monotonic() - began
            after = self.connection.execute(asked).fetchone()
            assert before is not None
            assert after is not None
            yield round(elapsed, 3), int(after[0] - before[0])
