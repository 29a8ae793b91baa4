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
    array: bool = False  # it holds an array of the column's values
    case: str = ""  # lower or upper: it is compared with that of the column


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnUse:
    """A column by which a statement looks for rows, joins or sorts them."""

    table: str
    column: str
    role: str  # eq range sort join; other where no index on it alone would serve


def resolve(sql: str, schema: SchemaProfile) -> tuple[SlotUse, ...]:
    """The use of every slot of a whole statement, by number; the clearest where there are several."""
    best: dict[int, SlotUse] = {}
    walk = _walked(sql, schema)
    for number, origin, role, array in walk.slots:
        table, column = origin or ("", "")
        use = SlotUse(
            number=number,
            table=table,
            column=column,
            role=role,
            array=array,
            case=walk.cases.get(number, ""),
        )
        if number not in best or _clearness(use) > _clearness(best[number]):
            best[number] = use
    return tuple(best[number] for number in sorted(best))


def predicates(sql: str, schema: SchemaProfile) -> tuple[ColumnUse, ...]:
    """Columns used in WHERE, JOIN and ORDER BY, each once a role, in order of appearance.

    A column that stands inside a function, under OR or NOT, or is compared with another of its own
    row has the role other.
    """
    uses = dict.fromkeys(_walked(sql, schema).columns)
    return tuple(ColumnUse(table=origin[0], column=origin[1], role=role) for origin, role in uses)


def parses(sql: str) -> bool:
    """Whether PostgreSQL's grammar takes the text."""
    try:
        pgparse.parse(sql)
    except (pgparse.PGQueryError, RecursionError):
        return False
    return True


def _clearness(use: SlotUse) -> int:
    return 2 * (use.role != "other") + bool(use.column)


def _walked(sql: str, schema: SchemaProfile) -> Walk:
    try:
        walk = Walk(schema)
        for statement in pgparse.parse(sql):
            walk.statement(statement["stmt"])
    except (pgparse.PGQueryError, RecursionError):
        return Walk(schema)
    return walk
