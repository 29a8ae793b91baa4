"""A schema made on the target, and what of it cannot be, found out before any row is loaded.

What stands before the rows is made at once; what comes after them is rehearsed on the empty tables,
in a transaction that is rolled back. So the whole list of what the target refuses is known first.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from data_gen import ddl
from data_gen.errors import DataGenError
from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile

Connect = Callable[[], psycopg.Connection[Any]]

# Keys, references and plain indexes: what any server can make of tables that stand.
_PLAIN = re.compile(
    r"ALTER TABLE \S+ ADD CONSTRAINT \S+ (PRIMARY KEY|UNIQUE|FOREIGN KEY) \([^()]*\)"
    r"( REFERENCES \S+\([^()]*\))?( MATCH FULL)?"
    r"( ON (UPDATE|DELETE) (CASCADE|RESTRICT|SET (NULL|DEFAULT)( \([^()]*\))?))*"
    r"( DEFERRABLE)?( INITIALLY DEFERRED)?( NOT VALID| NOT ENFORCED)?\Z"
    r"|CREATE (UNIQUE )?INDEX \S+ ON \S+ USING btree \([^()]*\)\Z"
)
_SHOWN = 100  # characters of a statement in a reason
_VIRTUAL = 180_000  # the first version with generated columns that are not stored
# What a server says of a statement, rather than of itself.
_REFUSED = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.ProgrammingError,
    psycopg.NotSupportedError,
    psycopg.InternalError,
    psycopg.errors.SystemError,
    psycopg.errors.UndefinedFile,
    psycopg.errors.ObjectNotInPrerequisiteState,
)
_STANDS = (
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateObject,
    psycopg.errors.DuplicateFunction,
    psycopg.errors.InvalidTableDefinition,  # a second primary key
)
_SETTINGS = (
    "SET statement_timeout = 0",
    "SET maintenance_work_mem = '256MB'",
    "SET work_mem = '64MB'",
    "SET synchronous_commit = off",
    "SET check_function_bodies = off",
    "SET client_min_messages = warning",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What stands before the rows are loaded."""

    profile: SchemaProfile  # of what is there: a column of a type that is not there is a text
    left_out: tuple[str, ...]  # with the reason


@contextlib.contextmanager
def opened(connect: Connect, search_path: Sequence[str] = ()) -> Iterator[psycopg.Connection[Any]]:
    """A connection set for bulk work, closed in the end."""
    connection = connect()
    with contextlib.closing(connection):
        connection.autocommit = True
        connection.execute("; ".join(_SETTINGS).encode())
        if search_path:  # bodies of functions name their tables without a schema
            path = sql.SQL(", ").join(map(sql.Identifier, search_path))
            connection.execute(sql.SQL("SET search_path = {}").format(path))
        yield connection


def make(connection: psycopg.Connection[Any], profile: SchemaProfile) -> Made:
    """Everything that stands before the rows, and the reasons of what cannot, rehearsed or made."""
    tables: dict[str, TableProfile] = {}
    left_out: list[str] = []
    for step in ddl.early(profile):
        if step.table is None:
            left_out += build(connection, step.name, (step.sql,))
            continue
        table, reasons = _table(connection, step.table)
        left_out += reasons
        if table is not None:
            tables[table.qualified] = table
    standing = []
    for table in (tables[t.qualified] for t in profile.tables if t.qualified in tables):
        kept = [key for key in table.foreign_keys if key.parent in tables]
        left_out += [
            f"{table.qualified}: foreign key {key.name} leads to {key.parent}, which is not made"
            for key in table.foreign_keys
            if key.parent not in tables
        ]
        standing.append(replace(table, foreign_keys=tuple(kept)))
    return Made(profile=replace(profile, tables=tuple(standing)), left_out=tuple(left_out))


def rehearse(connection: psycopg.Connection[Any], profile: SchemaProfile) -> tuple[str, ...]:
    """What of the rest the target refuses even without rows; nothing of it stands afterwards."""
    left_out: list[str] = []
    views = any("view" in made.kind for made in profile.objects)
    try:
        with connection.transaction(force_rollback=True):
            for step in _after(profile):
                plain = _PLAIN.match(step.sql)
                # A view may group by a primary key alone.
                if not step.on_rows and (plain is None or (views and plain[1] == "PRIMARY KEY")):
                    left_out += _tried(connection, step)
    except psycopg.errors.OutOfMemory:
        left_out.append(
            "not rehearsed to the end: the target's max_locks_per_transaction is too small to make "
            "the whole schema in one transaction; what cannot be made is told when it fails"
        )
    return tuple(left_out)


