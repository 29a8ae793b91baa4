"""Queries by name whose rows are JSON objects: a connection and psql answer them alike.

So one file of SQL serves who may connect to the server and who may only be sent a script.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

Row = Mapping[str, Any]

# Names each row, and tells the text from production's own in pg_stat_statements.
ALIAS = "replay_profile"
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def named(text: str) -> Mapping[str, str]:
    """The queries of a file of SQL in which each begins with a line `-- name: …`."""
    parts = _NAME.split(text)
    return {name: query.strip() for name, query in zip(parts[1::2], parts[2::2], strict=True)}


def as_json(query: str) -> str:
    """The query with one JSON object a row, its rows in their order."""
    # A wrapping of our own files' text: S608 sees an injection.
    return f"SELECT row_to_json({ALIAS})::text FROM (\n{query}\n) AS {ALIAS}"  # noqa: S608


def from_json(lines: Iterable[str]) -> Sequence[Row]:
    """Rows from their JSON, one a line; raises ValueError where a line is none."""
    return [json.loads(line) for line in lines]


def answer(connection: "psycopg.Connection[Any]", query: str) -> Sequence[Row]:
    """The query's rows, as the server put them into JSON."""
    # Who reads a script's answers needs no driver.
    from psycopg.rows import tuple_row  # noqa: PLC0415

    cursor = connection.cursor(row_factory=tuple_row)
    return from_json(row for (row,) in cursor.execute(as_json(query).encode()))


def answer_in_turn(connection: "psycopg.Connection[Any]", query: str) -> Sequence[Row]:
    """The rows of all statements that the query's answer consists of, one JSON object a row.

    A statement that the server refuses, or that takes too long, has no rows.
    """
    import psycopg  # noqa: PLC0415 - as above
    from psycopg.rows import tuple_row  # noqa: PLC0415 - as above

    refused = (psycopg.errors.QueryCanceled, psycopg.ProgrammingError, psycopg.DataError)
    rows: list[Row] = []
    cursor = connection.cursor(row_factory=tuple_row)
    for texts in cursor.execute(query.encode()).fetchall():
        for text in texts:
            if text is None:
                continue
            with contextlib.suppress(*refused), tried(connection):
                rows += from_json(row for (row,) in cursor.execute(text.encode()))
    return rows


@contextlib.contextmanager
def tried(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """A statement that may fail alone: another transaction follows it then, as no savepoint is ours alone.

    pg_stat_statements would count ours among production's.
    """
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
