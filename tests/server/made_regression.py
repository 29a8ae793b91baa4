"""PostgreSQL's own regression scripts through a real server, and what its log says of them.

The scripts are not part of this tree: REPLAY_REGRESSION_SQL names a directory that holds sql/, data/
and parallel_schedule, as src/test/regress of PostgreSQL's source does. Many statements of them fail
(a library is not there, another session is missing), and are passed over.
"""

import csv
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replay import embedded
from replay.sql.fingerprint import Fingerprint, fingerprint
from replay.sql.scanner import Lexeme, lexeme, scan
from replay.sql.text import folded

SETTINGS = {
    "log_destination": "'csvlog'",
    "log_min_duration_statement": "0",
    "compute_query_id": "on",
    "max_prepared_transactions": "2",
    "wal_level": "logical",
    "fsync": "off",
}
_AS_PG_REGRESS = {
    "PGTZ": "PST8PDT",
    "PGDATESTYLE": "Postgres, MDY",
    "PGOPTIONS": "-c intervalstyle=postgres_verbose -c lc_messages=C",
}
NONE = "0"  # query_id of a statement that has none
_LONGEST_S = 60
_SESSION, _TEXT, _QUERY_ID = 5, 13, 25  # columns of csvlog
_STATEMENT = re.compile(r"duration: [\d.]+ ms  (?:statement|execute [^:]*): ")
_INT4, _INT8 = 1 << 31, 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A statement as the server logged it."""

    number: int  # in the log's order
    session: str
    query_id: str
    sql: str
    template: Fingerprint
    typed: tuple[str, ...]  # its words; a literal is told by the type that it has before any cast


def run_scripts(running: embedded.Server, scripts: Path) -> None:
    """All scripts of the schedule one after another, each with psql, in a database of its own."""
    psql = running.installation.program("psql")
    subprocess.run([psql, "-Xqc", "CREATE DATABASE regression", running.dsn()], check=True)
    environment = {
        **os.environ,
        **_AS_PG_REGRESS,
        "PG_ABS_SRCDIR": str(scripts),
        "PG_ABS_BUILDDIR": str(running.home),
        "PG_LIBDIR": str(running.home),
        "PG_DLSUFFIX": ".so",
    }
    for name in _scheduled(scripts):
        subprocess.run(
            [psql, "-Xq", "-f", str(scripts / "sql" / f"{name}.sql"), running.dsn("regression")],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_LONGEST_S,
        )


def logged(running: embedded.Server) -> list[Logged]:
    """Every statement of the server's csvlog that has a duration, in order."""
    csv.field_size_limit(1 << 30)
    known: dict[str, tuple[Fingerprint, tuple[str, ...]]] = {}
    found: list[Logged] = []
    for session, query_id, sql in _statements(running.log_directory):
        if sql not in known:
            known[sql] = fingerprint(sql), tuple(map(_typed, scan(sql)))
        template, typed = known[sql]
        found.append(
            Logged(
                number=len(found),
                session=session,
                query_id=query_id,
                sql=sql,
                template=template,
                typed=typed,
            )
        )
    return found


def _scheduled(scripts: Path) -> Iterator[str]:
    for line in (scripts / "parallel_schedule").read_text().splitlines():
        if line.startswith("test:"):
            yield from line.split()[1:]


def _statements(directory: Path) -> Iterator[tuple[str, str, str]]:
    for path in sorted(directory.glob("*.csv")):
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            for row in csv.reader(stream):
                told = _STATEMENT.match(row[_TEXT])
                if told is not None:
                    yield row[_SESSION], row[_QUERY_ID], row[_TEXT][told.end() :]


def _typed(token: str) -> str:
    kind = lexeme(token)
    if kind is Lexeme.WORD:
        word = folded(token)
        return {"null": "null'", "true": "bool'", "false": "bool'"}.get(word, word)
    if kind is Lexeme.NUMBER:
        return _type_of_number(token.replace("_", ""))
    return {Lexeme.STRING: "unknown'", Lexeme.BITS: "bit'"}.get(kind, token)


def _type_of_number(digits: str) -> str:
    try:
        value = int(digits, 0 if digits[1:2].isalpha() else 10)
    except ValueError:
        return "numeric'"
    return "int4'" if value < _INT4 else "int8'" if value < _INT8 else "numeric'"
