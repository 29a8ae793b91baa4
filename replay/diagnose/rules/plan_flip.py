"""Rule 18: the same statement, another plan.

A prepared statement is planned for its values five times; from the sixth execution on a generic plan
may be taken, which knows none (manual, PREPARE). Or the statistics changed during the run.
"""

import math
from collections.abc import Iterator

from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_pool, shortened
from replay.diagnose.indexing import propose
from replay.diagnose.scans import PlanFigures
from replay.diagnose.templates import TemplateFigures
from replay.diagnose.trends import Trend
from replay.finding import Finding, Fix

NUMBER = 18
_JUMP = 3.0  # times longer from the 6th execution on
# Where cores are short all executions take longer, and the jump is less than what a quiet server's plans show.
_JUMP_ON_A_BUSY_SERVER = 1.5
_GROWTH = 3.0  # times longer in the run's last third, where the plan is another after the run
_LEAST_MS = 1.0  # a statement that stays below that harms nobody
GENERIC, STATISTICS = "generic plan", "other statistics"


def plan_flip(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each statement whose plan changed for the worse."""
    for template in evidence.templates.values():
        kind = flipped(evidence, template.id)
        if not kind:
            continue
        trend = evidence.trends[template.id]
        slowed_s = trend.beyond_s if kind == GENERIC else trend.slowed_s
        queue_s = evidence.queue.demand_s.get(template.id, 0.0)
        if evidence.material(queue_s + slowed_s):
            yield _finding(evidence, template, kind, queue_s, slowed_s)


def flipped(evidence: Evidence, template: str) -> str:
    """Which change of plan it suffered from; empty for none."""
    trend, plan = evidence.trends.get(template), evidence.plans.get(template)
    if trend is None or plan is None:
        return ""
    if _is_generic(trend, plan):
        return GENERIC
    other = bool(plan.before) and plan.before != plan.shape
    if other and trend.growth >= _GROWTH and trend.last_ms >= _LEAST_MS:
        return STATISTICS
    return ""


def _is_generic(trend: Trend, plan: PlanFigures) -> bool:
    if plan.generic in {"", plan.shape} or trend.generic_p50_ms < _LEAST_MS:
        return False
    shown = (plan.generic_ms or 0.0) >= _JUMP * (plan.execution_ms or math.inf)
    return trend.jump >= (_JUMP_ON_A_BUSY_SERVER if shown else _JUMP)


def _finding(
    evidence: Evidence, template: TemplateFigures, kind: str, queue_s: float, slowed_s: float
) -> Finding:
    trend, plan = evidence.trends[template.id], evidence.plans[template.id]
    if kind == GENERIC:
        what = (
            f"takes {trend.custom_p50_ms:,.1f} ms in its first executions of a session and "
            f"{trend.generic_p50_ms:,.1f} ms from the 6th on, by a generic plan"
        )
        plans = {"custom": plan.shape, "generic": plan.generic}
    else:
        what = (
            f"took {trend.first_ms:,.1f} ms in the beginning and {trend.last_ms:,.1f} ms in the "
            "end: the statistics, and the plan, changed meanwhile"
        )
        plans = {"before": plan.before, "after": plan.shape}
    return Finding(
        rule=NUMBER,
        name="plan flip",
        summary=f"{shortened(template.sql)} {what}",
        templates=(evidence.culprit(template.id),),
        relations=tuple(filter(None, [evidence.targets.get(template.id, "")])),
        queue_s=round(queue_s, 3),
        slowed_s=round(slowed_s, 3),
        fixes=tuple(_fixes(evidence, template.id, kind)),
        confidence=0.9 if kind == GENERIC and (plan.generic_ms or 0.0) > _LEAST_MS else 0.75,
        evidence={
            "kind": kind,
            "plans": plans,
            "custom_p50_ms": round(trend.custom_p50_ms, 3),
            "generic_p50_ms": round(trend.generic_p50_ms, 3),
            "first_sixth_ms": round(trend.first_ms, 3),
            "last_third_ms": round(trend.last_ms, 3),
            "plan_ms": plan.execution_ms,
            "generic_plan_ms": plan.generic_ms,
            **of_pool(evidence),
        },
    )


def _fixes(evidence: Evidence, template: str, kind: str) -> Iterator[Fix]:
    if kind == GENERIC:
        yield Fix(
            kind="setting",
            sql="SET plan_cache_mode = force_custom_plan",
            why="plan each execution for its values: in the session, or ALTER ROLE … SET for all",
        )
    else:
        relation = evidence.targets.get(template, "")
        yield Fix(
            kind="maintenance",
            sql=f"ANALYZE {relation}".strip(),
            why="look at what the statistics say, raise the target of the column or create extended ones",
        )
    index = propose(evidence, template)
    if index is not None:
        yield index
