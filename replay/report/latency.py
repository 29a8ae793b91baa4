"""How long statements and transactions took, from due as well as from began.

Latency from due is what the caller of the service felt: it holds the wait for a pool slot and the
generator's own lag. Service time, from began, is what the server took. Percentiles are over all
attempts, those that failed or were given up too: a server that answers nobody must not look fast.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from replay import ondisk, outcome
from replay.groups import Groups
from replay.report.attempts import Attempts
from replay.report.columns import Bools, Floats, Grid, Ints
from replay.report.histograms import captured_quantile
from replay.workload import Template

_PERCENTS = (50, 95, 99)


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
class Transactions:
    """Some transactions, one entry each: what a caller of the service saw."""

    due_us: Ints
    from_due_ms: Floats
    pool_wait_ms: Floats
    ordinary: Bools  # no boosted template is in it


class Whole:
    """The statements of each planned transaction joined: due of its first, end of its last."""

    def __init__(self, attempts: Attempts, boosted: Collection[str]) -> None:
        special = attempts.among(lambda name: name in boosted)
        count = attempts.transactions
        self._due_us, self._ended_us, self._slot_us = (
            ondisk.zeros(None, count, np.int64) for _ in range(3)
        )
        self._known, self._special = (ondisk.zeros(None, count, np.bool_) for _ in range(2))
        for block in attempts.blocks():
            first = block.ordinal == 0
            number = block.arrival[first]
            # A skipped transaction waited for the pool from due until it was given up.
            slot_us = np.where(block.sent, block.began_us - block.lag_us, block.ended_us)
            self._due_us[number] = block.due_us[first]
            self._slot_us[number] = slot_us[first]
            self._known[number] = True
            self._special[block.arrival[special[block.template]]] = True
            np.maximum.at(self._ended_us, block.arrival, block.ended_us)

    def blocks(self) -> Iterator[Transactions]:
        """All of them, in order of number."""
        for begin in range(0, len(self._known), ondisk.BLOCK):
            some = slice(begin, begin + ondisk.BLOCK)
            there = np.flatnonzero(self._known[some])
            due_us = self._due_us[some][there]
            yield Transactions(
                due_us=due_us,
                from_due_ms=(self._ended_us[some][there] - due_us) / 1e3,
                pool_wait_ms=np.maximum(self._slot_us[some][there] - due_us, 0) / 1e3,
                ordinary=~self._special[some][there],
            )


def by_template(
    attempts: Attempts,
    known: Mapping[str, Template],
    texts: Mapping[str, str],
    boosted: Collection[str],
) -> tuple[TemplateLatency, ...]:
    """Every template of the run, those that took the most server time first."""
    rows = attempts.counts.sum(axis=(1, 2))
    from_due, service = Groups(rows), Groups(attempts.sent)
    total_us = np.zeros(len(rows))
    for block in attempts.blocks():
        due_us = block.ended_us - block.due_us
        came = block.sent | (due_us > 0)  # what never came due in a run that was stopped
        from_due.add(block.template[came], due_us[came])
        of, took_us = block.template[block.sent], (block.ended_us - block.began_us)[block.sent]
        service.add(of, took_us)
        total_us += np.bincount(of, took_us, minlength=len(rows))
    found = (
        TemplateLatency(
            id=name,
            sql=texts.get(name, ""),
            boosted=name in boosted,
            sent=int(attempts.sent[code]),
            ok=int(attempts.ok[code]),
            from_due=_spread(from_due, code),
            service=_spread(service, code),
            total_s=round(float(total_us[code]) / 1e6, 3),
            production_p95_ms=captured_quantile(known[name].histogram) if name in known else None,
            errors=_errors(attempts, code),
        )
        for code, name in enumerate(attempts.templates)
    )
    return tuple(sorted(found, key=lambda row: -row.total_s))


def over_time(
    whole: Whole, grid: Grid, figure: Callable[[Transactions], tuple[Floats, Ints]]
) -> tuple[Series, ...]:
    """p50, p95 and p99 in each step of a figure: its values, ms, and when each was due."""
    counts = np.zeros(grid.count, np.int64)
    for some in whole.blocks():
        counts += np.bincount(grid.place(figure(some)[1]), minlength=grid.count)
    steps = Groups(counts)
    for some in whole.blocks():
        values_ms, due_us = figure(some)
        steps.add(grid.place(due_us), values_ms * 1e3)
    spreads = [_spread(steps, step) for step in range(grid.count)]
    return tuple(
        Series(name=name, values=tuple(getattr(found, name) for found in spreads))
        for name in ("p50", "p95", "p99")
    )


def _spread(groups_us: Groups, group: int) -> Spread:
    """Percentiles of a group of durations."""
    if not groups_us.count(group):
        return Spread()
    p50, p95, p99 = (round(us / 1e3, 3) for us in groups_us.percentiles(group, _PERCENTS))
    return Spread(p50=p50, p95=p95, p99=p99, max=round(groups_us.highest(group) / 1e3, 3))


def _errors(attempts: Attempts, code: int) -> dict[str, int]:
    counts = attempts.counts[code].sum(axis=1).tolist()
    return {
        name: count
        for name, count in zip(attempts.outcomes, counts, strict=True)
        if count and name != outcome.OK
    }