def own_types(connection: psycopg.Connection[Any]) -> Mapping[str, int]:
    """OIDs of the types that the database has of its own, by name as format_type gives it."""
    query = "SELECT format_type(oid, NULL), oid::bigint FROM pg_type WHERE oid >= 16384"
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")
        return dict(connection.execute(query).fetchall())


def build(
    connection: psycopg.Connection[Any],
    name: str,
    statements: Iterable[str],
    *,
    standing: bool = False,
) -> tuple[str, ...]:
    """Build indexes or constraints of a table; gives those that cannot be, each with the reason.

    Statistics do not tell how columns depend on one another, so rows made from them may break what
    production's hold: an index too few is no reason to lose the rows. With `standing` a part of
    them may be there already, from a run before this one.
    """
    left_out = []
    for statement in statements:
        try:
            connection.execute(statement.encode())
        except _REFUSED as error:
            if not (standing and isinstance(error, _STANDS)):
                left_out.append(_reason(name, statement, error))
    return tuple(left_out)


@contextlib.contextmanager
def told(name: str) -> Iterator[None]:
    """What the server says of a table or its rows, with the table's name and a way out."""
    try:
        yield
    except _REFUSED as error:
        raise DataGenError(
            f"{name}: the server refuses: {_said(error)}; make the target able to hold it "
            "(version, extensions), and generate again"
        ) from error


def _after(profile: SchemaProfile) -> Iterator[ddl.Step]:
    for table in profile.tables:
        if not table.partition_key:
            for statement in ddl.indexes(table):
                yield ddl.Step(name=table.qualified, sql=statement)
    yield from ddl.late(profile)


def _tried(connection: psycopg.Connection[Any], step: ddl.Step) -> tuple[str, ...]:
    try:
        with connection.transaction():
            connection.execute(step.sql.encode())
    except _REFUSED as error:
        return (_reason(step.name, step.sql, error),)
    return ()


def _table(
    connection: psycopg.Connection[Any], table: TableProfile
) -> tuple[TableProfile | None, tuple[str, ...]]:
    """The table as the target can have it; None where it cannot."""
    try:
        connection.execute(ddl.create_table(table).encode())
    except _REFUSED as error:
        fitted, reasons = _fitted(connection, table)
        if fitted == table:
            return None, (f"{table.qualified}: the table is not made: {_said(error)}",)
        failed = build(connection, table.qualified, (ddl.create_table(fitted),))
        return (None if failed else fitted), (*reasons, *failed)
    return table, ()


def _fitted(
    connection: psycopg.Connection[Any], table: TableProfile
) -> tuple[TableProfile, tuple[str, ...]]:
    """The table with a text in the place of each type that the target does not know."""
    columns: list[ColumnProfile] = []
    reasons: list[str] = []
    for column in table.columns:
        wanted = column.declared or column.type
        known = connection.execute("SELECT to_regtype(%s) IS NOT NULL", (wanted,)).fetchone()
        if column.generated == "v" and connection.info.server_version < _VIRTUAL:
            columns.append(replace(column, generated="s"))
            reasons.append(
                f"{table.qualified}.{column.name}: stored, this server has no virtual columns"
            )
        elif known != (True,):
            columns.append(as_text(column))
            reasons.append(
                f"{table.qualified}.{column.name}: a text, the target has no type {wanted}"
            )
        else:
            columns.append(column)
    return replace(table, columns=tuple(columns)), tuple(reasons)


def as_text(column: ColumnProfile) -> ColumnProfile:
    """The column as a text, its type being unknown."""
    return replace(
        column,
        type="text",
        base_type="text",
        declared="",
        type_kind="b",
        element="",
        enum_labels=(),
        default=None,
        generated="",
    )


def _reason(name: str, statement: str, error: psycopg.Error) -> str:
    shown = " ".join(statement.split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} …"
    return f"{name}: {shown}: {_said(error)}"


def _said(error: psycopg.Error) -> str:
    where = f" ({error.diag.context})" if error.diag.context else ""
    return f"{error.diag.message_primary or error}{where}"
