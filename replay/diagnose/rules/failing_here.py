"""Rule 0's sibling: statements fail here that did not in production, so the run cannot pass.

Mostly staging is what is wrong: it lacks a table, a view or a function that the workload uses, or its
service a secret, a neighbour, an account.
"""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus

from replay.diagnose.evidence import Evidence
from replay.diagnose.sums import summed
from replay.finding import Finding, Fix

NUMBER = 0
_MOST = 0.5  # of what was not served: with so much of it, failures explain that it was not
_LEAST = 0.05  # of what was not served, and …
_LEAST_TRANSACTIONS = 0.001  # … of all: with less, nothing is said
_SHOWN = 5
# PostgreSQL 18, appendix A.
_MEANING = {
    "22P02": "invalid text representation",
    "23502": "not null violation",
    "23503": "foreign key violation",
    "23505": "unique violation",
    "23514": "check violation, or no partition for the row",
    "3F000": "invalid schema name",
    "40001": "serialization failure",
    "40P01": "deadlock detected",
    "42501": "insufficient privilege",
    "42601": "syntax error",
    "42703": "undefined column",
    "42704": "undefined object",
    "42804": "datatype mismatch",
    "42883": "undefined function",
    "42P01": "undefined table",
    "53300": "too many connections",
    "55P03": "lock not available",
    "57014": "query canceled",
}
_MISSING = ("42P01", "42883", "42703", "42704", "3F000")
# Refused because others were in the way: the rules of locks and of the pool say whose doing it was.
_CONTENTION = ("40001", "40P01", "53300", "55P03", "57014")


def failing_here(evidence: Evidence) -> Iterator[Finding]:
    """One finding that names all templates which the server refuses here only."""
    failures = evidence.failures
    if failures.counts and (
        failures.not_ok_share >= _LEAST and failures.transactions_share >= _LEAST_TRANSACTIONS
    ):
        yield _finding(evidence)


def explains(evidence: Evidence) -> bool:
    """Whether such failures are why the run missed its objective: not served, yet not slow."""
    objective = evidence.run.objective
    slow = objective.get("p95_ms", 0.0) > objective.get("objective_ms", float("inf"))
    return bool(evidence.failures.counts) and (evidence.failures.not_ok_share >= _MOST and not slow)


def comes_first(evidence: Evidence) -> bool:
    """Whether they come before what other rules found: they explain the run, by themselves."""
    states = _states(evidence.failures.counts.items())
    return explains(evidence) and next(iter(states)) not in _CONTENTION


def _finding(evidence: Evidence) -> Finding:
    failures = evidence.failures
    states = _states(failures.counts.items())
    noun = "request" if evidence.run.options.get("service") else "statement"
    by_template: dict[str, dict[str, int]] = {}
    for (template, state), count in failures.counts.items():
        by_template.setdefault(template, {})[state] = count
    ranked = sorted(by_template, key=lambda template: -sum(by_template[template].values()))
    return Finding(
        rule=NUMBER,
        name=f"{noun}s fail here that did not in production",
        summary=_summary(states, len(ranked), noun),
        templates=tuple(evidence.culprit(template) for template in ranked),
        fixes=tuple(_fixes(by_template)),
        confidence=round(min(0.5 + failures.not_ok_share / 2, 0.95), 2),
        evidence={
            "failed_share": round(failures.transactions_share, 4),
            "share_of_not_ok": round(failures.not_ok_share, 3),
            "by_sqlstate": states,
            "by_template": {template: by_template[template] for template in ranked},
        },
    )


def _states(counts: Iterable[tuple[tuple[str, str], int]]) -> dict[str, int]:
    totals = summed((state, count) for (_, state), count in counts)
    return {state: int(count) for state, count in totals.items()}


def _summary(states: Mapping[str, int], templates: int, noun: str) -> str:
    total = sum(states.values())
    kind = "route" if noun == "request" else "template"
    who = f"{_counted(total, noun)} of {_counted(templates, kind)} failed with "
    if len(states) == 1:
        what = _meaning(next(iter(states)))
    else:
        shown = list(states.items())[:_SHOWN]
        what = ", ".join(f"{_meaning(state)} {count:,} times" for state, count in shown)
    missing = sum(count for state, count in states.items() if state in _MISSING)
    if missing == total:
        return f"{who}{what}: staging lacks what they use"
    if missing:
        return f"{who}{what}: staging lacks what {missing:,} of them use"
    return f"{who}{what}: in production they did not"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _meaning(state: str) -> str:
    status = state.removeprefix("http ")
    if status != state and int(status) in set(HTTPStatus):
        return f"{state} ({HTTPStatus(int(status)).phrase.lower()})"
    return f"{state} ({_MEANING[state]})" if state in _MEANING else state


def _fixes(by_template: Mapping[str, Mapping[str, int]]) -> Iterator[Fix]:
    for state in _MISSING:
        templates = [name for name, states in by_template.items() if state in states]
        if templates:
            yield Fix.in_application(
                f"{_meaning(state)}: an object that {', '.join(templates)} "
                f"{'uses' if len(templates) == 1 else 'use'} is missing in staging; create it "
                "there and run again (generate lists what it left out)"
            )
