"""What production is asked once its statements are known: rows that they name, and their plans.

Raw values are used here, over one read-only connection, and leave as codes and as shapes of plans alone.
"""

import contextlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import psycopg
from psycopg import sql

from data_gen.joint import cell_of, with_keys
from data_gen.keys import root_of
from data_gen.profile import SchemaProfile, TableProfile
from data_gen.questions import from_json, tried
from replay.sql.plan_shape import shape
from replay.sql.resolve import resolve
from replay.sql.slots import render
from replay.workload import Statement, Transaction

log = logging.getLogger(__name__)

_MOST_KEYS = 2000  # of a table, those named most
_EXPLAINED = 4  # executions of a template
_GENERIC_SINCE = 160000  # EXPLAIN (GENERIC_PLAN)
_REFUSED = (psycopg.errors.QueryCanceled, psycopg.ProgrammingError, psycopg.DataError)
_KINDS = ("select", "insert", "update", "delete", "merge", "with", "values")

Plans = Mapping[str, Sequence[tuple[str, int]]]  # template -> shapes and how many plans had each


def with_known_keys(
    profile: SchemaProfile, raw: Iterable[Transaction], connection: psycopg.Connection
) -> SchemaProfile:
    """The raw profile, its joints with the rows that the statements name by key."""
    named = _named(profile, raw)
    return replace(
        profile,
        tables=tuple(
            _asked(table, named[table.qualified], connection) if table.qualified in named else table
            for table in profile.tables
        ),
    )


def plans(
    raw: Iterable[Transaction], connection: psycopg.Connection, *, generic: bool, version: int
) -> Plans:
    """Shapes of production's plans, a few of each template; EXPLAIN alone, nothing is executed."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for statement in (s for t in raw for s in t.statements):
        known = found[statement.template]
        if known.total() >= (1 if generic else _EXPLAINED):
            continue
        if not statement.sql.lstrip("( ").lower().startswith(_KINDS):
            continue
        with contextlib.suppress(*_REFUSED), tried(connection):
            known[_explained(connection, statement, generic and version >= _GENERIC_SINCE)] += 1
    return {template: known.most_common() for template, known in found.items() if known}


def _explained(connection: psycopg.Connection, statement: Statement, generic: bool) -> str:
    text, values = render(statement.sql, statement.slots, statement.values)
    if generic:
        query, values = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement.sql}", ()
    else:
        query = f"EXPLAIN (FORMAT JSON) {text}"
    with psycopg.RawCursor(connection) as cursor:
        row = cursor.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return shape(row[0][0]["Plan"])


def _named(profile: SchemaProfile, raw: Iterable[Transaction]) -> Mapping[str, Counter[str]]:
    """Keys that statements name, by the table whose primary key they are of."""
    named: dict[str, Counter[str]] = defaultdict(Counter)
    slots: dict[str, Sequence[tuple[int, str]]] = {}
    for statement in (s for t in raw for s in t.statements):
        if statement.sql not in slots:
            slots[statement.sql] = tuple(_keys_of(statement.sql, profile))
        for number, table in slots[statement.sql]:
            value = statement.values[number - 1] if number <= len(statement.values) else None
            if value is not None and not value.startswith("{"):
                named[table][value] += 1
    return named


def _keys_of(text: str, profile: SchemaProfile) -> Iterator[tuple[int, str]]:
    for use in resolve(text, profile):
        table = profile.table(use.table) if use.table else None
        if table is not None and use.column and use.role not in {"limit", "like", "other"}:
            root = root_of(profile, table, use.column)
            if root is not None:
                yield use.number, root[0]


def _asked(
    table: TableProfile, named: Counter[str], connection: psycopg.Connection
) -> TableProfile:
    joint = table.joint
    if joint is None or not joint.keyed:
        return table
    values = [value for value, _ in named.most_common(_MOST_KEYS)]
    array = sql.SQL("{}::text[]::").format(sql.Literal(values)).as_string(connection)
    query = joint.keyed.replace("<keys>", f"{array}{joint.key_type}[]")
    try:
        with tried(connection):
            rows = from_json(row for (row,) in connection.execute(query.encode()))
    except _REFUSED as error:
        log.info("%s: keys are not looked at: %s", table.qualified, error)
        return table
    return replace(table, joint=with_keys(joint, [(row["key"], cell_of(row)) for row in rows]))
