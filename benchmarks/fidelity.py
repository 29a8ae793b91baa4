"""How like production is what `generate` and `bind` make of a workload alone? The table of goals.

`python benchmarks/fidelity.py DATA [--set stack] [--pg 18]`: DATA is a directory with sakila.sql.xz and
stackexchange/*.csv.xz; without it only the set `bank`, which makes its own rows, is measured. Per set
and version: production is filled, its traffic run and captured from its log with --stats, staging is
generated on another server, and the kept transactions are bound and really executed on both. A set
takes about three minutes on two cores that do little else, two of them for the loads, and more where
other programs want them; `-v` tells of each template that falls short, and each set how long its parts took.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from fidelity_figures import Figure, by_template, sizes, statistics, tables_of_goals
from fidelity_locks import lock_share
from fidelity_measure import measure
from fidelity_production import Truth, drive, fill, unlogged

from data_gen.load import Order
from replay import bundle, embedded, target
from replay.bind import Binder
from replay.capture import Options
from replay.conduct.capturing import capture_workload
from replay.conduct.prepare import PRIVATE_SETTINGS, generate_staging

SETS = ("stack", "sakila", "bank")
KEY = b"fidelity" * 4
# `capture --per-stratum`: sixty updates of a key hold too few that met to say how often two meet.
KEPT = 256
ROUNDS = 4  # of a load on either side; what remains of chance is told beside the figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=Path("/nonexistent"))
    parser.add_argument("--set", choices=SETS, action="append", dest="sets")
    parser.add_argument("--pg", type=int, action="append", dest="versions")
    parser.add_argument("--no-locks", action="store_true", help="leave the two loads out: faster")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="loads on either side; an even number"
    )
    parser.add_argument("-v", action="store_true", help="tell of each template that falls short")
    asked = parser.parse_args()
    for installation in embedded.installations():
        if asked.versions and installation.version not in asked.versions:
            continue
        for name in asked.sets or SETS:
            needed = {"stack": "stackexchange", "sakila": "sakila.sql.xz"}.get(name)
            if needed and not (asked.data / needed).exists():
                print(f"{name}: {asked.data} holds no {needed}; not measured")
                continue
            began = time.monotonic()
            figures = one_set(name, installation, asked)
            print(f"\n{name}, PostgreSQL {installation.version}, {time.monotonic() - began:.0f} s")
            print(tables_of_goals(figures), flush=True)


class _Phases:
    """How long each part of a set's work took."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._told: list[str] = []

    def ends(self, name: str) -> None:
        now = time.monotonic()
        self._told.append(f"{name} {now - self._began:.0f} s")
        self._began = now

    def __str__(self) -> str:
        return ", ".join(self._told)


@contextmanager
def _servers(
    installation: embedded.Installation,
) -> Iterator[tuple[embedded.Server, embedded.Server]]:
    settings = {**PRIVATE_SETTINGS, "autovacuum": "off", "jit": "off"}
    with (
        embedded.server(settings, installation=installation) as production,
        embedded.server(settings, installation=installation) as staging,
    ):
        yield production, staging


def one_set(
    name: str, installation: embedded.Installation, asked: argparse.Namespace
) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(prefix="replay-fidelity-") as scratch,
        _servers(installation) as (production, staging),
    ):
        for server, database in ((production, "shop"), (staging, "made")):
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {database}")
        source, made = production.dsn("shop"), staging.dsn("made")
        phase = _Phases()
        fill(name, source, asked.data)
        with psycopg.connect(production.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE before TEMPLATE shop")
        truth = drive(name, source)
        phase.ends("production filled and driven")
        workloads = Path(scratch) / "shop.workload", Path(scratch) / "plain.workload"
        log = Path(scratch) / "server.json"
        shutil.copy(production.log_directory / "server.json", log)
        for path, keep in zip(workloads, (False, True), strict=True):
            options = Options(keep_values=keep, per_stratum=KEPT)
            capture_workload([log], path, stats_dsn=source, key=KEY, options=options)
        unlogged(source)
        phase.ends("captured")
        target.mark_staging(made)
        loaded = generate_staging(workloads[0], made, Order(jobs=2))
        for reason in loaded.left_out:
            print(f"  left out  {reason}")
        phase.ends("generated")
        before = production.dsn("before")
        figures = compared(workloads, source, before, made, truth, asked)
        phase.ends("compared")
        if not asked.no_locks:
            figures += lock_share(name, workloads, production, made, Path(scratch), asked.rounds)
            phase.ends("loaded")
        print(f"  {phase}", flush=True)
        return figures


def compared(
    workloads: tuple[Path, Path],
    source: str,
    before: str,
    made: str,
    truth: Truth,
    asked: argparse.Namespace,
) -> list[Figure]:
    scrubbed, plain = map(bundle.read, workloads)
    with (
        psycopg.connect(source, autocommit=True) as theirs,
        psycopg.connect(before, autocommit=True) as copy,
        psycopg.connect(made, autocommit=True) as ours,
    ):
        generated = target.read_generated(ours)
        profile = bundle.read_profile(workloads[0])
        ours.execute("VACUUM (ANALYZE)")
        ours.execute("SELECT setseed(0)")
        binder = Binder(scrubbed, profile, generated)
        print(f"  bound     {dict(binder.summary)}")
        # What was read may have been written in between; what was written was there before.
        as_captured = Binder(plain, bundle.read_profile(workloads[1]), None, identity=True)
        production = measure(copy, plain, as_captured, reads=False)
        production |= measure(theirs, plain, as_captured, reads=True)
        # What is rolled back leaves its room behind.
        figures = [*sizes(theirs, ours), *statistics(theirs, ours)]
        staging = measure(ours, scrubbed, binder)
        copy.execute("ANALYZE")
        again = measure(copy, plain, as_captured, plans_only=True)
        figures += by_template(plain, production, again, staging, truth, verbose=asked.v)
    return figures


if __name__ == "__main__":
    main()
