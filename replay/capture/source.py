"""What production's server says of itself, over one read-only connection: `--stats DSN`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from data_gen.introspect import introspect
from data_gen.profile import SchemaProfile
from replay.capture.statements import Counted, counting, folded, read_statements
from replay.errors import EnvironmentFaultError
from replay.sql.fingerprint import fingerprint
from replay.target import connect_source, describe, identity
from replay.workload import Source

_PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?[sbt]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All answers of the source."""

    source: Source
    profile: SchemaProfile  # raw: scrub it before it leaves
    statements: tuple[Counted, ...]
    own: frozenset[str]  # folded texts of what this program itself sends to a source
    notes: tuple[str, ...]
    counted_since_us: int  # epoch; when pg_stat_statements began to count
    asked_us: int  # epoch, by the server's clock


def ask(dsn: str) -> Asked:
    """Read identity, settings, schema, statistics and pg_stat_statements; then disconnect.

    Raises EnvironmentFaultError where the server cannot be reached, or does not answer in time.
    """
    sent = ["BEGIN READ ONLY", "ROLLBACK"]
    with connect_source(dsn) as connection:
        connection.cursor_factory = recorder(sent)
        try:
            source = replace(identity(connection), settings=_settings(connection))
            profile = introspect(connection)
            statements, notes = read_statements(connection)
            counted_since_us, _, asked_us = counting(connection)
            connection.rollback()
        except psycopg.Error as error:
            raise EnvironmentFaultError(
                f"{describe(connection)}: reading its statistics failed: "
                f"{str(error).partition(chr(10))[0]}; the user needs pg_read_all_stats, SELECT on "
                "the tables, and a server that answers within a minute"
            ) from error
    return Asked(
        source=source,
        profile=profile,
        statements=statements,
        own=frozenset(folded(fingerprint(text).sql) for text in sent),
        notes=(*_sampling_notes(source.settings), *notes),
        counted_since_us=counted_since_us,
        asked_us=asked_us,
    )


def _settings(connection: psycopg.Connection) -> dict[str, str]:
    text = files(__package__).joinpath("settings.sql").read_text(encoding="utf-8")
    return dict(connection.execute(text.encode()).fetchall())


def recorder(sent: list[str]) -> type[psycopg.Cursor[Any]]:
    """Cursors that note what they send: pg_stat_statements cannot tell it from production's."""

    class Recorder(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> "Recorder":
            text = query.as_string(self) if isinstance(query, sql.Composable) else query
            sent.append(_numbered(text.decode() if isinstance(text, bytes) else text))
            return super().execute(query, *arguments, **options)

    return Recorder


def _numbered(text: str) -> str:
    """The text with psycopg's placeholders as $1, $2 …, as the server sees it."""
    numbers: dict[str, int] = {}

    def number(placeholder: re.Match[str]) -> str:
        name = placeholder[1] or str(len(numbers))
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _PLACEHOLDER.sub(number, text).replace("%%", "%")


def sampled_share(settings: Mapping[str, str]) -> float:
    """The share of transactions that the server logs whole, 1 where it logs all or by duration."""
    share = float(settings.get("log_transaction_sample_rate", "0"))
    only_sampled = settings.get("log_min_duration_statement", "0") == "-1"
    return share if only_sampled and share > 0 else 1.0


def _sampling_notes(settings: Mapping[str, str]) -> tuple[str, ...]:
    notes = []
    least = settings.get("log_min_duration_statement", "0")
    share = sampled_share(settings)
    if share < 1:
        notes.append(
            f"the server logs a sample of transactions (log_transaction_sample_rate = {share:g}): "
            "calls are those in the log, the kept transactions' weights stand for all of them"
        )
    elif least not in ("0", "-1"):
        notes.append(
            f"the server logs only statements of {least} and longer (log_min_duration_statement): "
            "faster ones, and the BEGIN and COMMIT around these, are missing"
        )
    if settings.get("log_min_duration_sample", "-1") != "-1":
        notes.append(
            "the server logs a sample of statements (log_min_duration_sample): hardly a "
            "transaction is whole; log_transaction_sample_rate logs whole ones"
        )
    cut = settings.get("log_parameter_max_length", "-1")
    if cut not in ("-1", "-1B"):
        notes.append(f"parameters are cut off in the log (log_parameter_max_length = {cut})")
    return tuple(notes)
