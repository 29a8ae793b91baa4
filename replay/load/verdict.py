"""What a load amounts to: the books, whether it can be believed, whether the service was healthy.

Figures are over whole transactions. A transaction's latency runs from its due time, so that waiting
for the pool is in it; one that failed, was cancelled or gave up counts with the time it took until
then: a server that answers nobody must not look fast.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from replay.load.counted import Counted, Service, count
from replay.load.refuse import SESSION_RESET
from replay.load.report import LoadReport
from replay.load.schedule import LEFT_OUT_EMPTY, LEFT_OUT_SETS
from replay.load.transactions import Transactions
from replay.outcome import LEFT_OUT_ASKED, Accounting
from replay.percentiles import percentiles

# Beyond these a run says more of the generator than of the server.
LAG_P99_MS = 50.0  # or a tenth of what was measured, where that is more: it then decides nothing
LAG_OF_P95 = 0.1
LATE_MS = 100.0  # a transaction this late through our own fault …
LATE_SHARE = 0.01  # … may happen to one in a hundred
CPU_SHARE = 0.85  # of a core: above, its own queue is in every latency
LEAST_FINISHED = 100  # transactions: fewer carry no p95
LEAST_SECONDS = 3.0
LEFT_OUT_SHARE = 0.2  # of production's transactions, that cannot be replayed
# What does nothing to others; and what the user said that the run is to be judged without.
_NOT_AMISS = frozenset({LEFT_OUT_EMPTY, LEFT_OUT_SETS, SESSION_RESET, LEFT_OUT_ASKED})
# The service's objective, beside the p95 that the user gives.
NOT_OK_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of one load; times in ms unless the name says otherwise."""

    accounting: Accounting
    valid: bool
    why_not: tuple[str, ...]  # why it cannot be believed
    healthy: bool
    objective: Mapping[str, float]
    generator: Mapping[str, float]


def judge(
    done: Transactions,
    *,
    planned: int,
    report: LoadReport,
    objective_ms: float,
    boosted: Collection[str],
    until_us: float | None = None,
    left_out: Mapping[str, int] | None = None,
    left_out_of: int | None = None,
) -> Verdict:
    """Judge a load by its transactions and its workers' report.

    Healthy and the objective's figures leave out transactions that hold a boosted template: they
    are the load, the others are the service; what was due after `until_us`; and what never came due.
    `left_out` are transactions that were not even planned, by reason, beside `left_out_of` that were;
    without it, beside `planned`.
    """
    mine = Service(report, boosted, until_us)
    counted = count(done, mine)
    accounting = _account(counted, planned)
    objective = _objective(done, mine, counted, objective_ms)
    generator = _generator(done, report)
    generator["expected_errors"] = float(counted.expected)
    if done.retried:
        generator["retried"] = float(done.retried)
    if out_of_order := sum(worker.out_of_order for worker in report.workers):
        generator["out_of_order"] = float(out_of_order)
    if opened := sum(worker.opened for worker in report.workers):
        generator["connections_opened"] = float(opened)
    if refused := sum(worker.refused_settings for worker in report.workers):
        generator["refused_settings"] = float(refused)
    why_not = (
        *_why_not(accounting, done, report, generator),
        *too_little(planned if left_out_of is None else left_out_of, left_out or {}),
    )
    return Verdict(
        accounting=accounting,
        valid=not why_not,
        why_not=why_not,
        healthy=objective["p95_ms"] <= objective_ms and objective["not_ok_share"] <= NOT_OK_SHARE,
        objective=objective,
        generator=generator,
    )


def in_words(verdict: Verdict) -> Iterator[str]:
    """The verdict in a few lines for a terminal."""
    books, found, own = verdict.accounting, verdict.objective, verdict.generator
    yield (
        f"planned {books.planned} = started {books.started} + skipped {books.skipped}; "
        f"started = ok {books.ok} + failed {books.failed} + cancelled {books.cancelled}"
    )
    yield (
        f"{'healthy' if verdict.healthy else 'NOT healthy'}: p95 {found['p95_ms']:.1f} ms from due "
        f"(objective {found['objective_ms']:g}), pool wait p95 {found['pool_wait_p95_ms']:.1f} ms, "
        f"{found['not_ok_share']:.2%} not ok"
    )
    yield (
        f"generator: lag p50 {own['lag_p50_us']:.0f} µs, p99 {own['lag_p99_us']:.0f} µs, "
        f"{own['cpu_share']:.0%} of a core"
    )
    yield from (f"NOT VALID: {reason}" for reason in verdict.why_not)


