"""How fast is `replay generate`? Beside COPY of a prebuilt file and row-by-row Faker, in one run.

`python benchmarks/generate.py [--rows 2000000] [--rounds 3] [--pg 18]`: one table of seven mixed
columns, then a schema of 60 tables with foreign keys. The peers are given files that were made before
the clock starts; ours makes its rows while it sends them. Every method ends with the same rows in the
same tables, analysed, with their keys and indexes. Ratios count: they are taken within one round.
COPY of a prebuilt *binary* file says what the server can do at most: whoever makes the rows meanwhile
cannot be faster.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from generate_peers import (
    FAKED,
    ROWS,
    SAMPLE,
    TABLE,
    TABLES,
    create,
    database,
    drop,
    dump,
    execute,
    fake,
    load,
    many,
    ours,
    profile_of,
)

from data_gen import ddl
from replay import embedded

SETTINGS = {
    "fsync": "off",
    "shared_buffers": "'512MB'",
    "max_wal_size": "'8GB'",
    "autovacuum": "off",
    "maintenance_work_mem": "'128MB'",
}
BINARY = "(FORMAT binary)"
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
    text, binary = scratch / "people.txt", scratch / "people.bin"
    made = database(server, "people_made")
    ours(profile, made, scale, jobs=1)
    dump(made, "people", text)
    dump(made, "people", binary, BINARY)
    drop(server, "people_made")
    print(f"people      {rows:,} rows, {text.stat().st_size / 2**20:,.0f} MiB of text", flush=True)

    def copied(file: Path, options: str = "") -> Callable[[], float]:
        def build(dsn: str) -> None:
            create(dsn, profile)
            load(dsn, "people", file, options)
            execute(dsn, "ANALYZE people")

        return lambda: timed(server, build)

    def generated(jobs: int) -> Callable[[], float]:
        return lambda: timed(server, lambda dsn: ours(profile, dsn, scale, jobs=jobs))

    seconds = measured(
        {
            "COPY text": copied(text),
            "COPY binary": copied(binary, BINARY),
            "ours, 1": generated(1),
            "ours, 2": generated(2),
        },
        rows,
        rounds,
    )
    faked = FAKED / timed(server, lambda dsn: (create(dsn, profile), fake(dsn)))
    print(f"  row by row, Faker      {faked:>10,.0f} rows/s")
    best = rows / statistics.median(seconds["ours, 1"])
    bound = ratio(seconds, "COPY text", "COPY binary")
    print(f"  the server's bound     {bound:>10.2f} times COPY of the text: a prebuilt binary file")
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


if __name__ == "__main__":
    main()
