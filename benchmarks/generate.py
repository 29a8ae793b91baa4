"""How fast is `replay generate`? Beside COPY of a prebuilt file and row-by-row Faker, in one run.

`python benchmarks/generate.py [--rows 2000000] [--pg 18]`: one table of seven mixed columns, then a
schema of 60 tables with foreign keys. The peers are given files that were made before the clock
starts; ours makes its rows while it sends them. Every method ends with the same rows in the same
tables, keys and ANALYZE included for the schema. Ratios count: they are taken within one round.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from faker import Faker

from data_gen import ddl
from data_gen.introspect import introspect
from data_gen.load import Order, generate
from data_gen.profile import SchemaProfile
from replay import embedded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = {
    "fsync": "off",
    "shared_buffers": "'512MB'",
    "max_wal_size": "'8GB'",
    "autovacuum": "off",
    "maintenance_work_mem": "'128MB'",
}
SAMPLE = 100_000
FAKED = 4_000
TABLE = f"""
    CREATE TABLE people (id bigint, name text, email text, plan text, amount numeric(12, 2),
                         created timestamptz, note text);
    INSERT INTO people
    SELECT i, 'First' || i % 900 || ' Last' || i % 7000, 'user' || i || '@mail' || i % 50 || '.example',
           CASE i % 10 WHEN 0 THEN 'gold' WHEN 1 THEN 'team' ELSE 'free' END,
           round((random() * 10000)::numeric, 2), now() - i * interval '9 seconds',
           repeat('some words ', 2 + i % 6)
    FROM generate_series(1, {SAMPLE}) AS i;
    ANALYZE people;
"""  # noqa: S608 - a number of our own
TABLES = 60
ROWS = 10_000
COLUMNS = "name text, at timestamptz, amount numeric(10, 2), state text, done bool"
VALUES = f"""
    SELECT i, 1 + (i * 7) % {ROWS}, 'name ' || i, now() - i * interval '1 minute', i / 7.0,
           (ARRAY['new', 'open', 'done'])[1 + i % 3], i % 4 = 0
    FROM generate_series(1, {ROWS}) AS i
