"""From a workload to a filled staging."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from data_gen.errors import DataGenError
from data_gen.load import Loaded, generate
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
    "fsync": "off",
    "log_destination": "'jsonlog'",
    "log_lock_waits": "on",
    "deadlock_timeout": "'200ms'",
}


def generate_staging(
    workload: Path,
    dsn: str,
    *,
    scale: float = 1.0,
    seed: int = 0,
    jobs: int = 1,
    strict: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    listed: Callable[[Sequence[str]], None] | None = None,
) -> Loaded:
    """Fill an empty, marked database with data of production's shape, from the workload alone.

    What of production's schema cannot be made is given to `listed` before the first row is loaded,
    and with `strict` nothing is loaded then. What is not there afterwards stands in the result's
    `left_out`.
    """
    profile = bundle.read_profile(workload)
    manifest = bundle.read_manifest(workload)
    base_time = datetime.now(UTC)

    def listed_all(refused: Sequence[str]) -> None:
        if listed is not None:
            listed((*profile.unsupported, *refused))

    with connect_target(dsn, source=manifest.source) as connection:
        try:
            loaded = generate(
                profile,
                connector(dsn),
                scale=scale,
                seed=seed,
                base_time=base_time,
                jobs=jobs,
                strict=strict,
                progress=progress,
                listed=listed_all,
            )
        except DataGenError as error:
            raise InputError(str(error)) from error
        except psycopg.OperationalError as error:
            raise EnvironmentFaultError(
                f"the target failed while it was filled: {str(error).strip()}; what was made is "
                "dropped where it could be, see to the server and generate again"
            ) from error
        record_generated(
            connection,
            Generated(
                workload_id=bundle.workload_id(workload),
                seed=seed,
                scale=scale,
                base_time=base_time,
            ),
        )
    return replace(loaded, left_out=(*profile.unsupported, *loaded.left_out))


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
    loaded = generate_staging(workload, dsn, seed=seed, jobs=2)
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
