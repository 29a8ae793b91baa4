"""Diagnose a run that broke: every rule looks at the evidence, what fires is ranked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from replay.diagnose.evidence import Evidence
from replay.diagnose.rules import (
    RULES,
    bad_seconds,
    comes_first,
    explains,
    failing_here,
    unexplained,
)
from replay.finding import Change, Finding, Fix


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """Findings by the blocked, queue and slowed seconds that they explain, most first.

    A run that held its objective has none, unless some seconds of it were bad, a statement waited
    over a second for a lock, or a deadlock came that production did not have. One that broke has at
    least one, and be it that nothing explains it. Statements that fail here only come first where they
    explain it all, else behind what cost seconds, but ahead of "unexplained". Where several findings
    ask for the same SQL, they carry the same fix. What production's own log told of the same
    statements stands in the evidence.
    """
    if not evidence.suspect:
        return ()
    found = [
        _beside_production(_with_routes(finding, evidence), evidence)
        for rule in RULES
        for finding in rule(evidence)
    ]
    ranked = sorted(found, key=lambda finding: -finding.explained_s)
    if evidence.run.healthy:
        return _with_shared_fixes(ranked or list(bad_seconds(evidence)))
    failing = list(failing_here(evidence))
    ranked = [*failing, *ranked] if comes_first(evidence) else [*ranked, *failing]
    if not found and not (failing and explains(evidence)):
        ranked.append(unexplained(evidence))
    return _with_shared_fixes(ranked)


def _with_routes(finding: Finding, evidence: Evidence) -> Finding:
    """The finding with the routes behind its templates: those that are linked, and those sent."""
    known: dict[str, str] = {}
    for culprit in finding.templates:
        for route in evidence.routes(culprit.id):
            known.setdefault(route, evidence.routes_known(culprit.id))
    return replace(finding, routes=tuple(known), routes_known=known) if known else finding


def _beside_production(finding: Finding, evidence: Evidence) -> Finding:
    """The finding with production's own waits and failures of its templates, counted by kind."""
    named = {culprit.id for culprit in finding.templates}
    counts: Counter[str] = Counter()
    longest_ms = 0.0
    for conflict in evidence.in_production:
        if named & {conflict.template, *conflict.peers}:
            counts[conflict.kind] += conflict.count
            longest_ms = max(longest_ms, conflict.longest_ms)
    told: dict[str, float] = dict(counts)
    if counts:
        told["longest_ms"] = round(longest_ms, 1)
    waiting = sum(
        one.sessions
        for one in evidence.activity
        if one.wait_type == "Lock" and one.template in named
    )
    if waiting:
        told["sessions_waiting"] = round(waiting, 3)
    if not told:
        return finding
    return replace(finding, evidence={**finding.evidence, "in_production": told})


def _with_shared_fixes(ranked: Sequence[Finding]) -> tuple[Finding, ...]:
    fixes: dict[tuple[str, str, Change | None], Fix] = {}
    return tuple(
        replace(
            finding,
            fixes=tuple(
                dict.fromkeys(
                    fixes.setdefault((f.kind, f.sql or f.why, f.change), f) for f in finding.fixes
                )
            ),
        )
        for finding in ranked
    )
