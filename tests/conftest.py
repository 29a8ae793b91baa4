"""Fixtures that every test may use: real PostgreSQL servers, started when first asked for."""

import gc
import signal
import uuid
from collections.abc import Iterator
from typing import LiteralString

import hypothesis
import psycopg
import pytest
from psycopg import sql

from replay import embedded

# A property is no stopwatch: the first example may compile loops, and the machine may be busy.
hypothesis.settings.register_profile("replay", deadline=None)
hypothesis.settings.load_profile("replay")

JSONLOG_SINCE = 15


def pytest_configure():
    # A shell without job control has what it starts in the background ignore Ctrl-C, and nohup the end of
    # the terminal; commands that tests start would inherit that.
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_finish():
    # A capture collects its garbage: what is loaded by now is none, and takes long to look through.
    gc.collect()
    gc.freeze()


PRODUCTION_SETTINGS = {
    "shared_preload_libraries": "'pg_stat_statements'",
    "pg_stat_statements.track": "'all'",
    "log_destination": "'jsonlog'",
    "log_min_duration_statement": "0",
    "log_lock_waits": "on",
    "deadlock_timeout": "'200ms'",
    "compute_query_id": "on",
    "max_connections": "200",
    "fsync": "off",
}


def settings_of(installation: embedded.Installation) -> dict[str, str]:
    """PRODUCTION_SETTINGS, as far as that version has them."""
    if installation.version >= JSONLOG_SINCE:
        return PRODUCTION_SETTINGS
    return PRODUCTION_SETTINGS | {"log_destination": "'csvlog'"}


@pytest.fixture(
    scope="session", params=embedded.installations(), ids=lambda found: f"pg{found.version}"
)
def any_server(request: pytest.FixtureRequest) -> Iterator[embedded.Server]:
    """A server of each installed version; a test that uses it runs once on each."""
    with embedded.server(settings_of(request.param), installation=request.param) as running:
        yield running


@pytest.fixture(scope="session")
def server() -> Iterator[embedded.Server]:
    """The embedded server, production-like: jsonlog of everything, pg_stat_statements."""
    with embedded.server(settings_of(embedded.default_installation())) as running:
        yield running


@pytest.fixture
def new_database(server: embedded.Server) -> Iterator[str]:
    """DSN of an empty database on the embedded server, dropped afterwards."""
    yield from _database(server)


@pytest.fixture
def any_database(any_server: embedded.Server) -> Iterator[str]:
    """DSN of an empty database on a server of each version, dropped afterwards."""
    yield from _database(any_server)


@pytest.fixture
def database_without_encoding(any_server: embedded.Server) -> Iterator[str]:
    """As `any_database`, but in SQL_ASCII."""
    yield from _database(any_server, "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")


def _database(running: embedded.Server, options: LiteralString = "") -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("CREATE DATABASE {} {}")
    with psycopg.connect(running.dsn(), autocommit=True) as connection:
        connection.execute(create.format(sql.Identifier(name), sql.SQL(options)))
        yield running.dsn(name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
