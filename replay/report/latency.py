"""How long statements and transactions took, from due as well as from began.

Latency from due is what the caller of the service felt: it holds the wait for a pool slot and the
generator's own lag. Service time, from began, is what the server took. Percentiles are over all
attempts, those that failed or were given up too: a server that answers nobody must not look fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replay import outcome
from replay.report.columns import Attempts, Bools, Floats, Grid, Ints
from replay.report.histograms import captured_quantile
from replay.workload import Template

_QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Percentiles in ms; None where there was nothing to measure."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateLatency:
    """One template in the run."""

    id: str
    sql: str  # canonical text; empty where nobody knows it
    boosted: bool
    sent: int
    ok: int
    from_due: Spread
    service: Spread
    total_s: float  # time in the server, summed
    production_p95_ms: float | None  # as captured, upper bound of its histogram bucket
    errors: Mapping[str, int]  # SQLSTATE or reason -> count; what was never sent is in it too

    @property
    def not_ok(self) -> int:
        """Of those sent: what the server did not answer, or refused."""
        return self.sent - self.ok

    @property
    def skipped(self) -> int:
        """What was never sent: planned, and given up before."""
        return sum(self.errors.values()) - self.not_ok


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Figures per step of the grid; None where a step saw nothing."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Transactions, one row each: what a caller of the service saw."""

    due_us: Ints
    from_due_ms: Floats
    pool_wait_ms: Floats
    ordinary: Bools  # no boosted template is in it


def by_template(
    attempts: Attempts, known: Mapping[str, Template], texts: Mapping[str, str], boosted: set[str]
) -> tuple[TemplateLatency, ...]:
    """Every template of the run, those that took the most server time first."""
    from_due = (attempts.ended_us - attempts.due_us) / 1e3
    service = (attempts.ended_us - attempts.began_us) / 1e3
    came = attempts.sent | (
        from_due > 0
    )  # what never came due in a run that was stopped took no time
    rows = []
    for code, name in enumerate(attempts.template.names):
        mine = attempts.template.codes == code
        sent = mine & attempts.sent
        rows.append(
            TemplateLatency(
                id=name,
                sql=texts.get(name, ""),
                boosted=name in boosted,
                sent=int(sent.sum()),
                ok=int((mine & attempts.ok).sum()),
                from_due=spread(from_due[mine & came]),
                service=spread(service[sent]),
                total_s=round(float(service[sent].sum()) / 1e3, 3),
                production_p95_ms=captured_quantile(known[name].histogram)
                if name in known
                else None,
                errors=_errors(attempts, mine),
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.total_s))


def whole(attempts: Attempts, boosted: set[str]) -> Whole:
    """Join the statements of each planned transaction: due of its first, end of its last."""
    order = np.lexsort((attempts.ordinal, attempts.arrival))
    arrival = attempts.arrival[order]
    first = np.flatnonzero(np.diff(arrival, prepend=-1))
    due, began, ended, lag = (
        column[order]
        for column in (attempts.due_us, attempts.began_us, attempts.ended_us, attempts.lag_us)
    )
    last = np.maximum.reduceat(ended, first)
    # A skipped transaction waited for the pool from due until it was given up.
    got_slot = np.where(began[first] >= 0, began[first] - lag[first], ended[first])
    special = attempts.template.among(lambda name: name in boosted)[order]
    return Whole(
        due_us=due[first],
        from_due_ms=(last - due[first]) / 1e3,
        pool_wait_ms=np.maximum(got_slot - due[first], 0) / 1e3,
        ordinary=~np.logical_or.reduceat(special, first),
    )


def over_time(values_ms: Floats, due_us: Ints, grid: Grid) -> tuple[Series, ...]:
    """p50, p95 and p99 of what was due in each step."""
    steps = grid.place(due_us)
    spreads = [spread(values_ms[steps == step]) for step in range(grid.count)]
    return tuple(
        Series(name=name, values=tuple(getattr(found, name) for found in spreads))
        for name in ("p50", "p95", "p99")
    )


def spread(values_ms: Floats) -> Spread:
    """Percentiles of a set of durations."""
    if not len(values_ms):
        return Spread()
    p50, p95, p99 = (round(float(value), 3) for value in np.quantile(values_ms, _QUANTILES))
    return Spread(p50=p50, p95=p95, p99=p99, max=round(float(values_ms.max()), 3))


def _errors(attempts: Attempts, mine: Bools) -> dict[str, int]:
    codes = attempts.outcome.codes[mine]
    counts = np.bincount(codes, minlength=len(attempts.outcome.names))
    return {
        name: int(count)
        for name, count in zip(attempts.outcome.names, counts, strict=True)
        if count and name != outcome.OK
    }
