"""One template whole on a terminal, and what scrubbing did to values."""

from collections.abc import Iterable

import sqlparse
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replay.report import wording
from replay.report.histograms import captured_quantile
from replay.report.inspect import contention, transactions, views
from replay.report.inspect.bars import spark
from replay.report.inspect.mix import Mix, mean_ms, mix
from replay.report.tables import figures_table, headed
from replay.workload import Template, Workload

_SAMPLES = 5
_IDS = 10
_LABEL = 12


def write_one(workload: Workload, template: Template, console: Console, *, top: int | None) -> None:
    """Print one template: its text laid out, its figures, where it occurs, some of its executions.

    `top` bounds the shapes and the conflicts told.
    """
    mixed = mix(workload)
    for name, value in _facts(template, mixed, console.width - _LABEL):
        console.print(Text.assemble((f"{name:<{_LABEL}}", "dim"), value))
    console.print(Text(f"\n{sqlparse.format(template.sql, reindent=True, keyword_case='upper')}"))
    found = views.shapes_of(workload, template.id)
    if found:
        table = transactions.shape_table(found, mixed, console.width, top)
        console.print(headed("Transactions that it is part of", table))
    conflicts = views.conflicts_of(workload, template.id)
    if conflicts:
        tables = contention.lock_tables(conflicts, mixed, console.width, top)
        console.print(headed("Locks and deadlocks", *tables))
    _write_samples(workload, template, console)


def write_scrubbed(workload: Workload, console: Console) -> None:
    """Print what scrubbing does by kind of value, and how values look now."""
    policy = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    policy.add_column("kind of value", no_wrap=True)
    policy.add_column("what stands in the workload instead")
    for kind, rule in workload.manifest.scrub.items():
        policy.add_row(Text(kind), Text(rule))
    console.print(policy)
    table = figures_table("kept values, as they stand now", "values", "distinct")
    for slots in views.slots(workload):
        examples = ", ".join(repr(value) for value in slots.examples)
        table.add_row(
            Text(f"{slots.kind}: {examples}", no_wrap=True),
            f"{slots.values:,}",
            f"{slots.distinct:,}",
        )
    console.print("", table)


def _facts(template: Template, mixed: Mix, width: int) -> Iterable[tuple[str, str | Text]]:
    mark = ", rare" if template.rare else ""
    yield "template", f"{template.id} ({template.kind}{mark})"
    yield "tables", ", ".join(template.tables) or "–"
    share = wording.share(mixed.share_of_calls(template))
    yield (
        "calls",
        f"{template.calls:,} ({share}), {template.errors:,} errors, {template.kept:,} kept",
    )
    states = (
        f"{state} {contention.state_name(state)}".rstrip() + f" × {count:,}"
        for state, count in template.error_states
    )
    if template.error_states:
        yield "errors", Text(", ".join(states), style="red")
    took = f"{wording.ms(mean_ms(template))} a call, p95 {wording.ms(captured_quantile(template.histogram))}"
    share = wording.share(mixed.share_of_time(template))
    yield "time", f"{wording.ms(template.total_ms)} in all ({share}), {took}"
    yield "seen", f"{_seen(template)} ({template.source})"
    if template.calls_per_slice:
        rate = mixed.rate_of(template)
        busy = sum(1 for calls in rate if calls)
        yield "over time", Text(spark(rate, width), style="cyan")
        yield "", f"in {busy} of {len(rate)} slices of {mixed.slice_s:g} s, {max(rate):,} at most"
    if template.routes:
        named = (f"{route} ({wording.share(share)})" for route, share in template.routes[:_IDS])
        yield "routes", f"{', '.join(named)}; known by {template.routes_known}"
    ids = ", ".join(f"{number} × {calls:,}" for number, calls in template.query_ids[:_IDS])
    more = len(template.query_ids) - _IDS
    yield "query ids", f"{ids or '–'}{f' and {more:,} more' if more > 0 else ''}"


def _seen(template: Template) -> str:
    if template.first_seen is None or template.last_seen is None:
        return "not in the log"
    return f"{template.first_seen:%Y-%m-%d %H:%M:%S} to {template.last_seen:%Y-%m-%d %H:%M:%S %Z}"


def _write_samples(workload: Workload, template: Template, console: Console) -> None:
    kept = list(views.kept_statements(workload, template.id))
    if not kept:
        told = "no execution of it was kept: only its calls are known"
        console.print(Text(f"\n{told}", style="yellow"))
        return
    lines = []
    for statement in kept[:_SAMPLES]:
        values = ", ".join("NULL" if value is None else repr(value) for value in statement.values)
        took = statement.error or wording.ms(statement.duration_us / 1e3)
        lines.append(Text.assemble((f"{took:>10}  ", "dim"), values or "no values"))
    console.print(headed(f"Executions kept: {len(lines)} of {len(kept):,}", *lines))
