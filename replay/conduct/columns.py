"""Which column of the schema a named value of a request speaks of.

A value in a path, a query or a body speaks of a row, as a rule: `/tasks/123` of the task 123,
`?worker=7` of a worker. That is told by names (the word ahead of the value, the parameter's name)
and by types.
"""

import random
from collections.abc import Iterator, Mapping, Sequence

import psycopg
from psycopg import sql

from data_gen.profile import SchemaProfile, TableProfile

NOTHING = "SELECT $1"
"""A statement that looks nothing up: its value stays as it is."""
_ROWS = 500  # of a column, that are looked at
_NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8")
_TEXTS = ("text", "varchar", "bpchar", "citext")


class Columns:
    """The columns of a schema by what requests may call them."""

    def __init__(self, profile: SchemaProfile | None) -> None:
        self._tables: dict[str, TableProfile] = {}
        self._owners: dict[str, list[TableProfile]] = {}
        for table in profile.tables if profile else ():
            self._tables.setdefault(table.name.lower(), table)
            for column in table.columns:
                self._owners.setdefault(column.name.lower(), []).append(table)

    def looking_up(self, names: Sequence[str], value: str) -> str:
        """A statement that looks up a value with these names, the surest first.

        NOTHING where nobody knows the column.
        """
        tries = (of(name, value) for name in names for of in (self._of_table, self._of_column))
        found = next(filter(None, tries), None)
        if found is None:
            return NOTHING
        table, column = found
        return (
            f"SELECT FROM {quoted(table.schema)}.{quoted(table.name)} WHERE {quoted(column)} = $1"
        )

    def called(self, name: str, *, number: bool) -> tuple[TableProfile, str] | None:
        """The column called so, or with `_id` behind, that holds numbers, or else texts."""
        return self._of_column(name, "0" if number else "")

    def _of_table(self, name: str, value: str) -> tuple[TableProfile, str] | None:
        """`tasks`, ahead of a value: the key of the table that is called so."""
        for spelling in _spellings(name):
            table = self._tables.get(spelling)
            key = _key(table, value) if table is not None else None
            if table is not None and key is not None:
                return table, key
        return None

    def _of_column(self, name: str, value: str) -> tuple[TableProfile, str] | None:
        """`worker`, a parameter, or `workers`, ahead of a value: the column called so, or worker_id."""
        word = name.lower()
        for spelling in (word, f"{word}_id", *(f"{one}_id" for one in _spellings(name))):
            for table in self._owners.get(spelling, ()):
                column = next(c for c in table.columns if c.name.lower() == spelling)
                if _may_hold(column.base_type, value):
                    return table, column.name
        return None


class Drawn:
    """Values that rows of the target hold, for a property by its name."""

    def __init__(
        self,
        connection: psycopg.Connection,
        columns: Columns,
        rng: random.Random,
        special: Mapping[str, str],
    ) -> None:
        """`special` names properties that are filled when they are sent, and marks for them."""
        self._special = special
        self._connection = connection
        self._columns = columns
        self._rng = rng
        self._known: dict[tuple[str, bool], list[str]] = {}

    def __call__(self, name: str, number: bool) -> str | None:
        """One of them; None where no column is called so, or has no values."""
        if not number and name in self._special:
            return self._special[name]
        if (name, number) not in self._known:
            found = self._columns.called(name, number=number)
            self._known[name, number] = self._looked_at(*found) if found else []
        values = self._known[name, number]
        return self._rng.choice(values) if values else None

    def _looked_at(self, table: TableProfile, column: str) -> list[str]:
        percent = min(100.0, 1000.0 * _ROWS / max(table.rows, 1))
        asked = sql.SQL(
            "SELECT {column}::text FROM {table} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)"
            " WHERE {column} IS NOT NULL LIMIT {rows}"
        ).format(
            column=sql.Identifier(column),
            table=sql.Identifier(table.schema, table.name),
            percent=sql.Literal(percent),
            rows=sql.Literal(_ROWS),
        )
        try:
            return [value for (value,) in self._connection.execute(asked).fetchall()]
        except psycopg.Error:  # a table that was not made
            return []


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _spellings(name: str) -> Iterator[str]:
    """A table's name as a path or a parameter may say it: plural, singular, with `_id`."""
    word = name.lower().replace("-", "_").removesuffix("_id")
    yield from (word, f"{word}s", f"{word}es", word.removesuffix("s"), word.removesuffix("es"))
    if word.endswith("ies"):
        yield f"{word.removesuffix('ies')}y"
    if word.endswith("y"):
        yield f"{word.removesuffix('y')}ies"


def _key(table: TableProfile, value: str) -> str | None:
    """The column of a table that alone tells its rows and can hold that value, the primary key first."""
    types = {column.name: column.base_type for column in table.columns}
    keys = sorted((c for c in table.constraints if c.kind in "pu"), key=lambda key: key.kind)
    alone = [key.columns[0] for key in keys if len(key.columns) == 1]
    return next((name for name in alone if _may_hold(types.get(name, ""), value)), None)


def _may_hold(base_type: str, value: str) -> bool:
    if value.lstrip("-").isdecimal():
        return base_type in _NUMBERS
    is_uuid = len(value) == 36 and value.count("-") == 4
    return base_type == "uuid" if is_uuid else base_type in _TEXTS
