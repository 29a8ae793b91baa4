"""A run's report as one document for programs: stable keys, times in ms unless the name says otherwise."""

from typing import Any

import msgspec

from replay.documents import JSON_VERSION
from replay.finding import Finding
from replay.report import blocking, latency, likeness
from replay.report.summary import Line, Summary


def document(summary: Summary) -> dict[str, Any]:
    """The document of a summary; every value is a plain JSON value."""
    manifest = summary.manifest
    whole = {
        "version": JSON_VERSION,
        "run": summary.name,
        "workload": manifest.workload,
        "workload_id": manifest.workload_id,
        "scenario": manifest.scenario,
        "options": manifest.options,
        "seed": manifest.seed,
        "origin": manifest.origin,
        "duration_s": manifest.duration_s,
        "pool": manifest.pool,
        "workers": manifest.workers,
        "server_version": manifest.server_version,
        "state": manifest.state,
        "missing": manifest.missing,
        "valid": manifest.valid,
        "why_not": manifest.why_not,
        "healthy": manifest.healthy,
        "verdict": summary.verdict.sentence,
        "objective": manifest.objective,
        "accounting": manifest.accounting,
        "generator": manifest.generator,
        "boosted": manifest.boosted,
        "blocked_s": summary.blocked_s,
        "findings": [finding(one) for one in summary.findings],
        "proof": summary.proof,
        "capacity": summary.capacity,
        "fidelity": summary.fidelity,
        "requests": summary.requests,
        "migration": summary.migration,
        "verification": likeness.document(summary.verification) if summary.verification else None,
        "failures": [
            {**msgspec.to_builtins(failure), "name": failure.name} for failure in summary.failures
        ],
        "latency": [_template(row) for row in summary.templates],
        "waits": [
            {"name": band.name, "kind": band.kind, "session_s": band.session_s}
            for band in summary.waits
        ],
        "activity": summary.activity,
        "blocking": [_node(tree) for tree in summary.trees],
        "coverage": _coverage(summary),
        "over_time": _over_time(summary),
        "runs": [_line(line) for line in summary.runs],
    }
    plain: dict[str, Any] = msgspec.to_builtins(whole)
    return plain


def finding(one: Finding) -> dict[str, Any]:
    """One finding, with the keys that every command uses for it."""
    plain: dict[str, Any] = msgspec.to_builtins(one)
    return plain


def _template(row: latency.TemplateLatency) -> dict[str, Any]:
    return {
        "id": row.id,
        "sql": row.sql,
        "boosted": row.boosted,
        "sent": row.sent,
        "ok": row.ok,
        "not_ok": row.errors,
        "from_due": row.from_due,
        "service": row.service,
        "production_p95": row.production_p95_ms,
        "total_s": row.total_s,
    }


def _node(node: blocking.Node) -> dict[str, Any]:
    return {
        "template": node.template,
        "text": node.text,
        "state": node.state,
        "lock": node.lock,
        "relation": node.relation,
        "blocked_s": node.blocked_s,
        "sessions": node.sessions,
        "waiters": [_node(waiter) for waiter in node.waiters],
    }


def _coverage(summary: Summary) -> dict[str, Any] | None:
    covered = summary.coverage
    if covered is None:
        return None
    return {
        "in_log": covered.in_log,
        "only_counted": covered.only_counted,
        "kept": covered.kept,
        "replayed": covered.replayed,
        "rare": [{**msgspec.to_builtins(path), "why_not": path.why_not} for path in covered.rare],
    }


def _over_time(summary: Summary) -> dict[str, Any]:
    return {
        "step_s": summary.grid.width_us / 1e6,
        "from_due": {one.name: one.values for one in summary.ordinary_ms},
        "pool_wait": {one.name: one.values for one in summary.pool_wait_ms},
        "sessions": {band.name: band.sessions for band in summary.waits},
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "run": line.name,
        "scenario": line.manifest.scenario,
        "valid": line.manifest.valid,
        "healthy": line.manifest.healthy,
        "objective": line.manifest.objective,
        "blocked_s": line.blocked_s,
        "causes": line.causes,
    }
