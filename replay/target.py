"""The one guard before every target, and the one read-only door to a source.

A target is staging when it carries a marker that names *it*: the schema `replay` with the server's
system identifier and the database's name. A dump of a marked database restored elsewhere has
another identifier, so it does not pass. No flag leads around this.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

import psycopg
from psycopg import conninfo, sql

from replay.errors import EnvironmentFaultError, InputError, RefusedError
from replay.tag import APPLICATION_NAME
from replay.workload import Source

_SOURCE_OPTIONS = (
    "-c default_transaction_read_only=on -c statement_timeout=60000 -c lock_timeout=2000 "
    "-c idle_in_transaction_session_timeout=60000"
)
_CONNECT_TIMEOUT_S = 10
_MAINTENANCE = "postgres"  # database to be in while another one is made or dropped
_STRATEGIES_FROM = 150000  # CREATE DATABASE … STRATEGY


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What `replay generate` left in the marker's schema: how the target's data came to be."""

    workload_id: str
    seed: int
    scale: float
    base_time: datetime  # the moment that the data takes for "now", aware


@contextlib.contextmanager
def connect_source(dsn: str) -> Iterator[psycopg.Connection]:
    """One read-only connection to production, with statement and lock timeouts."""
    connection = _connect(dsn, options=_SOURCE_OPTIONS)
    with contextlib.closing(connection):
        connection.read_only = True
        yield connection


@contextlib.contextmanager
def connect_target(dsn: str, *, source: Source | None = None) -> Iterator[psycopg.Connection]:
    """An autocommit connection to a target that is proven to be staging.

    Raises RefusedError where the marker is absent or names another server or database, or where the
    target is the server and database that `source` was captured from.
    """
    connection = _connect(dsn)
    with contextlib.closing(connection):
        connection.autocommit = True
        require_staging(connection, source=source)
        yield connection


