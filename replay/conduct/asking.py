"""From a workload and a run's options to requests that can be planned, and to the statements behind them."""

import random
from dataclasses import replace
from pathlib import Path

import psycopg

from data_gen.profile import SchemaProfile
from replay import bundle, service
from replay.bind import Binder
from replay.conduct.columns import Columns, Drawn
from replay.conduct.examples import Bound, examples
from replay.conduct.instead import Bind, Instead
from replay.conduct.openapi import OpenApi
from replay.conduct.options import RunOptions
from replay.conduct.visits import Visits, visits
from replay.errors import InputError, RefusedError
from replay.load.clients import special_fields
from replay.requests import RequestLog, is_captured_host
from replay.service import Service
from replay.workload import Workload


def asking(
    workload_path: Path, workload: Workload, connection: psycopg.Connection, options: RunOptions
) -> Visits:
    """The workload's requests, and how they are to be sent.

    Raises InputError where it has none, and RefusedError where they would be sent to production.
    """
    requests = bundle.read_requests(workload_path)
    if requests is None:
        raise InputError(f"{workload_path}: holds no requests; capture again with --http LOG")
    try:
        profile = bundle.read_profile(workload_path)
    except InputError:
        profile = None  # values are sent as captured
    where = service.find(options.service, ca=options.ca, insecure=options.insecure)
    _require_other_host(requests.log, where)
    return visits(
        requests,
        workload.manifest,
        profile,
        where,
        allow_writes=options.allow_writes,
        leave_out=options.leave_out,
        openapi=_openapi(connection, profile, options),
        special=special_fields(options.csrf, options.fresh),
        ran=workload.transactions,
    )


def with_statements(asked: Visits, captured: Workload, bind: Bind) -> Visits:
    """With what requests ran, where the body of some is not known otherwise."""
    instead = Instead(asked.links, asked.requests.values(), captured.transactions, bind)
    needed = any(
        instead.knows(request.route) and not asked.has_body(request)
        for request in asked.requests.values()
    )
    return replace(asked, instead=instead) if asked.allow_writes and needed else asked


def behind(captured: Workload, binder: Binder, seed: int) -> dict[str, Bound]:
    """Executions of the statements behind requests: rare ones first, then by their time there."""
    found = examples(captured, binder, seed)
    ranked = sorted(captured.templates, key=lambda one: (not one.rare, -one.total_ms))
    return {one.id: found[one.id] for one in ranked if one.id in found}


def _openapi(
    connection: psycopg.Connection, profile: SchemaProfile | None, options: RunOptions
) -> OpenApi | None:
    if not options.openapi:
        return None
    rng = random.Random(options.seed)
    special = special_fields(options.csrf, options.fresh)
    drawn = Drawn(connection, Columns(profile), rng, special)
    return OpenApi(Path(options.openapi), drawn, random.Random(options.seed + 1))


def _require_other_host(log: RequestLog, where: Service) -> None:
    for host in (where.named, f"{where.host}:{where.port}", f"{where.address[0]}:{where.port}"):
        if is_captured_host(log, host):
            raise RefusedError(
                f"{where.url}: production's log of requests names this host: nothing is sent to it; "
                "name the service that stands before staging"
            )
