"""The requests of a workload on a terminal and in JSON: routes by calls, the rare ones apart."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from replay.report.histograms import captured_quantile
from replay.report.inspect import ran
from replay.report.inspect.bars import spark
from replay.report.inspect.listing import Line, listing
from replay.report.tables import headed
from replay.requests import Requests, Route
from replay.workload import Template

_SPARK = 20
_HEADS = ("calls", "share", "p95 ms", "4xx", "5xx", "kept", "over time")
_HOW_TO_NAME = (
    "{name} stands where too many words are: they are taken for values. Where a route is not what the "
    "service serves, name its routes in a file, one `GET /users/{id}` a line, or give the OpenAPI "
    "document, and capture again with --routes FILE."
)


def write(
    requests: Requests,
    console: Console,
    *,
    top: int | None = None,
    templates: Sequence[Template] = (),
) -> None:
    """Print the head, all routes by calls, the rare ones apart, and what they run of `templates`."""
    for part in sections(requests, console.width, top, templates):
        console.print(part)


def sections(
    requests: Requests, width: int, top: int | None, templates: Sequence[Template]
) -> Iterable[RenderableType]:
    """What there is to know of requests, their routes, and what these run."""
    log = requests.log
    # Nobody knows it where the log tells no durations.
    at_once = f"at most {log.peak_concurrency:,} at once, " if log.peak_concurrency else ""
    yield Text.assemble(
        (f"{log.requests:,} requests", "bold"),
        f" of {len(requests.routes):,} routes ({sum(r.rare for r in requests.routes):,} rare), "
        f"{log.sessions:,} sessions, {at_once}"
        f"{sum(r.kept for r in requests.routes):,} kept",
    )
    yield Text(log.format, style="dim")
    yield Text(f"{log.begin:%Y-%m-%d %H:%M:%S} to {log.end:%Y-%m-%d %H:%M:%S %Z}", style="dim")
    if (linked := ran.summary(requests)) is not None:
        yield linked
    common = [route for route in requests.routes if not route.rare]
    rare = sorted(
        (route for route in requests.routes if route.rare),
        key=lambda route: (route.calls, route.id),
    )
    yield headed("Routes by calls", _table(requests, common, width, top))
    if rare:
        yield headed("Rare routes", _table(requests, rare, width, top))
    if templates:
        yield from ran.section(requests, [*common, *rare], templates, width, top)
    for skip in log.skipped:
        yield Text(
            f"passed over: {skip.count:,} times {skip.reason} ({skip.first})", style="yellow"
        )
    for note in log.notes:
        yield Text(note, style="yellow")
    if any("{name}" in route.route for route in requests.routes):
        yield Text(_HOW_TO_NAME, style="dim")


def documents(requests: Requests | None) -> list[dict[str, Any]]:
    """The routes for `--json`."""
    if requests is None:
        return []
    runs = ran.documents(requests)
    return [{**_document(route), "runs": runs.get(route.id, [])} for route in requests.routes]


def log_document(requests: Requests | None) -> dict[str, Any] | None:
    """How the requests were read, for `--json`."""
    if requests is None:
        return None
    log = requests.log
    return {
        "format": log.format,
        "inputs": log.inputs,
        "begin": log.begin,
        "end": log.end,
        "requests": log.requests,
        "requests_kept": len(requests.kept),
        "sessions": log.sessions,
        "peak_concurrency": log.peak_concurrency,
        "complete": log.complete,
        "links": Counter(link.how for link in requests.links),
        "skipped": {skip.reason: skip.count for skip in log.skipped},
        "notes": log.notes,
    }


def _document(route: Route) -> dict[str, Any]:
    return {
        "id": route.id,
        "route": route.route,
        "method": route.method,
        "given": route.given,
        "calls": route.calls,
        "statuses": {str(status): calls for status, calls in route.statuses},
        "total_ms": route.total_ms,
        "bytes": route.size,
        "kept": route.kept,
        "rare": route.rare,
        "first_seen": route.first_seen,
        "last_seen": route.last_seen,
    }


def _table(
    requests: Requests, routes: Sequence[Route], width: int, top: int | None
) -> RenderableType:
    shown = routes[:top]
    lines = [_line(requests, route) for route in shown]
    return listing(("route", *_HEADS), lines, width=width, more=len(routes) - len(shown))


def _line(requests: Requests, route: Route) -> Line:
    of_class = {
        digit: sum(calls for status, calls in route.statuses if status // 100 == digit)
        for digit in (4, 5)
    }
    slices = dict(route.calls_per_slice)
    log = requests.log
    count = int((log.end - log.begin).total_seconds() // log.slice_s) + 1
    p95 = captured_quantile(route.histogram) if route.timed else None
    return Line(
        name=route.method,
        text=route.route,
        figures=(
            f"{route.calls:,}",
            f"{100 * route.calls / max(log.requests, 1):.3g} %",
            "" if p95 is None else f"{p95:,.3g}",
            f"{of_class[4]:,}" if of_class[4] else "",
            Text(f"{of_class[5]:,}" if of_class[5] else "", style="red"),
            f"{route.kept:,}",
            spark([slices.get(number, 0) for number in range(count)], _SPARK),
        ),
    )
