"""From the options of a process under Locust to what its workers have to do."""

import argparse
from dataclasses import replace
from pathlib import Path

from replay.load import options
from replay.load.cluster import Place
from replay.load.worker import WorkerTask


def task(parsed: argparse.Namespace, shards: Path, run: Path, place: Place) -> WorkerTask:
    """The process's own."""
    return WorkerTask(
        shards=shards,
        run=run,
        worker=place.worker,
        dsn="" if parsed.service else options.target_of(parsed),
        pool=place.share(parsed.pool or options.POOL),
        pool_timeout_ms=parsed.pool_timeout_ms,
        statement_timeout_ms=parsed.statement_timeout_ms,
        duration_s=parsed.duration,
        drain_s=parsed.drain,
        service=parsed.service,
        ca=parsed.ca,
        insecure=parsed.insecure,
        login=parsed.login,
        csrf=options.listed(parsed.csrf),
        fresh=options.listed(parsed.fresh),
    )


def aside(
    parsed: argparse.Namespace, own: WorkerTask, place: Place, workers: int
) -> WorkerTask | None:
    """The statements in the stead of requests, which the first process sends; None where there are none.

    `workers` are those that the load was baked for.
    """
    if not parsed.service or place.worker or workers == place.workers:
        return None
    return replace(
        own,
        worker=place.workers,
        dsn=options.target_of(parsed),
        service="",
        pool=min(parsed.pool or options.ASIDE_POOL, options.ASIDE_POOL),
        shares_loop=True,
    )
