"""A workload as one document for programs: stable keys, times in ms unless the name says otherwise."""

from collections.abc import Sequence
from typing import Any

import msgspec

from replay.documents import JSON_VERSION
from replay.report.inspect import routes, sampling, views
from replay.report.inspect.mix import Mix, mix
from replay.report.inspect.shapes import Shape, open_on_average, shapes
from replay.requests import Requests
from replay.workload import Conflict, Template, Workload

_SAMPLES = 20


def document(
    workload: Workload, templates: Sequence[Template], requests: Requests | None = None
) -> dict[str, Any]:
    """The workload's figures, the chosen templates, and all routes."""
    conflicts = workload.conflicts
    found = shapes(workload.transactions)
    whole = _document(workload, mix(workload), templates, found, conflicts)
    told = {"requests": routes.log_document(requests), "routes": routes.documents(requests)}
    return {**whole, **msgspec.to_builtins(told)}


def one(workload: Workload, template: Template) -> dict[str, Any]:
    """The document of a single template: shapes and conflicts that it is part of, kept executions.

    `rate` is the workload's; the template has one of its own.
    """
    mixed = mix(workload)
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
    found = views.shapes_of(workload, template.id)
    conflicts = views.conflicts_of(workload, template.id)
    whole = _document(workload, mixed, [template], found, conflicts)
    whole["templates"][0]["rate"] = list(mixed.rate_of(template))
    return {**whole, "samples": msgspec.to_builtins(samples)}


def scrubbed(workload: Workload) -> dict[str, Any]:
    """What scrubbing did: its policy, and how values look now, by kind of slot."""
    return {
        "version": JSON_VERSION,
        "scrub": dict(workload.manifest.scrub),
        "slots": msgspec.to_builtins(views.slots(workload)),
    }


def _document(
    workload: Workload,
    mixed: Mix,
    templates: Sequence[Template],
    found: Sequence[Shape],
    conflicts: Sequence[Conflict],
) -> dict[str, Any]:
    manifest = workload.manifest
    opened, working = open_on_average(workload.transactions, workload.window_s)
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
        "open_transactions": opened,
        "open_transactions_at_work": working,
        "skipped": {skip.reason: skip.count for skip in manifest.skipped},
        "skipped_first": {skip.reason: skip.first for skip in manifest.skipped},
        "notes": manifest.notes,
        "scrub": manifest.scrub,
        "sampling": sampling.figures(workload),
        "rate": {"begin": mixed.begin, "slice_s": mixed.slice_s, "calls": mixed.rate},
        "templates": [_template(template) for template in templates],
        "shapes": [_shape(shape) for shape in found],
        "conflicts": conflicts,
    }
    plain: dict[str, Any] = msgspec.to_builtins(whole)
    return plain


def _template(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "sql": template.sql,
        "kind": template.kind,
        "tables": template.tables,
        "calls": template.calls,
        "errors": template.errors,
        "error_states": dict(template.error_states),
        "total_ms": template.total_ms,
        "kept": template.kept,
        "rare": template.rare,
        "first_seen": template.first_seen,
        "last_seen": template.last_seen,
        "source": template.source,
        "routes": dict(template.routes),
        "routes_by": template.routes_by,
        "routes_sure": template.routes_sure,
        "query_ids": {str(number): calls for number, calls in template.query_ids},
        "counted": template.counted,
    }


def _shape(shape: Shape) -> dict[str, Any]:
    return {
        "ids": shape.ids,
        "templates": [
            {"id": step.template, "fewest": step.fewest, "most": step.most} for step in shape.steps
        ],
        "transactions": shape.transactions,
        "share": shape.share,
        "kept": shape.kept,
        "mean_ms": shape.mean_ms,
        "statement_ms": shape.statement_ms,
        "statements": shape.statements,
    }