def connector(
    dsn: str, application_name: str = APPLICATION_NAME
) -> Callable[[], psycopg.Connection]:
    """A way to open further autocommit connections to a target; each passes the guard again."""

    def connect() -> psycopg.Connection:
        connection = _connect(dsn, application_name=application_name)
        try:
            connection.autocommit = True
            require_staging(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


def require_staging(connection: psycopg.Connection, *, source: Source | None = None) -> None:
    """The guard itself: return, or raise RefusedError."""
    here = identity(connection)
    place = describe(connection)
    sources = (source, *source.others) if source is not None else ()
    for one in sources:
        same = (here.system_identifier, here.database) == (one.system_identifier, one.database)
        if same and one.system_identifier:
            raise RefusedError(
                f"{place} is the server that this workload was captured from, or a physical copy of "
                "it; nothing is ever loaded into production: name a staging database with --target "
                "(a copy restored with pg_dump, or under another database name, can be told apart)"
            )
    marker = _marker(connection)
    if marker is None:
        raise RefusedError(
            f"{place} is not marked as staging, so nothing is written to it; if it is staging and "
            "its data may be lost, say so once: replay mark-staging DSN"
        )
    if marker != (here.system_identifier, here.database):
        raise RefusedError(
            f"{place} carries the staging marker of another database ({marker[1]} on server "
            f"{marker[0]}): it looks like a copy; if it is staging, run: replay mark-staging DSN"
        )


def mark_staging(dsn: str) -> str:
    """Write the marker that makes a database a target; returns host and database for the message."""
    statements = files("replay").joinpath("sql/mark_staging.sql").read_text(encoding="utf-8")
    connection = _connect(dsn)
    with contextlib.closing(connection), connection.transaction():
        here = identity(connection)
        connection.execute(statements.encode())
        connection.execute(
            "INSERT INTO replay.marker (system_identifier, database) VALUES (%s, %s)",
            (here.system_identifier, here.database),
        )
        return describe(connection)


def may_create(dsn: str) -> bool:
    """Whether the user of a proven target may make databases beside it."""
    with connect_target(dsn) as connection:
        row = connection.execute(
            "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    return bool(row and row[0])


def create_beside(dsn: str, name: str, *, of: str | None = None) -> str:
    """A marked database on a proven target's server, empty or a copy of `of`; returns its DSN.

    Nobody may be connected to `of` meanwhile.
    """
    require_proven(dsn)
    with contextlib.closing(_connect(_beside(dsn, _MAINTENANCE))) as connection:
        connection.autocommit = True
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if of is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(of))
            if connection.info.server_version >= _STRATEGIES_FROM:
                statement += sql.SQL(" STRATEGY file_copy")
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            raise EnvironmentFaultError(f"cannot make database {name}: {_cause(error)}") from None
    made = _beside(dsn, name)
    mark_staging(made)
    return made


def drop_beside(dsn: str, name: str) -> None:
    """Drop a database that `create_beside` made."""
    require_proven(dsn)
    with contextlib.closing(_connect(_beside(dsn, _MAINTENANCE))) as connection:
        connection.autocommit = True
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def require_proven(dsn: str) -> None:
    """Raise RefusedError where the target is not proven to be staging."""
    with connect_target(dsn):
        pass


def _beside(dsn: str, name: str) -> str:
    return conninfo.make_conninfo(dsn, dbname=name)


def identity(connection: psycopg.Connection) -> Source:
    """Version, database and system identifier of the server; settings stay empty."""
    row = connection.execute(files("replay").joinpath("sql/identity.sql").read_bytes()).fetchone()
    assert row is not None
    return Source(server_version=row[0], database=row[1], system_identifier=row[2])


def describe(connection: psycopg.Connection) -> str:
    """Host, port and database of a connection, without a password."""
    info = connection.info
    return f"database {info.dbname!r} on {info.host or 'local socket'}:{info.port}"


def has_other_sessions(connection: psycopg.Connection) -> bool:
    """Whether anybody has a session on this database but this program."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND coalesce(backend_type, 'client backend') = 'client backend'"
        " AND application_name NOT LIKE %s)",
        (f"{APPLICATION_NAME}%",),
    ).fetchone()
    assert row is not None
    return bool(row[0])


def record_generated(connection: psycopg.Connection, generated: Generated) -> None:
    """Note in the marker's schema how the data was made; the note before it is replaced."""
    with connection.transaction():
        connection.execute("DELETE FROM replay.generated")
        connection.execute(
            "INSERT INTO replay.generated (workload_id, seed, scale, base_time)"
            " VALUES (%s, %s, %s, %s)",
            (generated.workload_id, generated.seed, generated.scale, generated.base_time),
        )


def read_generated(connection: psycopg.Connection) -> Generated | None:
    """How the target's data was made; None where generate never finished here."""
    row = connection.execute(
        "SELECT workload_id, seed, scale, base_time FROM replay.generated"
    ).fetchone()
    if row is None:
        return None
    return Generated(workload_id=row[0], seed=row[1], scale=row[2], base_time=row[3])


def _marker(connection: psycopg.Connection) -> tuple[str, str] | None:
    try:
        row = connection.execute(
            sql.SQL("SELECT system_identifier, database FROM {}").format(
                sql.Identifier("replay", "marker")
            )
        ).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    except psycopg.errors.InsufficientPrivilege:
        raise RefusedError(
            f"{describe(connection)}: the staging marker cannot be read by this user; "
            "grant USAGE on schema replay and SELECT on its tables, or use the user that marked it"
        ) from None
    return None if row is None else (row[0], row[1])


def _connect(
    dsn: str, options: str = "", application_name: str = APPLICATION_NAME
) -> psycopg.Connection:
    try:
        parameters = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise InputError(
            f"not a PostgreSQL connection string: {str(error).strip()}; "
            "write postgresql://user@host:port/database or host=… dbname=…"
        ) from None
    given = str(parameters.get("options") or "")
    try:
        return psycopg.connect(
            dsn,
            application_name=application_name,
            connect_timeout=_CONNECT_TIMEOUT_S,
            client_encoding="UTF8",  # of a database in SQL_ASCII, texts would come as bytes else
            options=f"{given} {options}".strip(),
        )
    except psycopg.OperationalError as error:
        place = f"{parameters.get('host', 'local socket')}:{parameters.get('port', 5432)}"
        raise EnvironmentFaultError(
            f"cannot connect to {place}: {_cause(error)}; "
            "check the DSN, and that the server is up and lets this user in"
        ) from None


def _cause(error: psycopg.Error) -> str:
    """The first line of what libpq says; the others ask what the user has to check."""
    return str(error).strip().partition("\n")[0].removeprefix("connection failed: ")
