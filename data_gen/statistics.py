"""A profile's schema without its rows, and its statistics restored onto it (PostgreSQL 18).

The planner then estimates as production's does, as soon as the tables' files have production's size
as well: it asks how many blocks there are, and for nothing that is in them.
"""

import re
from collections.abc import Iterator
from typing import Any

import psycopg

from data_gen import ddl
from data_gen.build import build, make
from data_gen.names import dotted
from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile

VERSION = 18  # pg_restore_relation_stats and pg_restore_attribute_stats (manual, 9.28.12)
_PAGE = 8192
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_RELATION = """
SELECT pg_restore_relation_stats('schemaname', %s::text, 'relname', %s::text, 'relpages', %s::int,
                                 'reltuples', %s::real, 'relallvisible', %s::int)
"""
_EXPRESSIONS = """
SELECT a.attname::text, pg_get_indexdef(i.indexrelid, a.attnum, false)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = i.indexrelid
WHERE n.nspname = %s AND c.relname = %s AND a.attnum <= i.indnkeyatts AND i.indkey[a.attnum - 1] = 0
"""
_LEAF_FILL = 0.9  # of a btree's pages
_TUPLE_BYTES = 16  # of an index: its header, and its place in the page


def bare(connection: psycopg.Connection[Any], profile: SchemaProfile) -> tuple[str, ...]:
    """Make the schema without a row; gives what could not be made, with the reason."""
    made = make(connection, profile)
    left_out = list(made.left_out)
    for table in made.profile.tables:
        if not table.partition_key:
            left_out += build(connection, table.qualified, ddl.indexes(table))
    for step in ddl.late(made.profile):
        if not step.on_rows:
            left_out += build(connection, step.name, (step.sql,))
    return tuple(left_out)


def restore(connection: psycopg.Connection[Any], profile: SchemaProfile) -> tuple[str, ...]:
    """Restore what ANALYZE and VACUUM left in production; gives what the server does not take."""
    refused: list[str] = []
    for table in profile.tables:
        restore_size(connection, table)
        for name, pages in index_pages(table):
            restore_index(connection, table, name, pages)
        refused += [
            f"{table.qualified}.{column.name}: statistics not taken: {why}"
            for column in table.columns
            if column.analyzed and (why := _restore_column(connection, table, column))
        ]
    return tuple(refused)


def restore_size(connection: psycopg.Connection[Any], table: TableProfile) -> None:
    """The table's pages and rows, which building an index on it forgets."""
    pages = -1 if table.partition_key else table.pages
    _relation(connection, table.schema, table.name, pages, table.rows, max(table.visible_pages, 0))


def restore_index(
    connection: psycopg.Connection[Any], table: TableProfile, name: str, pages: int
) -> None:
    """Pages and rows of an index.

    An expression is taken to tell rows apart as well as the column that it is made of.
    """
    _relation(connection, table.schema, name, pages, table.rows, 0)
    for place, expression in connection.execute(_EXPRESSIONS, (table.schema, name)).fetchall():
        words = set(re.findall(r"\w+", expression))
        made_of = [one for one in table.columns if one.name in words and one.analyzed]
        if made_of:
            most = max(made_of, key=lambda one: _distinct(one, table.rows))
            connection.execute(
                "SELECT pg_restore_attribute_stats('schemaname', %s::text, 'relname', %s::text, "
                "'attname', %s::text, 'inherited', false, 'null_frac', %s::real, 'avg_width', "
                "%s::int, 'n_distinct', %s::real)",
                (
                    *(table.schema, name, place),
                    *(most.null_fraction, most.average_width, most.n_distinct),
                ),
            )


def _distinct(column: ColumnProfile, rows: int) -> float:
    return column.n_distinct if column.n_distinct >= 0 else -column.n_distinct * rows


def index_pages(table: TableProfile) -> Iterator[tuple[str, int]]:
    """(name, pages) of each of production's indexes of a table."""
    for constraint in table.constraints:
        if constraint.kind in "pux":
            yield constraint.name, max(constraint.bytes // _PAGE, 1)
    for index in table.indexes:
        if index.valid:
            yield index.name, max(index.bytes // _PAGE, 1)


def new_index_pages(table: TableProfile, columns: tuple[str, ...]) -> int:
    """What a btree over columns, or expressions as wide as a text's mean, would take."""
    widths = []
    for name in columns:
        column = table.column(name)
        widths.append(column.average_width if column else 16)
    wide = sum((width + 7) // 8 * 8 for width in widths) + _TUPLE_BYTES
    return max(round(table.rows * wide / _PAGE / _LEAF_FILL), 1)


def _relation(
    connection: psycopg.Connection[Any], schema: str, name: str, pages: int, rows: int, visible: int
) -> None:
    known = connection.execute("SELECT to_regclass(%s)", (dotted(schema, name),)).fetchone()
    if known is not None and known[0] is not None:  # what could not be made is told elsewhere
        connection.execute(_RELATION, (schema, name, pages, float(rows), visible))


def _restore_column(
    connection: psycopg.Connection[Any], table: TableProfile, column: ColumnProfile
) -> str:
    """Why the server does not take a column's statistics; empty where it does."""
    given: list[tuple[str, str, Any]] = [
        ("null_frac", "real", column.null_fraction),
        ("avg_width", "integer", column.average_width),
        ("n_distinct", "real", column.n_distinct),
    ]
    if column.common_values:
        given.append(("most_common_vals", "text[]::text", list(column.common_values)))
        given.append(("most_common_freqs", "real[]", list(column.common_fractions)))
    if len(column.histogram) > 1:
        given.append(("histogram_bounds", "text[]::text", _bounds(column)))
    if column.correlation is not None:
        given.append(("correlation", "real", column.correlation))
    arguments = "".join(f", '{name}', %s::{kind}" for name, kind, _ in given)
    statement = (
        "SELECT pg_restore_attribute_stats('schemaname', %s::text, 'relname', %s::text, "
        f"'attname', %s::text, 'inherited', %s::boolean{arguments})"
    )
    told: list[str] = []

    def note(message: psycopg.errors.Diagnostic) -> None:
        told.append(message.message_primary or "")

    connection.add_notice_handler(note)
    try:
        place = (table.schema, table.name, column.name, bool(table.partition_key))
        row = connection.execute(statement.encode(), (*place, *(v for *_, v in given))).fetchone()
    except psycopg.Error as error:
        return str(error).splitlines()[0]
    finally:
        connection.remove_notice_handler(note)
    return "" if row and row[0] else "; ".join(told) or "refused"


def _bounds(column: ColumnProfile) -> list[str]:
    """In order: texts were made tokens when they were captured, which sort as they will."""
    return sorted(column.histogram) if column.base_type in _TEXTS else list(column.histogram)
