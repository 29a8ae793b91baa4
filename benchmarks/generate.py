"""How fast is `replay generate`? Beside COPY of a prebuilt file and row-by-row Faker, in one run.

`python benchmarks/generate.py [--rows 2000000] [--rounds 3] [--pg 18]`: one table of seven mixed
columns, then a schema of 60 tables with foreign keys. The peers are given files that were made before
the clock starts; ours makes its rows while it sends them. Every method ends with the same rows in the
same tables, analysed, with their keys and indexes. Ratios count: they are taken within one round.
COPY of a prebuilt *binary* file says what the server can do at most: whoever makes the rows meanwhile
cannot be faster over one connection. CPU seconds say what would be on a machine with nothing else to do.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
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


class Cost(NamedTuple):
    """Seconds of one round."""

    wall: float
    server: float  # of CPU
    client: float


Costs = dict[str, list[Cost]]


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

    analysing: list[float] = []

    def copied(file: Path, options: str = "") -> Callable[[], Cost]:
        def build(dsn: str) -> None:
            create(dsn, profile)
            load(dsn, "people", file, options)
            began = time.perf_counter()
            execute(dsn, "ANALYZE people")
            analysing.append(time.perf_counter() - began)

        return lambda: timed(server, build)

    def generated(jobs: int) -> Callable[[], Cost]:
        return lambda: timed(server, lambda dsn: ours(profile, dsn, scale, jobs=jobs))

    costs = measured(
        {
            "COPY text": copied(text),
            "COPY binary": copied(binary, BINARY),
            "ours, 1": generated(1),
            "ours, 2": generated(2),
        },
        rows,
        rounds,
    )
    faked = FAKED / timed(server, lambda dsn: (create(dsn, profile), fake(dsn))).wall
    print(f"  {'Faker by row':14} {faked:>10,.0f} rows/s")
    best = rows / statistics.median(cost.wall for cost in costs["ours, 1"])
    bound = ratio(costs, "COPY text", "COPY binary")
    print(f"  ANALYZE takes {statistics.median(analysing):.2f} s of each")
    print(f"  the server can take binary {bound:.2f} times as fast as text")
    return {
        "one connection": ratio(costs, "COPY text", "ours, 1"),
        "two connections": ratio(costs, "COPY text", "ours, 2"),
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

    def copied() -> Cost:
        def build(dsn: str) -> None:
            create(dsn, profile)
            for name, file in files.items():
                load(dsn, name, file)
            for table in profile.tables:
                execute(dsn, ";\n".join(ddl.indexes(table)))
            execute(dsn, "ANALYZE")
            execute(dsn, ";\n".join(step.sql for step in ddl.late(profile)))

        return timed(server, build)

    def generated() -> Cost:
        return timed(server, lambda dsn: ours(profile, dsn, 1.0, jobs=1))

    print(f"{TABLES} tables   {TABLES * ROWS:,} rows, {2 * TABLES - 2} keys and indexes")
    costs = measured({"COPY text": copied, "ours, 1": generated}, TABLES * ROWS, rounds)
    return {"60 tables with keys": ratio(costs, "COPY text", "ours, 1")}


def measured(methods: dict[str, Callable[[], Cost]], rows: int, rounds: int) -> Costs:
    """What each method costs, round by round, so that all meet the same weather."""
    costs: Costs = {name: [] for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            costs[name].append(method())
    for name, found in costs.items():
        wall, server, client = (statistics.median(figures) for figures in zip(*found, strict=True))
        shown = " ".join(f"{one.wall:.2f}" for one in found)
        cpu = f"server {server:5.2f} client {client:5.2f}"
        print(f"  {name:14} {rows / wall:>10,.0f} rows/s   ({shown} s; CPU {cpu} s)", flush=True)
    return costs


def ratio(costs: Costs, peer: str, name: str) -> float:
    """How many times as fast as the peer, the median of the rounds."""
    pairs = zip(costs[peer], costs[name], strict=True)
    return statistics.median(theirs.wall / own.wall for theirs, own in pairs)


def timed(server: embedded.Server, work: Callable[[str], object]) -> Cost:
    """What some work costs in a database that is made before and dropped after."""
    dsn = database(server, "timed")
    before = time.perf_counter(), server_cpu(server), time.process_time()
    work(dsn)
    wall, client = time.perf_counter() - before[0], time.process_time() - before[2]
    cost = Cost(wall, server_cpu(server) - before[1], client)
    drop(server, "timed")
    return cost


def server_cpu(server: embedded.Server) -> float:
    """CPU seconds of all its processes, those that have ended included."""
    time.sleep(0.1)  # a backend that has ended counts once the postmaster has seen it
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
    times = [process.cpu_times() for process in (postmaster, *postmaster.children())]
    ended = times[0].children_user + times[0].children_system
    return ended + sum(one.user + one.system for one in times)


if __name__ == "__main__":
    main()
