"""What capture asks of production, by name, and who answers: a connection, or a script's output.

Both run the same SQL, so a DBA who lets nobody in gives the same workload as an open door does.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

import psycopg
from psycopg import sql

from data_gen.introspect import IN_TURN
from data_gen.introspect import questions as of_schema
from data_gen.questions import Row, answer, answer_in_turn, named
from replay.capture.answers import UnansweredError
from replay.target import connect_source, describe

# The order in which the script asks. The first name is asked before session sets anything.
SCHEMA: tuple[str, ...] = ("identity", "settings", *of_schema())
COUNTERS = ("extension", "started", "statements", "counting")


@cache
def questions() -> Mapping[str, str]:
    """SQL by name: without parameters, but for `{extension}`, the schema of pg_stat_statements."""
    own = files(__package__).joinpath("questions.sql").read_text(encoding="utf-8")
    identity = files("replay").joinpath("sql/identity.sql").read_text(encoding="utf-8")
    return {"identity": identity.strip(), **named(own), **of_schema()}


class Connected:
    """Answers over one connection, within one transaction unless a question was refused."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self.place = describe(connection)

    def rows(self, question: str) -> Sequence[Row]:
        """Ask the server."""
        text = questions()[question]
        if "{extension}" in text:
            text = text.replace("{extension}", self._extension())
        try:
            ask = answer_in_turn if question in IN_TURN else answer
            return ask(self._connection, text)
        except psycopg.Error as error:
            with contextlib.suppress(psycopg.Error):
                self._connection.rollback()
            raise UnansweredError(
                f"{self.place}: asking for its {question} failed: "
                f"{str(error).partition(chr(10))[0]}; {_advice(error)}",
                error.sqlstate or "",
            ) from error

    def _extension(self) -> str:
        (found,) = self.rows("extension")
        return sql.Identifier(found["extension"] or "public").as_string(self._connection)


def _advice(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.CharacterNotInRepertoire):
        return (
            "the database has no encoding (SQL_ASCII) and holds texts that are not UTF-8: convert "
            "them, or capture from its log alone, without --stats"
        )
    return (
        "the user needs pg_read_all_stats, SELECT on the tables, and a server that answers within a "
        "minute; see replay doctor"
    )


@contextlib.contextmanager
def connected(dsn: str) -> Iterator[Connected]:
    """Answers of a server over one read-only connection with timeouts."""
    with connect_source(dsn) as connection:
        yield Connected(connection)
