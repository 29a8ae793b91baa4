"""The production of benchmarks/fidelity.py: a schema filled, and traffic really run against it.

A set is `fidelity_data/NAME.schema.sql` (or a dump in the directory of data) and NAME.traffic, whose
form stack.traffic explains. Half of the statements bind parameters, half have them inline.
"""

import lzma
import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from replay.sql.slots import extract

HERE = Path(__file__).parent / "fidelity_data"
CLIENTS = 8
_PLACE = re.compile(r"\{(=?)(\w+)\}")
_ENDS = ("COMMIT", "ROLLBACK")
_WORK_S = 0.1  # what a client does before it ends a transaction, its locks held: long beside what the server does
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
# Values of one statement as the capture will have them, and how many rows it touched: the truth.
Truth = Mapping[tuple[str, tuple[str | None, ...]], Sequence[int]]


@dataclass(frozen=True)
class Line:
    """A transaction of the traffic: how often it runs, and what it sends."""

    calls: int
    statements: tuple[str, ...]


def fill(name: str, dsn: str, data: Path) -> None:
    """Make the set's tables and rows."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        dump = data / f"{name}.sql.xz"
        if dump.is_file():
            _restore(connection, lzma.decompress(dump.read_bytes()).decode())
        else:
            for statement in (HERE / f"{name}.schema.sql").read_text().split(";\n"):
                for table in re.findall(r"^-- copy: (.*)$", statement, re.MULTILINE):
                    for one in table.split():
                        _copy(connection, one, data / "stackexchange")
                connection.execute(statement)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("SET search_path = public")
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


def _copy(connection: psycopg.Connection, table: str, directory: Path) -> None:
    (file,) = [f for f in directory.iterdir() if f.name.lower() == f"{table}.csv.xz"]
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as copy,
    ):
        copy.write(lzma.decompress(file.read_bytes()))


def _restore(connection: psycopg.Connection, text: str) -> None:
    r"""A plain dump: statements, and COPY blocks that end with a line of \."""
    for number, part in enumerate(re.split(r"^(COPY .* FROM stdin;)\n", text, flags=re.MULTILINE)):
        if number % 2:
            command = part.replace("stdin", "STDIN").rstrip(";")
            continue
        if number:
            rows, _, rest = part.partition("\\.\n")
            with connection.cursor() as cursor, cursor.copy(command) as copy:
                copy.write(rows)
        connection.execute("\n".join(_plain(rest if number else part)) or "SELECT 1")


def _plain(part: str) -> Iterator[str]:
    for line in part.split("\n"):
        unwanted = line.startswith("\\") or "OWNER TO" in line
        if not unwanted and "transaction_timeout" not in line:
            yield line


def read(name: str) -> tuple[Mapping[str, str], Sequence[Line]]:
    """Where values come from, and the lines of the traffic."""
    samplers, lines = {}, []
    for line in (HERE / f"{name}.traffic").read_text().splitlines():
        if line.startswith("#"):
            continue
        head, bar, body = line.partition(" | ")
        if bar and head.isdecimal():
            lines.append(Line(int(head), tuple(s.strip() for s in body.split(";;"))))
        else:
            sampler, _, query = line.partition(": ")
            samplers[sampler] = query
    return samplers, lines


def pools_of(
    connection: psycopg.Connection, samplers: Mapping[str, str]
) -> Mapping[str, Sequence[str]]:
    """The values that each sampler draws from; those that many rows have stand there many times."""
    return {
        sampler: [str(row[0]) for row in connection.execute(query) if row[0] is not None]
        for sampler, query in samplers.items()
    }


def drive(name: str, dsn: str, *, seed: int = 1) -> Truth:
    """Run the traffic over several connections, logged; rows touched by statement and values."""
    samplers, lines = read(name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        pools = pools_of(connection, samplers)
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute("ALTER SYSTEM SET log_min_duration_statement = 0")
        connection.execute("SELECT pg_reload_conf()")
    work = [(n, line) for n, line in enumerate(lines) for _ in range(line.calls)]
    random.Random(seed).shuffle(work)
    truth: dict[Any, list[int]] = defaultdict(list)
    threads = [
        threading.Thread(
            target=_client,
            args=(dsn, work[n::CLIENTS], pools, truth, seed + n),
        )
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET log_min_duration_statement = -1")
        connection.execute("VACUUM (ANALYZE)")
    return truth


def unlogged(dsn: str) -> None:
    """End the logging that `drive` began: what is captured must be captured by then."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET log_min_duration_statement")
        connection.execute("SELECT pg_reload_conf()")


def _client(
    dsn: str,
    work: Sequence[tuple[int, Line]],
    pools: Mapping[str, Sequence[str]],
    truth: dict[Any, list[int]],
    seed: int,
) -> None:
    rng = random.Random(seed)
    with psycopg.connect(dsn, autocommit=True, application_name="shop") as connection:
        for number, line in work:
            _unit(connection, line, number % 2 == 0, rng, pools, truth)


def _unit(
    connection: psycopg.Connection,
    line: Line,
    bound: bool,
    rng: random.Random,
    pools: Mapping[str, Sequence[str]],
    truth: dict[Any, list[int]],
) -> None:
    """Run a transaction; one that fails is told, and ends there."""
    known: dict[str, str] = {}
    for text in line.statements:
        if len(line.statements) == 1:
            known = {}
        elif text in _ENDS:
            time.sleep(_WORK_S)
        sql, values, taken = filled(text, bound, rng, pools, known)
        try:
            with psycopg.RawCursor(connection) as cursor:
                cursor.execute(sql, values or None)
                rows = max(cursor.rowcount, 0)
                if taken:
                    known[taken] = str(cursor.fetchone()[0])
        except psycopg.Error as error:
            print(f"production: {error.sqlstate} {str(error).splitlines()[0]}: {sql[:80]}")
            connection.execute("ROLLBACK")
            return
        slotted = extract(sql)
        truth[slotted.sql, (*values, *slotted.literals)].append(rows)


def filled(
    text: str,
    bound: bool,
    rng: random.Random,
    pools: Mapping[str, Sequence[str]],
    known: dict[str, str],
) -> tuple[str, list[str], str]:
    """A statement's text, its parameters, and the name that its first column goes to.

    A value keeps its name over the statements of a transaction; a name that comes again in one
    statement is another value, unless another statement gave it.
    """
    values: list[str] = []
    taken: list[str] = []
    before = set(known)

    def place(found: re.Match[str]) -> str:
        takes, name = found[1], found[2]
        if takes:
            taken.append(name)
            return ""
        if name not in before:
            known[name] = rng.choice(pools[name])
        value = known[name]
        if bound:
            values.append(value)
            return f"${len(values)}"
        return value if _NUMBER.fullmatch(value) else "'" + value.replace("'", "''") + "'"

    sql = _PLACE.sub(place, text).strip()
    return sql, values, "".join(taken)
