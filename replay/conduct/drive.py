"""A baked load driven against the target, with the server watched meanwhile."""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns

import psycopg

from replay import rundir, target
from replay.conduct.bake import RunOptions
from replay.conduct.during import During, Ran, Script
from replay.diagnose import served
from replay.load.launch import LoadReport, launch
from replay.load.transactions import Transactions, transactions
from replay.watch import Watch, counters, serverlog
from replay.workload import Template

log = logging.getLogger(__name__)

_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Driven:
    """What a load left."""

    report: LoadReport
    done: Transactions
    missed: int  # samples of the server that did not come
    migration: tuple[Ran, ...]  # what was sent of it


def drive(
    connection: psycopg.Connection,
    dsn: str,
    shards: Path,
    out: Path,
    options: RunOptions,
    script: Script | None,
    behind: Sequence[Template],
    aside_pool: int,
) -> Driven:
    """Load and watch at once; what was seen is kept whatever happens.

    `behind` are the templates of a service that requests are sent to.
    """
    before = counters.read(connection)
    log_began = serverlog.follow(connection, options.log)
    ran: tuple[Ran, ...] = ()
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Watch(dsn))
        during = None
        if script is not None:
            during = stack.enter_context(
                During(script, dsn, at_s=options.migration_at_s, repeat=options.repeat)
            )
        report = launch(
            shards,
            dsn=dsn,
            run=out,
            scenario=options.scenario,
            pool=options.connections,
            pool_timeout_ms=options.pool_timeout_ms,
            statement_timeout_ms=options.statement_timeout_ms,
            duration_s=options.duration_s,
            drain_s=_DRAIN_S,
            service=options.service,
            client=options.client,
            aside_pool=aside_pool,
            ready=during.start if during is not None else None,
        )
        if during is not None:
            ran = during.stop()
        if options.service:
            _look_behind(connection, options.service)
        watched = watch.stop(report.t0_ns)
    rundir.write_table(out, "samples", served.named(watched.samples, behind))
    rundir.write_table(out, "blocking", served.named(watched.blocking, behind))
    with contextlib.suppress(psycopg.OperationalError):
        rundir.write_table(out, "counters", counters.table(before, counters.read(connection)))
    if log_began is not None:
        since_us = (clock_gettime_ns(CLOCK_MONOTONIC) - report.t0_ns) // 1000
        origin_us = round(datetime.now(UTC).timestamp() * 1e6) - since_us
        rundir.write_table(out, "locklog", log_began.table(origin_us))
    return Driven(
        report=report,
        done=transactions(rundir.read_blocks(out, "attempts"), len(report.shape_of), out),
        missed=watched.missed,
        migration=ran,
    )


def _look_behind(connection: psycopg.Connection, service: str) -> None:
    """Warn where the service seems to stand before another database than the one that was watched."""
    with contextlib.suppress(psycopg.OperationalError):
        if not target.has_other_sessions(connection):
            log.warning(
                "%s has no session on %s: unless it closes them after each request it uses another "
                "database, and nothing here tells of that one",
                *(service, target.describe(connection)),
            )
