"""Figures of the run by template and by second, with what the capture knows of each template."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replay.diagnose.attempts import Attempts
from replay.diagnose.scans import PlanFigures
from replay.outcome import OK
from replay.requests import REQUEST
from replay.workload import Template, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFigures:
    """One template in production and in the run.

    A transaction counts for the template of the statement that took the longest in it; it is late
    where its latency from due is over the run's objective, or where it never got a pool slot.
    """

    id: str
    sql: str  # canonical text; "" where the workload does not know it
    kind: str
    share: float  # of production's executions
    calls: int  # sent to the server
    ok: int
    service_s: float  # from sent to answered, all calls
    service_p95_ms: float
    late_wait_s: float  # of its late transactions
    late_served_s: float  # of those: all that was not wait for the pool
    routes: tuple[str, ...]  # of the service that ran it, most first
    routes_known: str  # how
    demand_ms: float  # of one call without others in its way: its plan's time, or production's mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """Transactions that were due in one second of the run."""

    second: int
    transactions: int
    not_ok: int
    p95_ms: float  # from due to the end
    pool_wait_ms: float  # mean


def by_template(
    attempts: Attempts, workload: Workload, plans: Mapping[str, PlanFigures], objective_ms: float
) -> dict[str, TemplateFigures]:
    """Figures of every template of the workload and of the run."""
    known = {template.id: template for template in workload.templates}
    codes = {name: code for code, name in enumerate(attempts.names)}
    requests = sum(one.calls for one in workload.templates if one.kind == REQUEST)
    executions = max(workload.manifest.executions - requests, 1)
    return {
        name: _figures(
            *(name, codes.get(name, -1), attempts, known.get(name), plans.get(name)),
            executions=requests if _is_route(known.get(name)) else executions,
            objective_ms=objective_ms,
        )
        for name in dict.fromkeys([*known, *attempts.names])
        if name
    }


def _is_route(template: Template | None) -> bool:
    return template is not None and template.kind == REQUEST


def by_second(attempts: Attempts) -> tuple[Second, ...]:
    """The run second by second, by when transactions were due."""
    due = attempts.due_us[attempts.first] // 1_000_000
    failed = np.array([name != OK for name in attempts.outcomes], dtype=bool)[attempts.outcome]
    not_ok = np.bincount(attempts.number, weights=failed, minlength=len(attempts.first)) > 0
    return tuple(
        Second(
            second=int(second),
            transactions=int(mine.sum()),
            not_ok=int(not_ok[mine].sum()),
            p95_ms=_p95_ms(attempts.latency_us[mine]),
            pool_wait_ms=float(attempts.pool_wait_us[mine].mean()) / 1e3,
        )
        for second in np.unique(due)
        for mine in [due == second]
    )


def _figures(
    name: str,
    code: int,
    attempts: Attempts,
    known: Template | None,
    plan: PlanFigures | None,
    *,
    executions: int,
    objective_ms: float,
) -> TemplateFigures:
    rows = (attempts.template == code) & attempts.sent
    ok = np.array([outcome == OK for outcome in attempts.outcomes], dtype=bool)[attempts.outcome]
    service = attempts.service_us[rows]
    mine = attempts.mainly == code
    given_up = ~attempts.sent[attempts.first]
    late = mine & ((attempts.latency_us > objective_ms * 1e3) | given_up)
    wait = attempts.pool_wait_us
    return TemplateFigures(
        id=name,
        sql=known.sql if known else "",
        kind=known.kind if known else "",
        share=known.calls / executions if known else 0.0,
        routes=tuple(route for route, _ in known.routes) if known else (),
        routes_known=known.routes_known if known else "",
        calls=int(rows.sum()),
        ok=int((rows & ok).sum()),
        service_s=float(service.sum()) / 1e6,
        service_p95_ms=_p95_ms(service),
        late_wait_s=float(wait[late].sum()) / 1e6,
        late_served_s=float((attempts.latency_us - wait)[late].sum()) / 1e6,
        demand_ms=_demand_ms(known, plan, service),
    )


def _demand_ms(known: Template | None, plan: PlanFigures | None, service_us: np.ndarray) -> float:
    if plan is not None and plan.execution_ms is not None:
        return plan.execution_ms
    if known is not None and known.calls > known.errors and known.total_ms:
        return known.total_ms / (known.calls - known.errors)
    return float(service_us.min()) / 1e3 if len(service_us) else 0.0


def _p95_ms(durations_us: np.ndarray) -> float:
    return float(np.quantile(durations_us, 0.95)) / 1e3 if len(durations_us) else 0.0
