"""A private production: filled by its scripts, driven by its clients, captured from its log.

For demonstrations and regression tests: what is captured is what its server logged, as with anyone's.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psycopg

from replay import embedded
from replay.capture import Options
from replay.capture.captured import Filters
from replay.capture.requests.stage import RequestOptions
from replay.conduct.capturing import capture_workload
from replay.errors import EnvironmentFaultError
from replay.sql.split import statements
from replay.tag import APPLICATION_NAME
from replay.workload import Workload

Say = Callable[[str], None]


def fill(production: embedded.Server, scripts: Sequence[str], say: Say) -> None:
    """Run the scripts, then log every statement from now on and count from nought."""
    began = time.monotonic()
    with psycopg.connect(
        production.dsn(), autocommit=True, application_name=APPLICATION_NAME
    ) as connection:
        for script in scripts:
            run_script(connection, script)
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute("ALTER SYSTEM SET log_min_duration_statement = 0")
        connection.execute("SELECT pg_reload_conf()")
        row = connection.execute(
            "SELECT coalesce(sum(reltuples) FILTER (WHERE reltuples > 0), 0)::int8 FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace NOT IN"
            " ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
        ).fetchone()
    assert row is not None
    say(
        f"production  PostgreSQL {production.installation.version}, about {row[0]:,} rows, "
        f"filled in {time.monotonic() - began:.1f} s"
    )


def run_script(connection: psycopg.Connection, script: str) -> None:
    """Run a script's statements one by one, each in a transaction of its own."""
    for _, statement in statements(script):
        connection.execute(statement.encode())


def drive(
    production: embedded.Server,
    program: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Run the clients to their end; returns what they say of themselves, where they say it.

    Raises EnvironmentFaultError where they fail.
    """
    done = subprocess.run(
        [sys.executable, *program],
        env={**os.environ, **(environment or {}), "REPLAY_TRAFFIC_DSN": production.dsn()},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        raise EnvironmentFaultError(
            f"production's clients ended with {done.returncode}: {' '.join(program)}"
        )
    with psycopg.connect(production.dsn(), autocommit=True) as connection:
        connection.execute("ANALYZE")  # autovacuum would have come by, in production's own time
    told: dict[str, float] = json.loads(done.stdout) if done.stdout.strip() else {}
    return told


def capture(
    production: embedded.Server,
    out: Path,
    *,
    seed: int,
    say: Say,
    application: str = "",
    access_log: Path | None = None,
    routes: tuple[Path, ...] = (),
) -> Workload:
    """Production's log into a workload; of one application, where one is named.

    The service's access log is read beside it, where there is one, with its `routes`.
    """
    filters = Filters(applications=(application,) if application else ())
    captured = capture_workload(
        [production.log_directory / "server.json"],
        out,
        stats_dsn=production.dsn(),
        options=Options(seed=seed, filters=filters),
        requests=([access_log], RequestOptions(seed=seed, routes=routes)) if access_log else None,
    ).workload
    manifest = captured.manifest
    say(
        f"capture     {manifest.executions:,} executions of {len(captured.templates)} templates in "
        f"{manifest.transactions:,} transactions, {manifest.sessions} sessions; rare paths:"
    )
    for template in captured.templates:
        if template.rare:
            share = template.calls / manifest.executions
            mean = template.total_ms / max(template.calls - template.errors, 1)
            say(
                f"              {template.id}  {template.calls} calls ({share:.3%}), "
                f"{mean:.0f} ms each: {template.sql[:90]}"
            )
    return captured
