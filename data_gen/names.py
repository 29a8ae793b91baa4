"""Identifiers in SQL text: quoted where they must be, left readable where they need not."""

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z")
# pg_get_keywords() of PostgreSQL 18, categories R and T: never a bare column or table name.
_RESERVED = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike
    in initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window
    with
    """.split()  # noqa: SIM905 - a paragraph reads better than 90 quoted words
)


def quoted(identifier: str) -> str:
    """An identifier as it stands in SQL."""
    if _PLAIN.match(identifier) and identifier not in _RESERVED:
        return identifier
    return '"' + identifier.replace('"', '""') + '"'


def dotted(schema: str, name: str) -> str:
    """A schema-qualified name as it stands in SQL."""
    return f"{quoted(schema)}.{quoted(name)}"


def literal(text: str) -> str:
    """A string constant, under standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"


def split(qualified: str) -> tuple[str, str]:
    """Schema and name of what profiles call by schema.name, unquoted."""
    schema, _, name = qualified.partition(".")
    return schema, name
