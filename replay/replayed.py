"""A workload as a run of it sees it: requests that were sent to a service are templates like statements."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from replay import bundle
from replay.requests import Requests, as_template
from replay.sql.comment import spelling
from replay.workload import Template, Workload


def read(path: Path, *, service: bool, statements: bool = True) -> Workload:
    """Read a workload directory; where a run sent requests to a `service`, with its routes as templates.

    Without `statements` it knows nothing else then. Routes that statements' comments name are spelt as
    requests are. Raises InputError where the directory is no workload, or not whole.
    """
    workload = bundle.read(path)
    requests = bundle.read_requests(path, kept=False)
    if requests is None:
        return workload
    if not service:
        return replace(workload, templates=tuple(_spelt(workload, requests)))
    routes = tuple(map(as_template, requests.routes))
    kept = workload.templates if statements else ()
    log, manifest = requests.log, workload.manifest
    if statements:
        manifest = replace(manifest, executions=log.requests + manifest.executions)
    else:
        manifest = replace(
            manifest,
            begin=log.begin,
            end=log.end,
            slice_s=log.slice_s,
            executions=log.requests,
            peak_concurrency=log.peak_concurrency,
        )
    return replace(workload, manifest=manifest, templates=(*routes, *kept))


def _spelt(workload: Workload, requests: Requests) -> Iterator[Template]:
    shown = spelling(f"{one.method} {one.route}" for one in requests.routes)
    for one in workload.templates:
        routes = tuple((shown(route, one.kind), share) for route, share in one.routes)
        yield replace(one, routes=routes) if routes else one
