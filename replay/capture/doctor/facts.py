"""What the doctor looks at, read over one read-only connection; what it means is advice's business."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from replay.errors import EnvironmentFaultError
from replay.target import connect_source, describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """pg_stat_statements over this database."""

    calls_per_s: float  # mean since the counters began
    text_bytes: float  # mean length of a statement's text, by calls
    hidden: int  # entries that this user may not see
    evictions: int  # times that entries had to go
    counted_for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A server as this user sees it."""

    place: str  # database, host and port; no password
    username: str
    database: str
    version: int  # server_version_num
    clock_ahead_s: float  # the server's clock less ours
    clock_known_to_s: float  # half the round trip
    reads_all_stats: bool  # pg_read_all_stats, or a superuser
    knows_identity: bool  # pg_control_system(): capture asks it
    managed_by: str  # a provider's role where there is one: ALTER SYSTEM is not for its users
    settings: Mapping[str, str]  # as SHOW gives them; those that the user may not see are absent
    waiting_for_restart: tuple[str, ...]  # settings changed in the files, not yet in force
    columns: int  # of all user tables
    columns_readable: int  # those of which pg_stats shows this user something
    columns_analyzed: int  # those of which there is something to see
    xacts_per_s: float
    statements_installed: bool  # CREATE EXTENSION was done in this database
    statements: Counters | None  # None: cannot be read


def examine(dsn: str) -> Facts:
    """Look at a server, and leave it as it was.

    Raises EnvironmentFaultError where it cannot be reached or does not answer in time.
    """
    with connect_source(dsn) as connection:
        place = describe(connection)
        try:
            connection.execute("SELECT 1 AS replay_doctor")  # the transaction's BEGIN is no delay
            asked_s, asked_monotonic_s = time.time(), time.monotonic()
            row = connection.cursor(row_factory=dict_row).execute(_query("facts")).fetchone()
            took_s = time.monotonic() - asked_monotonic_s
            assert row is not None
            schema = row.pop("statements_schema")
            counters = _counters(connection, schema) if schema is not None else None
        except psycopg.Error as error:
            raise EnvironmentFaultError(
                f"{place}: could not be looked at: {str(error).partition(chr(10))[0]}; "
                "try again with a user that may connect and read the catalog"
            ) from error
    clock_s = row.pop("clock_s")
    row.pop("replay_doctor", None)
    return Facts(
        place=place,
        clock_ahead_s=clock_s - asked_s - took_s / 2,
        clock_known_to_s=took_s / 2,
        managed_by=row.pop("managed_by") or "",
        waiting_for_restart=tuple(row.pop("waiting_for_restart")),
        statements_installed=schema is not None,
        statements=counters,
        **row,
    )


def _counters(connection: psycopg.Connection, schema: str) -> Counters | None:
    """None where the library is not loaded, or the extension older than 1.9."""
    text = sql.SQL(_query("statements").decode()).format(extension=sql.Identifier(schema))
    try:
        row = connection.cursor(row_factory=dict_row).execute(text).fetchone()
    except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedTable):
        connection.rollback()
        return None
    return Counters(**row) if row is not None else None


def _query(name: str) -> bytes:
    return files(__package__).joinpath(f"{name}.sql").read_bytes()
