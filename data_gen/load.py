"""Tables of a profile made in an empty database: created, filled, indexed, analysed.

Rows go in before any index or constraint stands, so tables may be filled in any order, and several
at once. What was made is dropped again when anything fails.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from data_gen import ddl
from data_gen.build import Connect, build, make, opened, own_types, rehearse
from data_gen.errors import DataGenError
from data_gen.fill import LoadedTable, Progress, fill
from data_gen.plan import Plan
from data_gen.profile import SchemaProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What `generate` made."""

    tables: tuple[LoadedTable, ...]
    seconds: float  # all of it, constraints and ANALYZE included
    left_out: tuple[str, ...] = ()  # what could not be made, with the reason


def generate(
    profile: SchemaProfile,
    connect: Connect,
    *,
    scale: float = 1.0,
    seed: int = 0,
    base_time: datetime,
    jobs: int = 1,
    strict: bool = False,
    progress: Progress | None = None,
    listed: Callable[[Sequence[str]], None] | None = None,
) -> Loaded:
    """Make and fill all tables of a profile in a database that has none of them.

    `jobs` tables are filled at a time, each over a connection of its own. What the target refuses
    is given to `listed` before the first row is loaded; with `strict` that is the end of it, and
    DataGenError is raised. Indexes and constraints that the rows made break are left out, and told.
    Raises DataGenError where a table stands already, or where the server refuses rows; what was
    made is dropped again then, and when the work is interrupted.
    """
    began = time.monotonic()
    with opened(connect, profile.search_path) as connection:
        _refuse_existing(connection, profile)
        try:
            made = make(connection, profile)
            known = (*made.left_out, *rehearse(connection, made.profile))
            if listed is not None:
                listed(known)
            _require_whole((*profile.unsupported, *known) if strict else ())
            plan = Plan(
                made.profile,
                scale=scale,
                seed=seed,
                base_time=base_time,
                oids=own_types(connection),
            )
            tables = fill(plan, connect, jobs, progress)
            left_out = _finish(connection, made.profile)
        except BaseException:
            _drop(connect, profile)
            raise
    broken = (*(reason for table in tables for reason in table.left_out), *left_out)
    return Loaded(
        tables=tables,
        seconds=time.monotonic() - began,
        left_out=tuple(dict.fromkeys((*known, *broken))),
    )


def _finish(connection: psycopg.Connection[Any], profile: SchemaProfile) -> tuple[str, ...]:
    """Constraints, sequences, views, triggers, statistics; gives what could not be."""
    left_out: list[str] = []
    for step in ddl.late(profile):
        left_out += build(connection, step.name, (step.sql,))
    for table in profile.tables:
        place = sql.Identifier(table.schema, table.name)
        connection.execute(sql.SQL("ANALYZE {}").format(place))
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


def _refuse_existing(connection: psycopg.Connection[Any], profile: SchemaProfile) -> None:
    names = [ddl.place_of(table) for table in profile.tables]
    query = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
    existing = [row[0] for row in connection.execute(query, (names,)).fetchall()]
    if existing:
        raise DataGenError(
            f"{existing[0]} stands already in database {connection.info.dbname!r}"
            f"{_further(existing)}: generate only fills an empty one; make a new database, mark it "
            "as staging and name it as the target"
        )


def _further(existing: Sequence[str]) -> str:
    return f", and {len(existing) - 1} tables more" if len(existing) > 1 else ""


def _drop(connect: Connect, profile: SchemaProfile) -> None:
    """Take away what was made; whatever cannot be reached any more is left as it is."""
    with contextlib.suppress(psycopg.Error), opened(connect) as connection:
        for statement in ddl.undo(profile):
            with contextlib.suppress(psycopg.ProgrammingError):
                connection.execute(statement.encode())
