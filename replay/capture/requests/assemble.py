"""Routes and kept requests as the workload has them: scrubbed, weighed, named."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from replay.capture import rarity
from replay.capture.bottomk import Weights
from replay.capture.inputs import Input
from replay.capture.requests.bodies import scrubbed_body
from replay.capture.requests.reading import Reading
from replay.capture.requests.routes import Key
from replay.capture.requests.sample import Kept
from replay.capture.requests.tally import Figures
from replay.capture.requests.targets import scrubbed
from replay.capture.scrub import Scrubber
from replay.requests import Request, RequestLog, Route, host_hash, host_name

_HOSTS_AT_MOST = 256
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
        _request(reading, place, row, keys[number], float(weight), scrub)
        for place, (row, number, weight) in enumerate(zip(rows, numbers, weights, strict=True))
    )


def _request(
    reading: Reading, place: int, row: Kept, key: Key, weight: float, scrub: Scrubber
) -> Request:
    content_type, body = scrubbed_body(row.body, row.content_type, scrub)
    return Request(
        id=place,
        route=route_id(key),
        session=scrub.token(f"session {row.session}"),
        start_us=row.at_us - reading.tally.begin_us,
        duration_us=row.duration_us,
        method=row.method.decode("ascii", "replace"),
        target=scrubbed(row.target, key[1], scrub),
        status=row.status,
        size=row.size,
        agent=agent_class(row.agent),
        trace=_token(trace_of(row.trace), scrub) if row.trace else "",
        request_id=_token(row.request_id, scrub),
        weight=weight,
        priority=row.priority,
        content_type=content_type,
        body=body,
        headers=row.headers.decode("utf-8", "replace"),
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


def request_log(reading: Reading, inputs: Sequence[Input], scrub: Scrubber) -> RequestLog:
    """How the requests were read."""
    tally, salt = reading.tally, scrub.token("hosts")
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
        hosts=tuple(sorted({host_hash(name, salt) for name in _hosts(reading)})),
        salt=salt,
        bucket_s=reading.sample.bucket_s,
    )


def _hosts(reading: Reading) -> list[str]:
    """The hosts that the log names most; one that lists several behind a proxy names each."""
    named: Counter[str] = Counter()
    for text, calls in reading.hosts.items():
        for part in text.decode("utf-8", "replace").split(","):
            named[host_name(part)] += calls
    del named[""]
    return [name for name, _ in named.most_common(_HOSTS_AT_MOST)]


def route_id(key: Key) -> str:
    """16 hex digits of a method and a route."""
    return hashlib.blake2b(" ".join(key).encode(), digest_size=8).hexdigest()


def trace_of(header: bytes) -> bytes:
    """The trace's id in a traceparent; any other text is one."""
    found = _TRACEPARENT.fullmatch(header.decode("utf-8", "replace"))
    return found[1].encode() if found else header


@lru_cache(maxsize=1 << 12)
def agent_class(agent: bytes) -> str:
    """What kind of client a user agent is."""
    if not agent:
        return "none"
    return next((name for name, pattern in _AGENTS if pattern.search(agent)), "program")


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
