"""Tables of a profile made in a database: created, filled, indexed, analysed.

Rows go in before any index or constraint stands, so tables may be filled in any order, several at
once, and by several machines. Work that was interrupted goes on where it broke off; what a fault of
the data ended is dropped again.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import psycopg

from data_gen import ddl
from data_gen.bounds import loaded
from data_gen.build import Connect, as_text, build, make, opened, own_types, rehearse
from data_gen.errors import DataGenError
from data_gen.fill import Progress, fill
from data_gen.filling import LoadedTable, Part
from data_gen.indexing import build_indexes
from data_gen.journal import Begun, Journal, Settings
from data_gen.mend import mend
from data_gen.plan import Plan
from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile
from data_gen.selection import selected


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is wanted of `generate`."""

    # The moment that the data takes for now.
    base_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    scale: float = 1.0
    seed: int = 0
    jobs: int = 1
    tables: tuple[str, ...] = ()  # names of those that get rows, and what their keys lead to
    small: int | None = None  # and those of at most so many rows
    part: tuple[int, int] = (1, 1)  # which of how many slices
    strict: bool = False  # nothing is loaded where a part of the schema cannot be made
    replace: bool = False  # what stands there of the profile's tables is dropped first
    workload: str = ""  # its identity: another's work is not gone on with

    def settings(self, profile: SchemaProfile) -> Settings:
        """What decides about the rows."""
        return Settings(
            seed=self.seed,
            scale=self.scale,
            slices=self.part[1],
            tables=selected(profile, self.tables, self.small),
            workload=self.workload,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What `generate` made."""

    tables: tuple[LoadedTable, ...]
    seconds: float  # all of it, constraints and ANALYZE included
    base_time: datetime  # an earlier run's, where this one went on with it
    left_out: tuple[str, ...] = ()  # what could not be made, with the reason
    missing: int = 0  # parts that other runs are still to fill; the schema is not finished then


def generate(
    profile: SchemaProfile,
    connect: Connect,
    order: Order,
    *,
    progress: Progress | None = None,
    listed: Callable[[Sequence[str]], None] | None = None,
) -> Loaded:
    """Make and fill the tables of a profile in a database that has none of them.

    Tables are filled over `order.jobs` connections. What the target refuses is given to `listed`
    before the first row is loaded; with `order.strict` that is the end of it. Indexes and
    constraints that the rows made break are left out, and told. Raises DataGenError where a table
    stands already, or where the server refuses rows; what was made is dropped again then. When the
    work is interrupted, or the server fails, what is filled stays, and the same order goes on.
    """
    began = time.monotonic()
    settings = order.settings(profile)
    with opened(connect, profile.search_path) as connection:
        journal = Journal(connection)
        journal.lock()
        try:
            begun = _begun(connection, profile, order, settings, journal)
            if listed is not None:
                listed(begun.left_out)
            _require_whole((*profile.unsupported, *begun.left_out) if order.strict else ())
            made = _as_made(profile, begun)
            filled = journal.filled()
        except DataGenError:
            _drop_own(connect, profile, journal, settings)
            raise
        finally:
            journal.unlock()
        plan = Plan(
            made,
            scale=order.scale,
            seed=order.seed,
            base_time=begun.base_time,
            oids=own_types(connection),
            only=settings.tables,
        )
        part = Part(number=order.part[0], of=order.part[1], filled=filled, resumed=bool(filled))
        try:
            tables = fill(plan, connect, order.jobs, progress, part)
            left_out, missing = _finish(connection, plan, journal, part)
        except DataGenError:
            _drop(connect, profile)
            raise
    broken = (*(reason for table in tables for reason in table.left_out), *left_out)
    return Loaded(
        tables=tables,
        seconds=time.monotonic() - began,
        base_time=begun.base_time,
        left_out=tuple(dict.fromkeys((*begun.left_out, *broken))),
        missing=missing,
    )


def _begun(
    connection: psycopg.Connection[Any],
    profile: SchemaProfile,
    order: Order,
    settings: Settings,
    journal: Journal,
) -> Begun:
    """The schema as it stands: prepared now, or by the run that this one goes on with."""
    if order.replace:
        _undo(connection, profile)
        journal.end()
    begun = journal.begun()
    if begun is not None and begun.settings == settings:
        return begun
    _refuse_existing(connection, profile, begun)
    made = make(connection, profile)
    left_out = (*made.left_out, *rehearse(connection, made.profile))
    journal.begin(settings, order.base_time, left_out, profile, made.profile)
    written = journal.begun()
    assert written is not None
    return written


def _as_made(profile: SchemaProfile, begun: Begun) -> SchemaProfile:
    """The profile of what stands on the target."""

    def column(table: TableProfile, one: ColumnProfile) -> ColumnProfile:
        if (table.qualified, one.name) in begun.texts:
            return as_text(one)
        if (table.qualified, one.name) in begun.stored:
            return replace(one, generated="s")
        return one

    standing = (table for table in profile.tables if table.qualified not in begun.absent)
    return replace(
        profile,
        tables=tuple(
            replace(
                table,
                columns=tuple(column(table, one) for one in table.columns),
                foreign_keys=tuple(k for k in table.foreign_keys if k.parent not in begun.absent),
            )
            for table in standing
        ),
    )


def _finish(
    connection: psycopg.Connection[Any], plan: Plan, journal: Journal, part: Part
) -> tuple[tuple[str, ...], int]:
    """Constraints, sequences, views, triggers, statistics, when all parts are in.

    Gives what could not be made, and how many parts are missing still.
    """
    journal.lock()
    try:
        filled = journal.filled()
        units = loaded(plan.profile)
        missing = part.of - min(
            (sum((unit.qualified, n) in filled for n in range(1, part.of + 1)) for unit in units),
            default=part.of,
        )
        if missing:
            return (), missing
        left_out = _finished(connection, plan, part)
        journal.end()
        return left_out, 0
    finally:
        journal.unlock()


def _finished(connection: psycopg.Connection[Any], plan: Plan, part: Part) -> tuple[str, ...]:
    profile = plan.profile
    left_out: list[str] = []
    if part.of > 1:
        for table in profile.tables:
            if not table.partition_key:
                mend(connection, table)
                connection.execute(f"VACUUM {ddl.place_of(table)}".encode())
                left_out += build_indexes(connection, table, plan, standing=True)
                connection.execute(f"ANALYZE {ddl.place_of(table)}".encode())
    for step in ddl.late(profile):
        left_out += build(connection, step.name, (step.sql,), standing=part.resumed)
    for table in profile.tables:
        if table.partition_key:  # what its partitions tell together
            connection.execute(f"ANALYZE {ddl.place_of(table)}".encode())
    for made in profile.objects:
        if made.filled:
            left_out += build(connection, made.name, (f"ANALYZE {made.name}",))
    return tuple(left_out)


def _require_whole(left_out: Sequence[str]) -> None:
    if left_out:
        raise DataGenError(
            f"{len(left_out)} parts of the schema cannot be made here, and nothing was loaded; "
            "make the target able to hold them, or do without --strict"
        )


def _refuse_existing(
    connection: psycopg.Connection[Any], profile: SchemaProfile, begun: Begun | None
) -> None:
    names = [ddl.place_of(table) for table in profile.tables]
    query = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
    existing = [row[0] for row in connection.execute(query, (names,)).fetchall()]
    if not existing:
        return
    unfinished = (
        "; an earlier run with other options did not finish it, and the same options go on with it"
        if begun is not None
        else ""
    )
    raise DataGenError(
        f"{existing[0]} stands already in database {connection.info.dbname!r}"
        f"{_further(existing)}: generate only fills an empty one; make a new database, mark it "
        f"as staging and name it as the target, or have what stands there dropped with --replace"
        f"{unfinished}"
    )


def _further(existing: Sequence[str]) -> str:
    return f", and {len(existing) - 1} tables more" if len(existing) > 1 else ""


def _drop_own(
    connect: Connect, profile: SchemaProfile, journal: Journal, settings: Settings
) -> None:
    """Take away what this very order prepared."""
    begun = journal.begun()
    if begun is not None and begun.settings == settings and not journal.filled():
        _drop(connect, profile)


def _drop(connect: Connect, profile: SchemaProfile) -> None:
    """Take away what was made; whatever cannot be reached any more is left as it is."""
    with contextlib.suppress(psycopg.Error), opened(connect) as connection:
        _undo(connection, profile)
        Journal(connection).end()


def _undo(connection: psycopg.Connection[Any], profile: SchemaProfile) -> None:
    for statement in ddl.undo(profile):
        with contextlib.suppress(psycopg.ProgrammingError):
            connection.execute(statement.encode())
