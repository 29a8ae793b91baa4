"""Indexes built as production has them, and as large: one that has grown there is wider here, too.

An index is built once as its definition says. Where it comes out smaller than production's by more
than a little, it is built again with room in its pages; its place among the indexes stays.
"""

from typing import Any

import psycopg

from data_gen import ddl
from data_gen.build import build
from data_gen.names import dotted
from data_gen.plan import Plan
from data_gen.profile import TableProfile

_NEAR = 0.03
_FEWEST_PAGES = 16
_PAGE = 8192
_USUAL = {"btree": 90, "hash": 75, "gist": 90, "spgist": 80}  # fillfactors; others have none
_LEAST = 10


def build_indexes(
    connection: psycopg.Connection[Any],
    table: TableProfile,
    plan: Plan,
    *,
    standing: bool = False,
) -> tuple[str, ...]:
    """Keys and indexes of a table that holds rows; gives those that cannot be, with the reason."""
    left_out = build(connection, table.qualified, ddl.indexes(table), standing=standing)
    rows = plan.counts[table.qualified]
    for name, size in _sizes(table):
        wanted = size * rows / table.rows if table.rows else 0.0
        if wanted >= _FEWEST_PAGES * _PAGE:
            _widen(connection, dotted(table.schema, name), wanted)
    return left_out


def _sizes(table: TableProfile) -> tuple[tuple[str, int], ...]:
    """Names and bytes of indexes, of constraints too."""
    return (
        *((one.name, one.bytes) for one in table.constraints if one.kind in "pux"),
        *((index.name, index.bytes) for index in table.indexes if index.valid),
    )


def _widen(connection: psycopg.Connection[Any], name: str, wanted: float) -> None:
    found = connection.execute(
        "SELECT pg_relation_size(c.oid), a.amname, coalesce((SELECT option_value::int"
        " FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'), 0)"
        " FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = to_regclass(%s)",
        (name,),
    ).fetchone()
    if found is None or found[1] not in _USUAL:
        return
    size, method, own = found
    usual = own or _USUAL[method]
    if size >= wanted * (1 - _NEAR):
        return
    filled = max(_LEAST, round(usual * size / wanted))
    if filled == usual:
        return
    connection.execute(f"ALTER INDEX {name} SET (fillfactor = {filled})".encode())
    connection.execute(f"REINDEX INDEX {name}".encode())
    restored = f"SET (fillfactor = {own})" if own else "RESET (fillfactor)"
    connection.execute(f"ALTER INDEX {name} {restored}".encode())
