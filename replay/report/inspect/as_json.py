"""A workload as one document for programs: stable keys, times in ms unless the name says otherwise."""

from collections.abc import Sequence
from typing import Any

import msgspec

from replay.documents import JSON_VERSION
from replay.report.inspect import views
from replay.workload import Template, Workload

_SAMPLES = 20


def document(workload: Workload, templates: Sequence[Template]) -> dict[str, Any]:
    """The workload's figures and the chosen templates; a single one comes with kept executions."""
    manifest = workload.manifest
    whole = {
        "version": JSON_VERSION,
        "format": manifest.format,
        "inputs": manifest.inputs,
        "begin": manifest.begin,
        "end": manifest.end,
        "complete": manifest.complete,
        "records": manifest.records,
        "executions": manifest.executions,
        "transactions": manifest.transactions,
        "transactions_kept": len(workload.transactions),
        "sessions": manifest.sessions,
        "peak_concurrency": manifest.peak_concurrency,
        "skipped": {skip.reason: skip.count for skip in manifest.skipped},
        "skipped_first": {skip.reason: skip.first for skip in manifest.skipped},
        "notes": manifest.notes,
        "scrub": manifest.scrub,
        "templates": [_template(template) for template in templates],
        "routes": [],  # requests come with HTTP logs, which this version does not read
    }
    plain: dict[str, Any] = msgspec.to_builtins(whole)
    return plain


def one(workload: Workload, template: Template) -> dict[str, Any]:
    """The document of a single template: `document` with `samples` of its kept executions."""
    kept = list(views.kept_statements(workload, template.id))
    samples = [
        {
            "sql": statement.sql,
            "values": statement.values,
            "duration": statement.duration_us / 1e3,
            "error": statement.error,
        }
        for statement in kept[:_SAMPLES]
    ]
    return {**document(workload, [template]), "samples": msgspec.to_builtins(samples)}


def scrubbed(workload: Workload) -> dict[str, Any]:
    """What scrubbing did: its policy, and how values look now, by kind of slot."""
    return {
        "version": JSON_VERSION,
        "scrub": dict(workload.manifest.scrub),
        "slots": msgspec.to_builtins(views.slots(workload)),
    }


def _template(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "sql": template.sql,
        "kind": template.kind,
        "tables": template.tables,
        "calls": template.calls,
        "errors": template.errors,
        "total_ms": template.total_ms,
        "kept": template.kept,
        "rare": template.rare,
        "first_seen": template.first_seen,
        "last_seen": template.last_seen,
        "source": template.source,
        "query_ids": {str(number): calls for number, calls in template.query_ids},
    }
