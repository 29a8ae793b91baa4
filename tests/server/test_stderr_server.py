"""The stderr log of real servers, with many prefixes, against their own csvlog of the same records."""

import contextlib
import csv
import dataclasses
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

from replay import embedded
from replay.capture.formats.columns import Columns, Hints, Ints
from replay.capture.formats.stderr import recognise
from replay.capture.formats.texts import Texts

SETTINGS = {
    "log_destination": "'csvlog,stderr'",
    "log_min_duration_statement": "0",
    "log_statement": "'none'",
    "log_connections": "on",
    "log_parameter_max_length_on_error": "-1",
    "compute_query_id": "on",
    "fsync": "off",
}
PREFIXES = (
    "%m [%p] %q%u@%d ",
    "%m [%p] ",
    "%t:%r:%u@%d:[%p]:",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
    "%t-%c-",
    "%m [%p]: [%l-1] db=%d,user=%u ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%m [%p] %Q ",
    "%m %p %c %e %q[user=%u,db=%d,app=%a] ",
    "%n pid=%p sid=%c qid=%Q %qusr=%u db=%d ",
)
LEFT_OPEN = (  # no names are told unless it is given
    "%m %u %d %a [%-8p] %b %i %e ",
    "%m%%%5p%%%-20a%%%12u%%%d: ",
)
COLUMNS = (
    "at",
    "user",
    "database",
    "pid",
    "client",
    "session",
    "line",
    "tag",
    "started",
    "vxid",
    "xid",
    "severity",
    "sqlstate",
    "message",
    "detail",
    "hint",
    "internal",
    "internal_at",
    "context",
    "statement",
    "query_at",
    "location",
    "application",
    "backend",
    "leader",
    "query_id",
)


@pytest.fixture(scope="module", params=embedded.installations(), ids=lambda i: f"pg{i.version}")
def logging_server(request) -> Iterator[embedded.Server]:
    with embedded.server(SETTINGS, installation=request.param) as running:
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (n int PRIMARY KEY, s text)")
        yield running


def drive(dsn: str) -> None:
    for application in ("web api  v2", "batch"):
        with psycopg.connect(dsn, autocommit=True, application_name=application) as connection:
            for n in range(4):
                connection.execute("SELECT s FROM t WHERE n = %s", (n,), prepare=True)
            connection.execute("SELECT 1,\n\t'two\n\n\tlines é',\n\n3")
            with connection.transaction():
                connection.execute("INSERT INTO t VALUES (%s, %s)", (1, "a\nb\tc"))
                connection.execute("DELETE FROM t")
            connection.execute("INSERT INTO t VALUES (1, 'x')")
            with contextlib.suppress(psycopg.errors.UniqueViolation):
                connection.execute("INSERT INTO t VALUES (%s,\n'y')", (1,))
            with contextlib.suppress(psycopg.errors.UndefinedTable):
                connection.execute("SELECT *\nFROM nowhere")
            with contextlib.suppress(psycopg.errors.RaiseException):
                connection.execute(
                    "DO $$ BEGIN RAISE 'LOG:  no\nrecord' USING detail = 'd\ne'; END $$"
                )
            connection.execute("DELETE FROM t")


def logged(server: embedded.Server, prefix: str) -> tuple[bytes, list[dict[str, str]]]:
    """What a server writes with that prefix while it is driven: to stderr, and to its csvlog."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_line_prefix = " + sql.quote(prefix))
        connection.execute("SELECT pg_reload_conf()")
    _until(lambda: _setting(server) == prefix)
    text, table = (server.log_directory / name for name in ("server.log", "server.csv"))
    _mark(server, text, table)
    before = text.stat().st_size, table.stat().st_size
    drive(server.dsn())
    _mark(server, text, table)
    rest = table.read_bytes()[before[1] :].decode().splitlines(keepends=True)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in csv.reader(rest)]
    return text.read_bytes()[before[0] :], rows


def _setting(server: embedded.Server) -> str:
    with psycopg.connect(server.dsn()) as connection:
        return connection.execute("SHOW log_line_prefix").fetchone()[0]


def _mark(server: embedded.Server, *files: Path) -> None:
    """Wait until the collector has written all that was logged: up to a mark, which comes last."""
    mark = f"mark of {time.monotonic_ns()}".encode()
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(b"SELECT '%s'" % mark)
    _until(lambda: all(mark in (end := f.read_bytes()) and end.endswith(b"\n") for f in files))


def _until(holds) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("given", [True, False], ids=["given", "found"])
@pytest.mark.parametrize("prefix", [*PREFIXES, *LEFT_OPEN])
def test_stderr_says_what_csvlog_says(logging_server, prefix, given):
    raw, expected = logged(logging_server, prefix)
    made = recognise(raw[: 1 << 16], Hints(log_line_prefix=prefix if given else ""))
    assert made is not None
    if not given and prefix in LEFT_OPEN:
        assert "%*" in made.prefix.text
        prefix = made.prefix.text
    columns = made.parse(memoryview(raw))
    assert columns.broken == ()
    assert len(expected) > 50
    columns, expected = _by_process(columns, expected)
    texts = ("message", "detail", "context", "statement", "severity")
    for name in texts:
        assert getattr(columns, name).to_pylist() == [row[name].encode() for row in expected]
    assert [session.rpartition(b".")[2] for session in columns.session.to_pylist()] == [
        b"%x" % int(row["pid"]) for row in expected
    ]
    _compare_times(columns, expected, prefix)
    _compare_fields(columns, expected, prefix)


def _by_process(
    columns: Columns, expected: list[dict[str, str]]
) -> tuple[Columns, list[dict[str, str]]]:
    """Both in the order of processes: two that write at once may be mixed one way and another."""
    pids = [int(session.rpartition(b".")[2], 16) for session in columns.session.to_pylist()]
    order = np.argsort(pids, kind="stable")
    columns = Columns(
        **{
            field.name: _in_order(getattr(columns, field.name), order)
            for field in dataclasses.fields(columns)
            if field.name not in ("broken", "lines")
        }
    )
    return columns, sorted(expected, key=lambda row: int(row["pid"]))


def _in_order(column: Any, order: Ints) -> Any:
    if isinstance(column, Texts):
        return column.only(order)
    return column[order] if isinstance(column, np.ndarray) else column.take(order)


def _compare_times(columns: Columns, expected: list[dict[str, str]], prefix: str) -> None:
    for at_us, row in zip(columns.at_us.tolist(), expected, strict=True):
        shown = datetime.strptime(row["at"], "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
        at_ms = round(shown.timestamp() * 1000)
        if "%t" in prefix:  # read from the clock apart from the csvlog's time
            assert 0 <= at_ms - at_us // 1000 < 2000
            assert at_us % 1_000_000 == 0
        else:
            assert at_us == at_ms * 1000


def _compare_fields(columns: Columns, expected: list[dict[str, str]], prefix: str) -> None:
    escapes = {"user": "u", "database": "d", "application": "a", "sqlstate": "e", "session": "c"}
    for name, escape in escapes.items():
        if re.search(f"%-?[0-9]*{escape}", prefix):
            # Where psycopg's connection is not yet authorised, csvlog is empty as well.
            assert getattr(columns, name).to_pylist() == [row[name].encode() for row in expected]
    if "%Q" in prefix:
        assert columns.query_id.tolist() == [int(row["query_id"]) for row in expected]
    if "%b" in prefix:
        assert columns.backend_type.to_pylist() == [row["backend"].encode() for row in expected]
