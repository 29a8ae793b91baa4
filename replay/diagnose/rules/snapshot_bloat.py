"""Rule 17: a statement gets slower and slower while dead rows pile up that an old snapshot keeps.

No lock is waited for. Each execution steps over rows that are dead and cannot be removed, because a
transaction that began before still might look at them.
"""

from collections.abc import Iterator

from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_pool, shortened
from replay.diagnose.sessions import LongTransaction
from replay.diagnose.templates import TemplateFigures
from replay.finding import SHORTER, Finding, Fix

NUMBER = 17
_GROWTH = 1.7  # mean of the last third over that of the first sixth
_DEAD_PER_LIVE = 10.0
_DEAD_AT_LEAST = 1000.0  # rows
_XMIN_AGE = 100  # transactions since the snapshot
_TREND_S = 0.5  # seconds in all, below which no trend is one
_CLOSE = (
    "close the old transaction (read in batches, or on a standby without hot_standby_feedback); "
    "transaction_timeout or idle_in_transaction_session_timeout bounds it"
)


def snapshot_bloat(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each statement that dead rows slow down."""
    for template in evidence.templates.values():
        trend = evidence.trends.get(template.id)
        if trend is None or not is_bloated(evidence, template.id):
            continue
        queue_s = evidence.queue.demand_s.get(template.id, 0.0)
        if evidence.material(queue_s + trend.slowed_s):
            yield _finding(evidence, template, queue_s)


def is_bloated(evidence: Evidence, template: str) -> bool:
    """Whether the template slows down over the run, on a table full of dead rows, under a snapshot."""
    trend = evidence.trends.get(template)
    return (
        trend is not None
        and trend.growth >= _GROWTH
        and trend.slowed_s >= _TREND_S
        and _dead_per_live(evidence, template) >= _DEAD_PER_LIVE
        and _holder(evidence) is not None
    )


def _rows(evidence: Evidence, template: str) -> tuple[float, float]:
    """(dead, live) rows of what it works on, at the end."""
    figures = evidence.after.get(("table", evidence.targets.get(template, "")), {})
    return figures.get("n_dead_tup", 0.0), figures.get("n_live_tup", 0.0)


def _dead_per_live(evidence: Evidence, template: str) -> float:
    dead, live = _rows(evidence, template)
    return dead / max(live, 1.0) if dead >= _DEAD_AT_LEAST else 0.0


def _holder(evidence: Evidence) -> LongTransaction | None:
    """The oldest transaction that holds a snapshot."""
    holding = [one for one in evidence.sessions.long if one.xmin_age >= _XMIN_AGE]
    return max(holding, key=lambda one: one.xmin_age, default=None)


def _finding(evidence: Evidence, template: TemplateFigures, queue_s: float) -> Finding:
    trend, holder = evidence.trends[template.id], _holder(evidence)
    assert holder is not None
    relation = evidence.targets.get(template.id, "")
    dead, live = _rows(evidence, template.id)
    named = [template.id, *([holder.who] if holder.who != template.id else [])]
    return Finding(
        rule=NUMBER,
        name="bloat under an open snapshot",
        summary=(
            f"{shortened(template.sql)} grew from {trend.first_ms:,.1f} to {trend.last_ms:,.1f} ms "
            f"within the run: {relation} has {dead:,.0f} dead rows to {live:,.0f} live ones, kept by "
            f"a transaction that was open for {holder.age_s:,.1f} s"
            + (f" ({shortened(evidence.sql(holder.who))})" if holder.who else "")
        ),
        templates=tuple(evidence.culprit(name) for name in named if name),
        relations=(relation,),
        queue_s=round(queue_s, 3),
        slowed_s=round(trend.slowed_s, 3),
        fixes=(
            # Each statement has a snapshot of its own then, where it is one of the replay's.
            Fix.in_application(
                _CLOSE, SHORTER, (holder.who,) if holder.who in evidence.templates else ()
            ),
        ),
        confidence=0.9,
        evidence={
            "first_sixth_ms": round(trend.first_ms, 3),
            "last_third_ms": round(trend.last_ms, 3),
            "calls": trend.calls,
            "dead_rows": dead,
            "live_rows": live,
            "snapshot_age_s": round(holder.age_s, 1),
            "snapshot_xmin_age": holder.xmin_age,
            "snapshot_idle_share": round(holder.idle_share, 3),
            **of_pool(evidence),
        },
    )
