"""What production's clients asked for over HTTP, as frozen values: routes and kept requests.

The other half of what a workload holds; see `workload.py`.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlsplit

from replay.outcome import http_code
from replay.sql.comment import shape_of
from replay.workload import Place, Skip, Template

REQUEST = "request"
"""Kind of a route's template."""

BY_TRACE, BY_REQUEST_ID, BY_COMMENT, BY_TIME = "trace", "request id", "comment", "time"
"""How a request is known to have run a transaction: by what a record says, or by when it ran."""

_LOOPBACK = re.compile(r"localhost|ip6-localhost|127(?:\.\d{1,3}){3}|::1|0:0:0:0:0:0:0:1")
_ROUNDS = 2000  # of the hash of a host: a list of names takes as much longer to try


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
    content_type: str = ""  # of the body, as application/json; empty where the log has none
    body: str | None = None  # its form, with tokens for values; None: not told, or of no such form
    headers: str = ""  # that say what answer was wanted, `Name: value` in lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A kept request that ran a kept transaction."""

    request: int  # id
    transaction: int  # id
    how: str  # BY_TRACE, BY_REQUEST_ID, BY_COMMENT, BY_TIME
    sure: float  # 0 … 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A template that a route's requests ran."""

    route: str  # id
    template: str  # id
    how: str  # BY_TRACE, BY_REQUEST_ID, BY_COMMENT, BY_TIME
    sure: float  # 0 … 1
    calls: float  # of the template by all requests of the route, estimated from `requests`
    requests: int  # of the route that were looked at
    share: float  # of the template's calls in the window


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
    hosts: tuple[str, ...] = ()  # that the log names, hashed: see is_captured_host
    salt: str = ""  # of these hashes, from the scrub key
    bucket_s: int = 1  # width of the sample's time buckets, which are numbered from 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """All that a workload holds of requests."""

    log: RequestLog
    routes: tuple[Route, ...]  # by calls, most first
    kept: tuple[Request, ...]  # by begin
    links: tuple[Link, ...] = ()  # by request, and by transaction
    ran: tuple[Ran, ...] = ()  # by route, and by calls, most first
    places: tuple[Place, ...] = ()  # of the sample: `transaction` is a request


def is_called(template: Template, name: str) -> bool:
    """Whether somebody means that template: by the beginning of its id, or a route by itself.

    `GET /tasks/{id}` and `/tasks/<int:task>` are names of `GET /tasks/{int}`.
    """
    if template.id.startswith(name):
        return True
    shown = template.sql, template.sql.partition(" ")[2]
    return template.kind == REQUEST and shape_of(name) in map(shape_of, shown)


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


def is_captured_host(log: RequestLog, host: str) -> bool:
    """Whether the log names that host, `name` or `name:port`, as the service or a server behind it.

    A host of this machine is one with its port alone: other ports are other services.
    """
    name = host_name(host)
    return bool(name) and host_hash(name, log.salt) in log.hosts


def host_name(host: str) -> str:
    """A host as it is compared, without its port; empty where nothing can be told by it."""
    text = host.strip().rpartition("://")[2].partition("/")[0]
    if text.count(":") > 1 and "[" not in text:  # an IPv6 address by itself
        text = f"[{text}]"
    try:
        parts = urlsplit(f"//{text}")
        name, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return ""
    if _LOOPBACK.fullmatch(name):
        return f"loopback:{port}" if port else ""
    return "" if name in ("", "-", "_") else name


@lru_cache(maxsize=4096)
def host_hash(name: str, salt: str) -> str:
    """What tells one host from another, and does not show its name: 16 hex digits."""
    return hashlib.pbkdf2_hmac("sha256", name.encode(), salt.encode(), _ROUNDS, 8).hex()
