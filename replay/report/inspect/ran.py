"""What each route runs, and how that is known: on a terminal, and in JSON."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from replay.report import wording
from replay.report.inspect.listing import Line, listing, outline
from replay.report.tables import headed
from replay.requests import Ran, Requests, Route
from replay.workload import Template

_HEADS = ("a request", "of its calls", "known by", "sure")
_NOTHING = ("",) * len(_HEADS)
_BY_TIME = (
    "known by time: it ran while requests of the route were in flight, more than while others were. A "
    "traceparent in the statements' comments makes it certain; see docs/requests.md"
)


def summary(requests: Requests) -> Text | None:
    """One line: how many templates are linked, and how that is known."""
    if not requests.ran:
        return None
    templates = {how: set[str]() for how in dict.fromkeys(one.how for one in requests.ran)}
    for one in requests.ran:
        templates[one.how].add(one.template)
    told = ", ".join(f"{len(found):,} by {how}" for how, found in sorted(templates.items()))
    return Text(
        f"linked with statements: {told}; {len(requests.links):,} kept transactions are kept requests'"
    )


def section(
    requests: Requests,
    routes: Sequence[Route],
    templates: Sequence[Template],
    width: int,
    top: int | None,
) -> Iterable[RenderableType]:
    """The statements of each route, most run first."""
    sql = {template.id: template.sql for template in templates}
    by_route = _by_route(requests)
    groups = [
        (
            Line(name=route.method, text=route.route, figures=_NOTHING, style="bold"),
            [_line(route, one, sql) for one in by_route[route.id]],
        )
        for route in routes
        if by_route[route.id]
    ]
    if groups:
        lines, more = outline(groups, top)
        yield headed(
            "What they run", listing(("statement", *_HEADS), lines, width=width, more=more)
        )
    if any(one.how == "time" for one in requests.ran):
        yield Text(_BY_TIME, style="dim")


def documents(requests: Requests) -> Mapping[str, list[dict[str, Any]]]:
    """By route's id the templates that it runs, for `--json`."""
    calls = {route.id: route.calls for route in requests.routes}
    return {
        route: [
            {
                "template": one.template,
                "calls": one.calls,
                "per_request": one.calls / max(calls[route], 1),
                "share": one.share,
                "how": one.how,
                "sure": one.sure,
                "requests": one.requests,
            }
            for one in found
        ]
        for route, found in _by_route(requests).items()
    }


def _by_route(requests: Requests) -> dict[str, list[Ran]]:
    found: dict[str, list[Ran]] = defaultdict(list)
    for one in requests.ran:
        found[one.route].append(one)
    return found


def _line(route: Route, one: Ran, sql: Mapping[str, str]) -> Line:
    return Line(
        name=f"  {one.template}",
        text=sql.get(one.template, ""),
        figures=(
            f"{one.calls / max(route.calls, 1):,.3g}",
            wording.share(one.share),
            one.how,
            f"{one.sure:.0%}",
        ),
    )
