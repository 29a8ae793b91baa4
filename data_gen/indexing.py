"""Indexes built as production has them, and as large: one that has grown there is wider here, too.

An index is built once as its definition says. Where it comes out smaller or larger than production's by
more than a little, it is built again with more or less room in its pages; its place among the indexes
stays.
"""

from collections.abc import Mapping
from typing import Any

import psycopg

from data_gen import ddl
from data_gen.build import build
from data_gen.names import dotted
from data_gen.plan import Plan
from data_gen.profile import TableProfile

_NEAR = 0.02
_FEWEST_PAGES = 3  # a B-tree of two has nothing but its root
_LARGE_PAGES = 5_000  # an index so large is built again once at most
_TRIES = 4
_PAGE = 8192
_USUAL = {"btree": 90, "hash": 75, "gist": 90, "spgist": 80}  # fillfactors; others have none
_LEAST, _FULL = 10, 100
_FOUND = """
SELECT (pg_relation_size(c.oid) / current_setting('block_size')::int)::int, a.amname,
       coalesce((SELECT option_value::int FROM pg_options_to_table(c.reloptions)
                 WHERE option_name = 'fillfactor'), 0)
FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = to_regclass(%s)
"""


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
        wanted = size / _PAGE * rows / table.rows if table.rows else 0.0
        if wanted >= _FEWEST_PAGES:
            _fit(connection, dotted(table.schema, name), wanted)
    return left_out


def _sizes(table: TableProfile) -> tuple[tuple[str, int], ...]:
    """Names and bytes of indexes, of constraints too."""
    return (
        *((one.name, one.bytes) for one in table.constraints if one.kind in "pux"),
        *((index.name, index.bytes) for index in table.indexes if index.valid),
    )


def _fit(connection: psycopg.Connection[Any], name: str, wanted: float) -> None:
    """Build an index again with other fillfactors until it takes about so many pages."""
    found = connection.execute(_FOUND, (name,)).fetchone()
    if found is None or found[1] not in _USUAL:
        return
    pages, method, own = found
    filled = own or _USUAL[method]
    tried = {filled: pages}
    for _ in range(_TRIES if wanted < _LARGE_PAGES else 1):
        if abs(pages / wanted - 1) <= _NEAR or (guess := _guess(tried, wanted)) in tried:
            break
        filled, pages = guess, _rebuilt(connection, name, guess)
        tried[filled] = pages
    best = min(tried, key=lambda one: abs(tried[one] - wanted))
    if best != filled:
        _rebuilt(connection, name, best)
    if len(tried) > 1:
        setting = f"SET (fillfactor = {own})" if own else "RESET (fillfactor)"
        connection.execute(f"ALTER INDEX {name} {setting}".encode())


def _guess(tried: Mapping[int, int], wanted: float) -> int:
    """A fillfactor nearer to that many pages: pages are about in inverse proportion to it."""
    above = max((one for one, pages in tried.items() if pages >= wanted), default=None)
    below = min((one for one, pages in tried.items() if pages < wanted), default=None)
    if above is None or below is None:
        nearest = min(tried, key=lambda one: abs(tried[one] - wanted))
        guess = round(nearest * tried[nearest] / wanted)
    else:
        share = (1 / wanted - 1 / tried[above]) / (1 / tried[below] - 1 / tried[above])
        guess = min(max(round(above + share * (below - above)), above + 1), below - 1)
    return min(max(guess, _LEAST), _FULL)


def _rebuilt(connection: psycopg.Connection[Any], name: str, filled: int) -> int:
    """Pages of an index that was built again with that fillfactor."""
    connection.execute(f"ALTER INDEX {name} SET (fillfactor = {filled})".encode())
    connection.execute(f"REINDEX INDEX {name}".encode())
    found = connection.execute(_FOUND, (name,)).fetchone()
    assert found is not None
    return int(found[0])
