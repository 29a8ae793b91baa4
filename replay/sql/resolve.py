"""Which column does each slot of a statement meet, and which columns does it look by.

The statement is parsed by PostgreSQL's own grammar (libpg_query); names are looked up in the
schema's profile. What cannot be parsed or found stays unresolved: nothing here raises.
"""

from dataclasses import dataclass

import pgparse

from data_gen.profile import SchemaProfile
from replay.sql.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotUse:
    """One slot: the column that it meets, and how."""

    number: int
    table: str  # TableProfile.qualified; "" where unresolved
    column: str
    role: str  # eq ne lt gt le ge like in any between insert set limit other


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnUse:
    """A column by which a statement looks for rows, joins or sorts them."""

    table: str
    column: str
    role: str  # eq range sort join other


def resolve(sql: str, schema: SchemaProfile) -> tuple[SlotUse, ...]:
    """The use of every slot of a whole statement, by number; the clearest where there are several."""
    best: dict[int, SlotUse] = {}
    for number, table, column, role in _walked(sql, schema).slots:
        known = best.get(number)
        if known is None or (not known.column and column) or known.role == "other" != role:
            best[number] = SlotUse(number=number, table=table, column=column, role=role)
    return tuple(best[number] for number in sorted(best))


def predicates(sql: str, schema: SchemaProfile) -> tuple[ColumnUse, ...]:
    """Columns used in WHERE, JOIN and ORDER BY, each once a role, in order of appearance."""
    uses = dict.fromkeys(_walked(sql, schema).columns)
    return tuple(ColumnUse(table=table, column=column, role=role) for table, column, role in uses)


def _walked(sql: str, schema: SchemaProfile) -> Walk:
    walk = Walk(schema)
    try:
        statements = pgparse.parse(sql)
    except pgparse.PGQueryError:
        return walk
    for statement in statements:
        walk.statement(statement["stmt"])
    return walk