"""  # noqa: S608 - a number of our own
GOALS = {
    "one connection": 1.2,
    "two connections": 1.6,
    "60 tables with keys": 0.8,
    "times row-by-row Faker": 30.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pg", type=int, default=18)
    asked = parser.parse_args()
    (installation,) = (one for one in embedded.installations() if one.version == asked.pg)
    with (
        embedded.server(SETTINGS, installation=installation) as server,
        tempfile.TemporaryDirectory() as scratch,
    ):
        ratios = one_table(server, Path(scratch), asked.rows, asked.rounds)
        ratios |= many_tables(server, Path(scratch), asked.rounds)
    print(f"\n{'against COPY of a prebuilt text file':40} {'goal':>6} {'seen':>6}")
    for name, seen in ratios.items():
        print(
            f"{name:40} {GOALS[name]:>6.1f} {seen:>6.2f}  {'met' if seen >= GOALS[name] else 'MISSED'}"
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{'memory of all of it, MiB':40} {1024:>6} {memory:>6.0f}  {'met' if memory <= 1024 else 'MISSED'}"
    )


def one_table(server: embedded.Server, scratch: Path, rows: int, rounds: int) -> dict[str, float]:
    source = database(server, "people_source")
    execute(source, TABLE)
    profile = profile_of(source)
    scale = rows / SAMPLE
    text = scratch / "people.txt"
    made = database(server, "people_made")
    ours(profile, made, scale, jobs=1)
    dump(made, "people", text)
    drop(server, "people_made")
    print(f"people      {rows:,} rows, {text.stat().st_size / 2**20:,.0f} MiB of text")

    def copied() -> float:
        return timed(server, lambda dsn: (create(dsn, profile), load(dsn, "people", text)))

    def generated(jobs: int) -> Callable[[], float]:
        return lambda: timed(server, lambda dsn: ours(profile, dsn, scale, jobs=jobs))

    seconds = measured(
        {"COPY text": copied, "ours, 1": generated(1), "ours, 2": generated(2)}, rows, rounds
    )
    faked = FAKED / timed(server, lambda dsn: (create(dsn, profile), fake(dsn)))
    print(f"  row by row, Faker      {faked:>10,.0f} rows/s")
    best = rows / statistics.median(seconds["ours, 1"])
    return {
        "one connection": ratio(seconds, "COPY text", "ours, 1"),
        "two connections": ratio(seconds, "COPY text", "ours, 2"),
        "times row-by-row Faker": best / faked,
    }


def many_tables(server: embedded.Server, scratch: Path, rounds: int) -> dict[str, float]:
    source = database(server, "many_source")
    execute(source, "".join(many()))
    execute(source, "VACUUM ANALYZE")
    profile = profile_of(source)
    made = database(server, "many_made")
    ours(profile, made, 1.0, jobs=1)
    files = {table.name: scratch / f"{table.name}.txt" for table in profile.tables}
    for name, file in files.items():
        dump(made, name, file)

    def copied() -> float:
        def build(dsn: str) -> None:
            create(dsn, profile)
            for name, file in files.items():
                load(dsn, name, file)
            for table in profile.tables:
                execute(dsn, ";\n".join(ddl.indexes(table)))
            execute(dsn, "ANALYZE")
            execute(dsn, ";\n".join(step.sql for step in ddl.late(profile)))

        return timed(server, build)

    def generated() -> float:
        return timed(server, lambda dsn: ours(profile, dsn, 1.0, jobs=1))

    print(f"{TABLES} tables   {TABLES * ROWS:,} rows, {2 * TABLES - 2} keys and indexes")
    seconds = measured({"COPY text": copied, "ours, 1": generated}, TABLES * ROWS, rounds)
    return {"60 tables with keys": ratio(seconds, "COPY text", "ours, 1")}


def many() -> Iterator[str]:
    """Tables that each lead to an earlier one."""
    for number in range(TABLES):
        parent = max(number // 3, 0)
        key = f"REFERENCES t{parent}" if number else ""
        yield f"CREATE TABLE t{number} (id int PRIMARY KEY, parent int {key}, {COLUMNS});"
        yield f"INSERT INTO t{number} {VALUES}; CREATE INDEX ON t{number} (parent);"


def measured(
    methods: dict[str, Callable[[], float]], rows: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of each method, round by round, so that all meet the same weather."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            seconds[name].append(method())
    for name, found in seconds.items():
        shown = " ".join(f"{one:.2f}" for one in found)
        print(f"  {name:22} {rows / statistics.median(found):>10,.0f} rows/s   ({shown} s)")
    return seconds


def ratio(seconds: dict[str, list[float]], peer: str, name: str) -> float:
    """How many times as fast as the peer, the median of the rounds."""
    pairs = zip(seconds[peer], seconds[name], strict=True)
    return statistics.median(theirs / own for theirs, own in pairs)


def timed(server: embedded.Server, work: Callable[[str], object]) -> float:
    """Seconds of some work in a database that is made before and dropped after."""
    dsn = database(server, "timed")
    began = time.perf_counter()
    work(dsn)
    seconds = time.perf_counter() - began
    drop(server, "timed")
    return seconds


def ours(profile: SchemaProfile, dsn: str, scale: float, *, jobs: int) -> None:
    order = Order(base_time=NOW, scale=scale, jobs=jobs)
    loaded = generate(profile, lambda: psycopg.connect(dsn), order)
    assert not loaded.left_out, loaded.left_out


def create(dsn: str, profile: SchemaProfile) -> None:
    execute(dsn, ";\n".join(ddl.before_load(profile)))


def load(dsn: str, table: str, file: Path) -> None:
    r"""As `psql \\copy` does: the file's bytes, over one connection."""
    with (
        connected(dsn) as connection,
        connection.cursor().copy(f"COPY {table} FROM STDIN") as copy,
        file.open("rb") as source,
    ):
        while data := source.read(1 << 17):
            copy.write(data)


def fake(dsn: str) -> None:
    """One row after the other, each value asked of Faker."""
    faker = Faker()
    with (
        connected(dsn) as connection,
        connection.cursor().copy("COPY people FROM STDIN") as copy,
    ):
        for number in range(FAKED):
            copy.write_row(
                (
                    number,
                    faker.name(),
                    faker.email(),
                    faker.random_element(("free", "team", "gold")),
                    faker.pydecimal(left_digits=4, right_digits=2, positive=True),
                    faker.date_time_this_year(),
                    faker.sentence(),
                )
            )


def dump(dsn: str, table: str, file: Path) -> None:
    with (
        connected(dsn) as connection,
        connection.cursor().copy(f"COPY {table} TO STDOUT") as copy,
        file.open("wb") as target,
    ):
        for data in copy:
            target.write(data)


def profile_of(dsn: str) -> SchemaProfile:
    with psycopg.connect(dsn) as connection:
        return introspect(connection)


def database(server: embedded.Server, name: str) -> str:
    execute(server.dsn(), f"DROP DATABASE IF EXISTS {name}")
    execute(server.dsn(), f"CREATE DATABASE {name}")
    return server.dsn(name)


def drop(server: embedded.Server, name: str) -> None:
    execute(server.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


def execute(dsn: str, statements: str) -> None:
    with connected(dsn) as connection:
        connection.execute(statements.encode())


@contextmanager
def connected(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


if __name__ == "__main__":
    main()
