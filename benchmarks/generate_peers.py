"""What benchmarks/generate.py measures: its two schemas, ours and the peers, each in one function."""

from collections.abc import Iterator
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


def many() -> Iterator[str]:
    """Tables that each lead to an earlier one."""
    for number in range(TABLES):
        parent = max(number // 3, 0)
        key = f"REFERENCES t{parent}" if number else ""
        yield f"CREATE TABLE t{number} (id int PRIMARY KEY, parent int {key}, {COLUMNS});"
        yield f"INSERT INTO t{number} {VALUES}; CREATE INDEX ON t{number} (parent);"


def ours(profile: SchemaProfile, dsn: str, scale: float, *, jobs: int) -> None:
    order = Order(base_time=NOW, scale=scale, jobs=jobs)
    loaded = generate(profile, lambda: psycopg.connect(dsn), order)
    assert not loaded.left_out, loaded.left_out


def create(dsn: str, profile: SchemaProfile) -> None:
    execute(dsn, ";\n".join(ddl.before_load(profile)))


def load(dsn: str, table: str, file: Path, options: str = "") -> None:
    r"""As `psql \\copy` does: the file's bytes, over one connection."""
    with (
        connected(dsn) as connection,
        connection.cursor().copy(f"COPY {table} FROM STDIN {options}") as copy,
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


def dump(dsn: str, table: str, file: Path, options: str = "") -> None:
    with (
        connected(dsn) as connection,
        connection.cursor().copy(f"COPY {table} TO STDOUT {options}") as copy,
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
