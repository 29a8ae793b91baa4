"""What production's clients asked for over HTTP, as frozen values: routes and kept requests.

The other half of what a workload holds; see `workload.py`.
"""

from dataclasses import dataclass
from datetime import datetime

from replay.outcome import http_code
from replay.workload import Skip, Template

REQUEST = "request"
"""Kind of a route's template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Requests of one method whose paths differ in their values alone, and their exact figures."""

    id: str  # 16 hex digits, from method and route
    method: str
    route: str  # path with {int}, {uuid} … in the place of values
    given: bool  # named by the service, or by the user; else made of the paths
    calls: int  # exact, unsampled
    statuses: tuple[tuple[int, int], ...]  # (status, calls); 0: none was sent
    total_ms: float  # exact, of the requests whose duration the log tells
    timed: int  # how many those are
    size: int  # bytes sent, in all
    histogram: tuple[tuple[int, int], ...]  # (bucket, calls): see workload.duration_bucket
    calls_per_slice: tuple[tuple[int, int], ...]  # (slice number, calls)
    first_seen: datetime  # aware
    last_seen: datetime
    kept: int  # requests of the sample
    rare: bool  # see capture.rarity


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A kept request, and how many of production's it stands for."""

    id: int  # position in requests.parquet, in order of begin
    route: str  # id
    session: str  # keyed token of its cookie, authorization, or client
    start_us: int  # since the requests' window began
    duration_us: int  # -1: the log does not tell
    method: str
    target: str  # path and query, with tokens in the place of values
    status: int
    size: int  # bytes sent
    agent: str  # browser, mobile, bot, program, none
    trace: str  # keyed token of the trace's id; empty where the log has none
    request_id: str  # keyed token
    weight: float
    priority: int = 0  # of the sample: uniform below 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLog:
    """How the requests were read, and what of them there is."""

    format: str
    inputs: tuple[str, ...]
    begin: datetime  # of the first request
    end: datetime
    slice_s: float  # width of a slice of calls_per_slice
    requests: int  # exact
    sessions: int
    peak_concurrency: int  # requests in flight at once, at most; as fine as the log's stamps
    skipped: tuple[Skip, ...] = ()
    complete: bool = True
    interrupted: bool = False  # by Ctrl-C
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """All that a workload holds of requests."""

    log: RequestLog
    routes: tuple[Route, ...]  # by calls, most first
    kept: tuple[Request, ...]  # by begin


def as_template(route: Route) -> Template:
    """A route as reports know templates."""
    failed = [(code, calls) for status, calls in route.statuses if (code := http_code(status))]
    return Template(
        id=route.id,
        sql=f"{route.method} {route.route}",
        kind=REQUEST,
        tables=(),
        calls=route.calls,
        errors=sum(calls for _, calls in failed),
        total_ms=route.total_ms,
        histogram=route.histogram,
        calls_per_slice=route.calls_per_slice,
        first_seen=route.first_seen,
        last_seen=route.last_seen,
        kept=route.kept,
        rare=route.rare,
        error_states=tuple(failed),
    )
