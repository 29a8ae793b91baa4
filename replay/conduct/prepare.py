"""From a workload to a filled staging."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from data_gen.errors import DataGenError
from data_gen.estimate import Expected, expected, require_space, total_bytes
from data_gen.load import Loaded, Order, generate
from replay import bundle, embedded
from replay.errors import EnvironmentFaultError, InputError
from replay.target import Generated, connect_target, connector, mark_staging, record_generated

STAGING = "staging"  # name of a private server's database
# What a private server runs with: a throw-away one, so nothing waits for the disk.
PRIVATE_SETTINGS: Mapping[str, str] = {
    "shared_preload_libraries": "'pg_stat_statements'",
    "shared_buffers": "'256MB'",
    "maintenance_work_mem": "'128MB'",
    "max_wal_size": "'4GB'",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # What drives it has the same cores: eight workers of one scan would take them all.
    "max_parallel_workers": "2",
    "fsync": "off",
    "log_destination": "'jsonlog'",
    "log_lock_waits": "on",
    "deadlock_timeout": "'200ms'",
}


def generate_staging(
    workload: Path,
    dsn: str,
    order: Order | None = None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    listed: Callable[[Sequence[str]], None] | None = None,
) -> Loaded:
    """Fill an empty, marked database with data of production's shape, from the workload alone.

    What of production's schema cannot be made is given to `listed` before the first row is loaded.
    What is not there afterwards stands in the result's `left_out`. Work that was interrupted goes
    on with the same order.
    """
    profile = bundle.read_profile(workload)
    manifest = bundle.read_manifest(workload)
    identity = bundle.workload_id(workload)
    order = replace(order or Order(), workload=identity)

    def listed_all(refused: Sequence[str]) -> None:
        if listed is not None:
            listed((*profile.unsupported, *refused))

    with connect_target(dsn, source=manifest.source) as connection:
        try:
            sizes = expected(profile, order.scale, order.settings(profile).tables)
            require_space(connection, total_bytes(sizes))
            loaded = generate(profile, connector(dsn), order, progress=progress, listed=listed_all)
        except DataGenError as error:
            raise InputError(str(error)) from error
        except psycopg.OperationalError as error:
            raise EnvironmentFaultError(
                f"the target failed while it was filled: {str(error).strip()}; see to the server "
                "and generate again with the same options: tables that are filled stay"
            ) from error
        if not loaded.missing:
            record_generated(
                connection,
                Generated(
                    workload_id=identity,
                    seed=order.seed,
                    scale=order.scale,
                    base_time=loaded.base_time,
                ),
            )
    return replace(loaded, left_out=(*profile.unsupported, *loaded.left_out))


def expected_staging(workload: Path, order: Order) -> tuple[Expected, ...]:
    """What `generate_staging` would make of a workload; no server is asked."""
    profile = bundle.read_profile(workload)
    try:
        return expected(profile, order.scale, order.settings(profile).tables)
    except DataGenError as error:
        raise InputError(str(error)) from error


@contextmanager
def private_staging(
    workload: Path, *, seed: int, say: Callable[[str], None], keep: bool = False
) -> Iterator[embedded.Server]:
    """A private server whose database STAGING is marked and filled from the workload."""
    with embedded.server(PRIVATE_SETTINGS, keep=keep) as running:
        new_staging(running, STAGING, workload, seed=seed, say=say)
        yield running


def new_staging(
    running: embedded.Server, name: str, workload: Path, *, seed: int, say: Callable[[str], None]
) -> str:
    """Make, mark and fill a database of a private server from the workload; returns its DSN."""
    dsn = _new_database(running, f"CREATE DATABASE {name}", name)
    began = time.monotonic()
    order = Order(seed=seed, jobs=2)
    loaded = generate_staging(workload, dsn, order)
    say(
        f"generate    {sum(table.rows for table in loaded.tables):,} rows in "
        f"{len(loaded.tables)} tables from the workload alone, "
        f"{time.monotonic() - began:.1f} s"
    )
    for reason in loaded.left_out:
        say(f"left out    {reason}")
    return dsn


def copy_staging(running: embedded.Server, name: str, of: str) -> str:
    """A marked copy of a private server's database, which nobody may be using; returns its DSN."""
    return _new_database(running, f"CREATE DATABASE {name} TEMPLATE {of} STRATEGY file_copy", name)


def _new_database(running: embedded.Server, statement: str, name: str) -> str:
    with psycopg.connect(running.dsn(), autocommit=True) as connection:
        connection.execute(statement.encode())
    dsn = running.dsn(name)
    mark_staging(dsn)
    return dsn
