"""What became of requests: how they were planned, what was left out, and whether answers are production's.

Answers are compared by class of status, route by route: the mismatch is the share of requests that were
answered with a class which production would have had less of (half the sum of the differences of shares).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from replay import bundle, rundir
from replay.outcome import UNANSWERED
from replay.requests import Route
from replay.rundir import RunManifest

NO_ANSWER = "none"
_LARGEST = 100  # the first status that is none


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAnswers:
    """One route's answers beside production's, as shares by class of status: 2xx, 3xx …, none."""

    id: str
    route: str  # method and route
    sent: int
    mismatch: float  # 0 … 1
    replayed: Mapping[str, float]
    production: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFigures:
    """A run's requests."""

    planned: Mapping[str, int]  # by how: as captured, with which body, by SQL in their stead
    left_out: Mapping[str, int]  # by reason
    mismatch: (
        float | None
    )  # over all requests that were sent; None: none was, or no workload is here
    unanswered: int  # sent on a connection that the service let go, and not sent again
    routes: tuple[RouteAnswers, ...]  # the largest mismatch first


def figures(run: Path, manifest: RunManifest, workload: Path | None) -> RequestFigures | None:
    """A run's requests beside those of its workload; None of a run that sent statements."""
    if not manifest.options.get("service"):
        return None
    requests = bundle.read_requests(workload) if workload is not None else None
    known = {route.id: route for route in requests.routes} if requests is not None else {}
    seen, unanswered = _answers(run)
    found = [_beside(known[one], counts) for one, counts in seen.items() if one in known]
    sent = sum(one.sent for one in found)
    return RequestFigures(
        planned=_counts(manifest, "requests"),
        left_out=_counts(manifest, "left_out"),
        mismatch=round(sum(one.sent * one.mismatch for one in found) / sent, 4) if sent else None,
        unanswered=unanswered,
        routes=tuple(sorted(found, key=lambda one: (-one.mismatch, -one.sent))),
    )


def _counts(manifest: RunManifest, name: str) -> dict[str, int]:
    told = manifest.options.get(name)
    return {str(key): int(n) for key, n in told.items()} if isinstance(told, Mapping) else {}


def _answers(run: Path) -> tuple[dict[str, Counter[str]], int]:
    """By template how many of what was sent were answered with which class, and how many not at all."""
    seen: dict[str, Counter[str]] = {}
    unanswered = 0
    for block in rundir.read_blocks(run, "attempts"):
        unanswered += pc.sum(pc.equal(block["outcome"].cast(pa.string()), UNANSWERED)).as_py() or 0
        sent = block.filter(pc.greater_equal(block["began_us"], 0))
        counted = sent.group_by(["template", "rows"]).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            classes = seen.setdefault(row["template"], Counter())
            classes[_class(row["rows"])] += row["count_all"]
    return seen, unanswered


def _beside(route: Route, counts: Counter[str]) -> RouteAnswers:
    there: Counter[str] = Counter()
    for status, calls in route.statuses:
        there[_class(status)] += calls
    replayed, production = _shares(counts), _shares(there)
    apart = sum(
        abs(replayed.get(name, 0.0) - production.get(name, 0.0)) for name in {*counts, *there}
    )
    return RouteAnswers(
        id=route.id,
        route=f"{route.method} {route.route}",
        sent=counts.total(),
        mismatch=round(apart / 2, 4),
        replayed=replayed,
        production=production,
    )


def _class(status: int) -> str:
    return f"{status // 100}xx" if status >= _LARGEST else NO_ANSWER


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = counts.total() or 1
    return {name: round(n / total, 4) for name, n in sorted(counts.items())}