def _account(counted: Counted, planned: int) -> Accounting:
    ok, failed, cancelled, skipped = counted.outcomes.tolist()
    accounting = Accounting(
        planned=planned,
        started=ok + failed + cancelled,
        skipped=skipped,
        ok=ok,
        failed=failed,
        cancelled=cancelled,
    )
    accounting.check()
    return accounting


def _objective(
    done: Transactions, mine: Service, counted: Counted, objective_ms: float
) -> dict[str, float]:
    p50, p95, p99 = percentiles(
        lambda: (some.latency_ms[mine.has(some)] for some in done.blocks()), (50, 95, 99)
    )
    (waited,) = percentiles(
        lambda: (some.pool_wait_ms[mine.has(some)] for some in done.blocks()), (95,)
    )
    return {
        "objective_ms": objective_ms,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "pool_wait_p95_ms": waited,
        "not_ok_share": counted.not_ok / max(counted.ordinary, 1),
        "transactions": float(counted.ordinary),
    }


def _generator(done: Transactions, report: LoadReport) -> dict[str, float]:
    lags = done.lags
    return {
        "lag_p50_us": lags.percentile_us(50),
        "lag_p99_us": lags.percentile_us(99),
        "lag_max_us": float(lags.highest_us),
        "late_share": lags.share_over(int(LATE_MS * 1e3)),
        "cpu_share": max((worker.cpu_share for worker in report.workers), default=0.0),
        "statements": float(lags.count),
        "lost_connections": float(sum(worker.lost_connections for worker in report.workers)),
    }


def _why_not(
    books: Accounting, done: Transactions, report: LoadReport, generator: Mapping[str, float]
) -> Iterator[str]:
    if report.state != "finished":
        yield f"the run was {report.state}"
    yield from report.missing
    gone = sum(worker.lost_connections - worker.reconnections for worker in report.workers)
    if gone > 0:
        yield f"{gone} sessions were lost and never came back: is the server still up?"
    finished = books.ok + books.failed
    if finished < LEAST_FINISHED:
        yield f"{finished} transactions finished, {LEAST_FINISHED} are needed: run longer"
    if report.duration_s < LEAST_SECONDS:
        yield f"{report.duration_s:g} s of load, {LEAST_SECONDS:g} are needed: run longer"
    lag_p99_ms = generator["lag_p99_us"] / 1e3
    (p95_ms,) = percentiles(lambda: (some.latency_ms for some in done.blocks()), (95,))
    measured_ms = LAG_OF_P95 * p95_ms
    allowed_ms, late_ms = max(LAG_P99_MS, measured_ms), max(LATE_MS, measured_ms)
    if lag_p99_ms > allowed_ms:
        yield (
            f"the generator was {lag_p99_ms:.0f} ms late (p99), {allowed_ms:.0f} are allowed: "
            "give it a core of its own"
        )
    late = sum(int((some.lag_ms > late_ms).sum()) for some in done.blocks())
    late_share = late / max(books.planned, 1)
    if late_share > LATE_SHARE:
        yield (
            f"{late_share:.1%} of the transactions were over {late_ms:.0f} ms late through the "
            f"generator, {LATE_SHARE:.0%} may be: give it a core of its own"
        )
    if generator["cpu_share"] > CPU_SHARE:
        yield (
            f"the generator used {generator['cpu_share']:.0%} of a core, {CPU_SHARE:.0%} are "
            "allowed: its own queue is in the latencies; use more workers"
        )


def too_little(planned: int, left_out: Mapping[str, int]) -> Iterator[str]:
    """Why a load is not production's, where too many transactions, by reason, were not even planned."""
    amiss = {why: n for why, n in left_out.items() if why not in _NOT_AMISS}
    share = sum(amiss.values()) / max(planned + sum(amiss.values()), 1)
    if share > LEFT_OUT_SHARE:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(amiss.items()))
        yield (
            f"{share:.0%} of production's transactions are not replayed ({reasons}), "
            f"{LEFT_OUT_SHARE:.0%} may be: what they would do to the others is missing"
        )
