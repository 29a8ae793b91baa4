"""Values that stand in the schema itself: what a CHECK allows a column, labels, constants."""

import re

from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile

# As pg_get_constraintdef prints `x IN (…)`, with or without casts: PostgreSQL 14 to 18.
_IN_LIST = re.compile(
    r"CHECK \(+[^=<>]+ = ANY \(+ARRAY\[(?P<list>.*?)\]\)?(::[a-z ]+\[\])?\)+( NOT VALID)?\Z",
    re.DOTALL,
)
# Kinds of objects whose constants stand for values in tables; a function's body holds anything.
_WITH_VALUES = frozenset({"domain", "view", "materialized view", "policy", "rule", "trigger"})
_LITERAL = re.compile(r"'((?:[^']|'')*)'|(?<![\w.])(-?\d+(?:\.\d+)?)")


def allowed_values(table: TableProfile, column: ColumnProfile) -> tuple[str, ...]:
    """The list that a CHECK holds a column to; () for none, or for one that says more."""
    for constraint in table.constraints:
        if constraint.kind == "c" and constraint.columns == (column.name,):
            match = _IN_LIST.match(constraint.definition)
            if match:
                return literals(match["list"])
    return ()


def schema_literals(profile: SchemaProfile) -> frozenset[str]:
    """Enum labels, and constants of every definition."""
    found = {label for enum in profile.enums for label in enum.labels}
    for made in profile.objects:
        if made.kind in _WITH_VALUES:
            found.update(literals(made.definition))
    for table in profile.tables:
        definitions = [constraint.definition for constraint in table.constraints]
        definitions += [index.definition for index in table.indexes]
        definitions += [column.default for column in table.columns if column.default]
        for definition in (*definitions, table.bound):
            found.update(literals(definition))
    return frozenset(found)


def literals(sql: str) -> tuple[str, ...]:
    """The constants in an expression, as text, in order, each once."""
    found = (text.replace("''", "'") or number for text, number in _LITERAL.findall(sql))
    return tuple(dict.fromkeys(found))
