"""One table while it is filled: which of its rows, how densely, and with which indexes."""

import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from data_gen import ddl
from data_gen.bounds import leaves
from data_gen.copying import Block, Target
from data_gen.density import CLOSE, FEWEST_PAGES, fillfactor, own_fillfactor, wanted_pages
from data_gen.indexing import build_indexes
from data_gen.plan import Plan
from data_gen.profile import TableProfile
from data_gen.rows import blocks

_LARGE_PAGES = 5_000  # a table so large is not filled twice


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTable:
    """One table as it was filled."""

    name: str
    rows: int
    seconds: float  # COPY and indexes
    left_out: tuple[str, ...] = ()  # indexes that the rows made do not allow, with the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of every table is filled here, and what is filled already."""

    number: int = 1  # from 1
    of: int = 1
    filled: Mapping[tuple[str, int], int] = field(default_factory=dict)  # rows by table and part
    resumed: bool = False

    def rows(self, count: int) -> tuple[int, int]:
        """The first of its rows, and the first that is not."""
        return count * (self.number - 1) // self.of, count * self.number // self.of


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """A table and the part of it that is filled here; its plan is made."""

    plan: Plan
    makers: ThreadPoolExecutor  # of blocks
    part: Part
    table: TableProfile

    @property
    def is_done(self) -> bool:
        """Whether an earlier attempt has filled this part."""
        return (self.table.qualified, self.part.number) in self.part.filled

    @property
    def rows(self) -> tuple[int, int]:
        """The first row, and the first that is another part's."""
        count = self.plan.counts[self.table.qualified] if self.plan.columns(self.table) else 0
        return self.part.rows(count)

    def blocks(self, first: int, end: int) -> Generator[Block]:
        """Its rows from one number to another."""
        return blocks(self.plan, self.table, self.makers, first, end)

    def some(self, rows: int) -> Generator[Block]:
        """About so many of its rows, to try something with."""
        return self.blocks(0, min(rows, self.plan.counts[self.table.qualified]))

    def target(self, connection: psycopg.Connection[Any]) -> Target:
        """Where its rows go, and how full its pages are to be."""
        table, filled, pages = self.table, own_fillfactor(self.table), self._wanted_pages()
        if pages >= _LARGE_PAGES and not table.partition_key and self.part.of == 1:
            filled = fillfactor(connection, self.plan, table, pages)
        return Target(table, tuple(self.plan.columns(table)), filled)

    def fuller(self, connection: psycopg.Connection[Any], target: Target) -> Target | None:
        """How to fill a small table that has fewer pages than production's; None where it has not.

        A large one is tried out before it is filled; a small one is filled twice where it must be.
        """
        table = self.table
        pages = self._wanted_pages()
        if self.part.of > 1 or not FEWEST_PAGES <= pages < _LARGE_PAGES or table.partition_key:
            return None
        _, used = target.pages(connection)
        if not used or used >= pages * (1 - CLOSE):
            return None
        filled = fillfactor(connection, self.plan, table, pages)
        return replace(target, fillfactor=filled) if filled != target.fillfactor else None

    def indexed(self, connection: psycopg.Connection[Any], began: float) -> LoadedTable:
        """The table with its indexes, where it is whole."""
        table, (first, end) = self.table, self.rows
        left_out: tuple[str, ...] = ()
        if self.part.of == 1:
            parts = tuple(leaves(self.plan.profile, table)) if table.partition_key else (table,)
            left_out = tuple(
                reason
                for part in parts
                for reason in build_indexes(connection, part, self.plan, standing=self.part.resumed)
            )
            # Before any foreign key stands: checking one takes for ever where nothing is known.
            for part in parts:
                connection.execute(f"ANALYZE {ddl.place_of(part)}".encode())
        return LoadedTable(
            name=table.qualified,
            rows=end - first,
            seconds=time.monotonic() - began,
            left_out=left_out,
        )

    def _wanted_pages(self) -> int:
        rows = self.plan.counts[self.table.qualified]
        return wanted_pages(self.plan.profile, self.table, rows)
