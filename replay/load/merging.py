"""What Locust's workers say at their end, and the whole that it makes: pure, on the master.

Counts and histograms are added, never averages: the p99 of four workers is what one would have had.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from replay import documents
from replay.load.counted import shapes_with
from replay.load.report import LoadReport, WorkerReport
from replay.load.tally import FIGURES, Histogram, merged
from replay.load.transactions import Transactions
from replay.load.verdict import (
    CPU_SHARE,
    LAG_P99_MS,
    LEAST_FINISHED,
    LEAST_SECONDS,
    NOT_OK_SHARE,
    Verdict,
)
from replay.outcome import Accounting


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One worker's part of a load, as it travels to the master."""

    exit_code: int
    error: str = ""  # why it failed
    accounting: Accounting | None = None  # None: it never began
    missing: tuple[str, ...] = ()  # what a stopped worker lacks
    not_ok: int = 0  # transactions of the service that failed, and not as in production
    ordinary: int = 0  # transactions of the service: those without a boosted template
    transactions: str = ""  # HDR histogram, µs, of ordinary transactions from due
    reports: tuple[WorkerReport, ...] = ()
    told: tuple[str, ...] = ()  # of a migration in the middle, in words

    def packed(self) -> dict[str, object]:
        """As Locust's messages carry it."""
        return dict(msgspec.to_builtins(self))

    @classmethod
    def unpacked(cls, message: Mapping[str, object]) -> "Share":
        """From Locust's message."""
        return msgspec.convert(message, cls)


def share_of(
    judged: Verdict, report: LoadReport, done: Transactions, boosted: Collection[str], code: int
) -> Share:
    """A worker's share, from what it did and its own verdict on that."""
    special = shapes_with(report, boosted)
    ordinary, times = 0, Histogram()
    for some in done.blocks():
        mine = ~special[report.shape_of[some.arrival]]
        ordinary += int(mine.sum())
        times.add((some.latency_ms[mine] * 1e3).astype(np.int64))
    return Share(
        exit_code=code,
        accounting=judged.accounting,
        missing=report.missing,
        not_ok=round(judged.objective["not_ok_share"] * ordinary),
        ordinary=ordinary,
        transactions=times.encoded(),
        reports=report.workers,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The whole load; times in ms unless the name says otherwise."""

    accounting: Accounting
    healthy: bool
    figures: Mapping[str, float]
    why_not: tuple[str, ...]  # why it cannot be believed
    workers: tuple[WorkerReport, ...]
    templates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # figure -> id -> HDR


def merge(
    shares: Mapping[str, Share],
    lost: Mapping[str, int],
    *,
    planned: int,
    duration_s: float,
    objective_ms: float,
) -> Merged:
    """The shares of a test by worker, and the workers that were lost with what was planned for them.

    What was planned for a lost worker is counted as skipped.
    """
    done = [share for share in shares.values() if share.accounting is not None]
    reports = tuple(report for share in done for report in share.reports)
    accounting = _sum([share.accounting for share in done if share.accounting is not None], planned)
    by_figure = {figure: _by_template(reports, figure) for figure in FIGURES}
    figures = _figures(done, by_figure, objective_ms)
    figures["cpu_share"] = max((report.cpu_share for report in reports), default=0.0)
    return Merged(
        accounting=accounting,
        healthy=figures["p95_ms"] <= objective_ms and figures["not_ok_share"] <= NOT_OK_SHARE,
        figures=figures,
        why_not=(*_gone(shares, lost, planned), *_doubts(accounting, figures, duration_s)),
        workers=reports,
        templates=by_figure,
    )


def in_words(whole: Merged, workers: int) -> Iterator[str]:
    """The whole in a few lines for a terminal."""
    books, found = whole.accounting, whole.figures
    yield f"{workers} workers together:"
    yield (
        f"planned {books.planned} = started {books.started} + skipped {books.skipped}; "
        f"started = ok {books.ok} + failed {books.failed} + cancelled {books.cancelled}"
    )
    yield (
        f"{'healthy' if whole.healthy else 'NOT healthy'}: p95 {found['p95_ms']:.1f} ms from due "
        f"(objective {found['objective_ms']:g}), p99 {found['p99_ms']:.1f} ms, "
        f"statements' wait p95 {found['wait_p95_ms']:.1f} ms, {found['not_ok_share']:.2%} not ok"
    )
    yield (
        f"generators: lag p50 {found['lag_p50_us']:.0f} µs, p99 {found['lag_p99_us']:.0f} µs, "
        f"the busiest used {found['cpu_share']:.0%} of a core"
    )
    yield from (f"NOT VALID: {reason}" for reason in whole.why_not)


def _sum(parts: Sequence[Accounting], planned: int) -> Accounting:
    told = {
        name: sum(getattr(part, name) for part in parts)
        for name in ("started", "skipped", "ok", "failed", "cancelled")
    }
    told["skipped"] += planned - sum(part.planned for part in parts)
    whole = Accounting(planned=planned, **told)
    whole.check()
    return whole


def _figures(
    done: Sequence[Share], by_figure: Mapping[str, Mapping[str, str]], objective_ms: float
) -> dict[str, float]:
    whole = merged(share.transactions for share in done)
    lag, wait = (merged(by_figure[figure].values()) for figure in ("lag", "wait"))
    return {
        "objective_ms": objective_ms,
        **{f"p{p}_ms": whole.get_value_at_percentile(p) / 1e3 for p in (50, 95, 99)},
        "wait_p95_ms": wait.get_value_at_percentile(95) / 1e3,
        "not_ok_share": sum(s.not_ok for s in done) / max(sum(s.ordinary for s in done), 1),
        "lag_p50_us": float(lag.get_value_at_percentile(50)),
        "lag_p99_us": float(lag.get_value_at_percentile(99)),
    }


def _by_template(reports: Collection[WorkerReport], figure: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for report in reports:
        for template, histogram in report.times.get(figure, {}).items():
            found.setdefault(template, []).append(histogram)
    return {template: merged(parts).encode().decode() for template, parts in found.items()}


def _gone(shares: Mapping[str, Share], lost: Mapping[str, int], planned: int) -> Iterator[str]:
    for member, part in lost.items():
        yield (
            f"worker {member} was lost, with {part / max(planned, 1):.0%} of the load "
            f"({part} transactions): all of it is counted as skipped"
        )
    for member, share in shares.items():
        told = (*share.missing, share.error) if share.error else share.missing
        yield from (f"worker {member}: {reason}" for reason in told)


def write_merged(directory: Path, whole: Merged) -> None:
    """Leave the whole as `load.json`: the books, the figures, the workers' own, all histograms."""
    documents.write(directory / "load.json", whole)


def _doubts(books: Accounting, figures: Mapping[str, float], duration_s: float) -> Iterator[str]:
    finished = books.ok + books.failed
    if finished < LEAST_FINISHED:
        yield f"{finished} transactions finished, {LEAST_FINISHED} are needed: run longer"
    if duration_s < LEAST_SECONDS:
        yield f"{duration_s:g} s of load, {LEAST_SECONDS:g} are needed: run longer"
    if figures["lag_p99_us"] > LAG_P99_MS * 1e3:
        yield (
            f"the generators were {figures['lag_p99_us'] / 1e3:.0f} ms late (p99), "
            f"{LAG_P99_MS:g} are allowed: give them cores of their own"
        )
    if figures["cpu_share"] > CPU_SHARE:
        yield (
            f"a generator used {figures['cpu_share']:.0%} of a core, {CPU_SHARE:.0%} are "
            "allowed: its own queue is in the latencies; use more workers"
        )
