"""Figures of the run by template and by second, with what the capture knows of each template."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replay.diagnose.attempts import Attempts, Ints
from replay.diagnose.scans import PlanFigures
from replay.groups import Groups
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
    sums = _Sums(attempts, objective_ms)
    codes = {name: code for code, name in enumerate(attempts.names)}
    requests = sum(one.calls for one in workload.templates if one.kind == REQUEST)
    executions = max(workload.manifest.executions - requests, 1)
    return {
        name: _figures(
            *(name, codes.get(name, -1), sums, known.get(name), plans.get(name)),
            executions=requests if _is_route(known.get(name)) else executions,
        )
        for name in dict.fromkeys([*known, *attempts.names])
        if name
    }


def _is_route(template: Template | None) -> bool:
    return template is not None and template.kind == REQUEST


def by_second(attempts: Attempts) -> tuple[Second, ...]:
    """The run second by second, by when transactions were due."""
    failed = np.array([name != OK for name in attempts.outcomes], dtype=bool)
    none = np.zeros(0, dtype=np.int64)
    seconds = np.unique(
        np.concatenate([none, *(np.unique(_due_s(part)) for part in attempts.parts())])
    )
    transactions, not_ok, waited_us = (np.zeros(len(seconds), np.int64) for _ in range(3))
    for part in attempts.parts():
        place = np.searchsorted(seconds, _due_s(part))
        np.add.at(transactions, place, 1)
        np.add.at(not_ok, place, part.any_of(failed[part.outcome]))
        np.add.at(waited_us, place, part.pool_wait_us)
    latency = Groups(transactions)
    for part in attempts.parts():
        latency.add(np.searchsorted(seconds, _due_s(part)), part.latency_us)
    return tuple(
        Second(
            second=second,
            transactions=int(transactions[place]),
            not_ok=int(not_ok[place]),
            p95_ms=latency.percentiles(place, (95,))[0] / 1e3,
            pool_wait_ms=float(waited_us[place] / transactions[place]) / 1e3,
        )
        for place, second in enumerate(seconds.tolist())
    )


def _due_s(part: Attempts) -> Ints:
    return part.due_us[part.first] // 1_000_000


class _Sums:
    """What the attempts come to, by template; the last place, -1, is that of one that never ran."""

    def __init__(self, attempts: Attempts, objective_ms: float) -> None:
        size = len(attempts.names) + 1
        is_ok = np.array([outcome == OK for outcome in attempts.outcomes], dtype=bool)
        self.calls, self.ok = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self.service_us, self.least_us = np.zeros(size), np.full(size, np.inf)
        self.late_wait_us, self.late_served_us = np.zeros(size), np.zeros(size)
        for part in attempts.parts():
            sent = part.template[part.sent]
            self.calls += np.bincount(sent, minlength=size)
            self.ok += np.bincount(sent[is_ok[part.outcome[part.sent]]], minlength=size)
            self.service_us += np.bincount(part.template, part.service_us, minlength=size)
            np.minimum.at(self.least_us, sent, part.service_us[part.sent])
            given_up = ~part.sent[part.first]
            late = (part.latency_us > objective_ms * 1e3) | given_up
            of, wait = part.mainly[late], part.pool_wait_us[late]
            self.late_wait_us += np.bincount(of, wait, minlength=size)
            self.late_served_us += np.bincount(of, part.latency_us[late] - wait, minlength=size)
        self.service = Groups(self.calls)
        for part in attempts.parts():
            self.service.add(part.template[part.sent], part.service_us[part.sent])


def _figures(
    name: str,
    code: int,
    sums: _Sums,
    known: Template | None,
    plan: PlanFigures | None,
    *,
    executions: int,
) -> TemplateFigures:
    return TemplateFigures(
        id=name,
        sql=known.sql if known else "",
        kind=known.kind if known else "",
        share=known.calls / executions if known else 0.0,
        routes=tuple(route for route, _ in known.routes) if known else (),
        routes_known=known.routes_known if known else "",
        calls=int(sums.calls[code]),
        ok=int(sums.ok[code]),
        service_s=float(sums.service_us[code]) / 1e6,
        service_p95_ms=sums.service.percentiles(code, (95,))[0] / 1e3,
        late_wait_s=float(sums.late_wait_us[code]) / 1e6,
        late_served_s=float(sums.late_served_us[code]) / 1e6,
        demand_ms=_demand_ms(known, plan, float(sums.least_us[code])),
    )


def _demand_ms(known: Template | None, plan: PlanFigures | None, least_us: float) -> float:
    if plan is not None and plan.execution_ms is not None:
        return plan.execution_ms
    if known is not None and known.calls > known.errors and known.total_ms:
        return known.total_ms / (known.calls - known.errors)
    return least_us / 1e3 if least_us < np.inf else 0.0
