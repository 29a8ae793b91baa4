"""Rule 0, unexplained: the run broke and no rule can say why. It says so, with what was seen."""

from collections.abc import Iterator
from dataclasses import replace

from replay.diagnose.evidence import Evidence
from replay.diagnose.figures import of_bursts, of_longest, of_pool
from replay.diagnose.sums import merged, summed
from replay.finding import Finding
from replay.requests import REQUEST

NUMBER = 0
_SHOWN = 5
_BAD_SECONDS = 3  # of a run that held its objective: fewer may be the machine's


def unexplained(evidence: Evidence) -> Finding:
    """The finding that names nobody."""
    locks = summed(
        (f"{episode.lock_type} {episode.relation}".strip(), episode.blocked_s)
        for episode in evidence.blocking.episodes
    )
    busiest = sorted(evidence.templates.values(), key=lambda t: -t.service_s)[:_SHOWN]
    charged = merged([evidence.queue.demand_s, evidence.queue.locks_s])
    held = list(charged.items())[:_SHOWN]
    worst = max(evidence.series, key=lambda second: second.p95_ms, default=None)
    return Finding(
        rule=NUMBER,
        name="unexplained",
        summary=(
            "the run missed its objective and no rule explains it: "
            f"{evidence.blocked_s:,.1f} s blocked on locks, "
            f"{evidence.queue.total_s:,.1f} s waited for a pool slot{_elsewhere(evidence)}"
        ),
        templates=(),
        blocked_s=round(evidence.blocked_s, 3),
        queue_s=round(evidence.queue.total_s, 3),
        evidence={
            **of_pool(evidence),
            "waits": dict(list(evidence.sessions.waits.items())[:_SHOWN]),
            "longest": of_longest(evidence.blocking.episodes),
            "locks_s": {name: round(spent, 3) for name, spent in list(locks.items())[:_SHOWN]},
            "held_by_s": {name or "client": round(spent, 3) for name, spent in held},
            "service_s": {t.id: round(t.service_s, 3) for t in busiest if t.calls},
            "worst_second": worst.second if worst else None,
            "worst_p95_ms": round(worst.p95_ms, 1) if worst else None,
            "bursts": of_bursts(evidence),
        },
    )


def _elsewhere(evidence: Evidence) -> str:
    """Of a run through a service: how many of its requests had a statement on the server at all."""
    if not evidence.run.options.get("service"):
        return ""
    seconds = max(evidence.run.duration_s, 1e-3)
    requests, statements = (
        sum(one.service_s for one in evidence.templates.values() if (one.kind == REQUEST) == is_one)
        for is_one in (True, False)
    )
    return (
        f"; of {requests / seconds:,.1f} requests under way on average {statements / seconds:,.1f} had a "
        "statement that ran, and the others waited inside of the service"
    )


def bad_seconds(evidence: Evidence) -> Iterator[Finding]:
    """The finding of a run whose averages are good and whose bad seconds no rule explains."""
    seconds = sum(burst.to_s - burst.from_s for burst in evidence.bursts)
    if seconds >= _BAD_SECONDS:
        worst = max(evidence.bursts, key=lambda burst: burst.worst_p95_ms)
        finding = unexplained(evidence)
        yield replace(
            finding,
            name="unexplained burst",
            summary=(
                f"{seconds} bad seconds in a run that held its objective, and no rule explains "
                f"them: {worst.worst_p95_ms:,.0f} ms at p95 from second {worst.from_s} to "
                f"{worst.to_s}"
            ),
        )
