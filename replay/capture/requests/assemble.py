"""Routes and kept requests as the workload has them: scrubbed, weighed, named."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import numpy as np

from replay.capture import rarity
from replay.capture.bottomk import Weights
from replay.capture.inputs import Input
from replay.capture.requests import shapes
from replay.capture.requests.reading import Reading
from replay.capture.requests.routes import Key
from replay.capture.requests.sample import Kept
from replay.capture.requests.tally import Figures
from replay.capture.scrub import Scrubber
from replay.requests import Request, RequestLog, Route

_SECRET = re.compile(
    r"(?i)token|secret|passw|signature|^sig$|auth|api_?key|^key$|^code$|session|credential"
)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_AGENTS = (
    ("bot", re.compile(rb"(?i)bot\b|crawl|spider|slurp|monitor|uptime|probe|health")),
    ("mobile", re.compile(rb"(?i)mobile|android|iphone|ipad|okhttp|cfnetwork|dart")),
    ("browser", re.compile(rb"Mozilla/|Opera/")),
)


def build_routes(
    reading: Reading, figures: dict[int, Figures], kept: Counter[int]
) -> tuple[Route, ...]:
    """All routes, by calls, most first."""
    tally = reading.tally
    slices = list(tally.slices())
    routes = (_route(reading, number, one, kept[number], slices) for number, one in figures.items())
    return tuple(sorted(routes, key=lambda route: (-route.calls, route.id)))


def build_requests(
    reading: Reading, rows: Sequence[Kept], weights: Weights, scrub: Scrubber
) -> tuple[Request, ...]:
    """The kept requests, by begin."""
    numbers = reading.routes.now(np.array([row.route for row in rows], np.int64)).tolist()
    keys = reading.routes.keys
    return tuple(
        Request(
            id=place,
            route=route_id(keys[number]),
            session=scrub.token(f"session {row.session}"),
            start_us=row.at_us - reading.tally.begin_us,
            duration_us=row.duration_us,
            method=row.method.decode("ascii", "replace"),
            target=scrubbed(row.target, keys[number][1], scrub),
            status=row.status,
            size=row.size,
            agent=agent_class(row.agent),
            trace=_token(trace_of(row.trace), scrub),
            request_id=_token(row.request_id, scrub),
            weight=float(weight),
            priority=row.priority,
        )
        for place, (row, number, weight) in enumerate(zip(rows, numbers, weights, strict=True))
    )


def calibrated(
    reading: Reading, rows: Sequence[Kept], weights: Weights, figures: dict[int, Figures]
) -> Weights:
    """Weights whose sums are the exact counts of each route's classes of status."""
    if not rows:
        return weights
    routes = reading.routes.now(np.array([row.route for row in rows], np.int64))
    groups = list(zip(routes.tolist(), (row.status // 100 for row in rows), strict=True))
    held: Counter[tuple[int, int]] = Counter()
    for group, weight in zip(groups, weights.tolist(), strict=True):
        held[group] += weight
    exact: Counter[tuple[int, int]] = Counter()
    for number, one in figures.items():
        for status, calls in one.statuses.items():
            exact[number, status // 100] += calls
    return np.array(
        [weight * exact[group] / held[group] for group, weight in zip(groups, weights, strict=True)]
    )


def request_log(reading: Reading, inputs: Sequence[Input]) -> RequestLog:
    """How the requests were read."""
    tally = reading.tally
    return RequestLog(
        format=", ".join(dict.fromkeys(one.format.name for one in inputs)),
        inputs=tuple(one.name for one in inputs),
        begin=_moment(tally.begin_us),
        end=_moment(tally.end_us),
        slice_s=float(tally.slice_s),
        requests=tally.requests,
        sessions=tally.sessions,
        peak_concurrency=tally.peak_concurrency(),
        skipped=reading.skipped(),
        complete=reading.complete,
        interrupted=reading.interrupted,
        notes=tuple(reading.notes()),
    )


def route_id(key: Key) -> str:
    """16 hex digits of a method and a route."""
    return hashlib.blake2b(" ".join(key).encode(), digest_size=8).hexdigest()


def scrubbed(target: bytes, route: str, scrub: Scrubber) -> str:
    """A target with tokens in the place of values: those that the route names, and the query's."""
    text = target.decode("utf-8", "replace")
    begins, ends = shapes.paths(shapes.column([target]))
    path = target[begins[0] : ends[0]].decode("utf-8", "replace")
    rest = text[len(target[: ends[0]].decode("utf-8", "replace")) :]
    query = rest.partition("#")[0].removeprefix("?")
    made = "/".join(_segments(shapes.segments(path), shapes.segments(route), scrub))
    return made + (f"?{_query(query, scrub)}" if query else "")


def trace_of(header: bytes) -> bytes:
    """The trace's id in a traceparent; any other text is one."""
    found = _TRACEPARENT.fullmatch(header.decode("utf-8", "replace"))
    return found[1].encode() if found else header


def agent_class(agent: bytes) -> str:
    """What kind of client a user agent is."""
    if not agent:
        return "none"
    return next((name for name, pattern in _AGENTS if pattern.search(agent)), "program")


def _segments(parts: Sequence[str], route: Sequence[str], scrub: Scrubber) -> list[str]:
    """Segments of a path; beyond a route's last name, which may stand for several, all are values."""
    made = []
    open_end = route[-1].endswith("*}")
    for place, part in enumerate(parts):
        shown = route[min(place, len(route) - 1)] if open_end or place < len(route) else "{}"
        is_word = "{" not in shown and shapes.kind_of(part) == shapes.WORD
        made.append(part if is_word or shown == part else _value(part, scrub))
    return made


def _query(query: str, scrub: Scrubber) -> str:
    made = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not equals:  # may be a name, may be a value
            made.append(part if shapes.kind_of(part) == shapes.WORD else _value(part, scrub))
        elif _SECRET.search(name):
            made.append(f"{name}={quote(scrub.secret(unquote(value)), safe='')}")
        else:
            made.append(f"{name}={_value(value, scrub)}")
    return "&".join(made)


def _value(text: str, scrub: Scrubber) -> str:
    token = scrub.value(unquote(text.replace("+", " ")))
    return quote(token or "", safe="")


def _token(text: bytes, scrub: Scrubber) -> str:
    return scrub.token(text.decode("utf-8", "replace")) if text else ""


def _route(
    reading: Reading, number: int, figures: Figures, kept: int, slices: Sequence[int]
) -> Route:
    key = reading.routes.keys[number]
    first = slices[0]
    return Route(
        id=route_id(key),
        method=key[0],
        route=key[1],
        given=reading.routes.given[number],
        calls=figures.calls,
        statuses=tuple(sorted(figures.statuses.items())),
        total_ms=figures.total_us / 1000,
        timed=figures.timed,
        size=figures.size,
        histogram=tuple(sorted(figures.histogram.items())),
        calls_per_slice=tuple(sorted((n - first, c) for n, c in figures.slices.items())),
        first_seen=_moment(figures.first_us),
        last_seen=_moment(figures.last_us),
        kept=kept,
        rare=rarity.is_rare_share(
            calls=figures.calls,
            of=reading.tally.requests,
            slices_seen=len(figures.slices),
            slices=len(slices),
        ),
    )


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)
