"""A workload on a terminal."""

from collections.abc import Sequence

import sqlparse
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replay.report import wording
from replay.report.inspect import views
from replay.report.latency import captured_quantile
from replay.report.tables import figures_table
from replay.workload import Template, Workload

_SAMPLES = 5


def write(workload: Workload, templates: Sequence[Template], console: Console) -> None:
    """Print the workload's figures and the chosen templates, a line each."""
    _head(workload, console)
    table = figures_table("template", "calls", "share", "errors", "mean", "p95", "kept", "")
    executions = max(workload.manifest.executions, 1)
    for template in templates:
        table.add_row(
            Text.assemble((template.id, "dim"), f"  {template.sql}", no_wrap=True),
            f"{template.calls:,}",
            wording.share(template.calls / executions),
            f"{template.errors:,}",
            wording.ms(_mean_ms(template)),
            wording.ms(captured_quantile(template)),
            f"{template.kept:,}",
            _mark(template),
        )
    console.print(table if templates else Text("none of its templates is rare"))


def write_one(workload: Workload, template: Template, console: Console) -> None:
    """Print one template: its text laid out, its figures, and some of its kept executions."""
    share = wording.share(template.calls / max(workload.manifest.executions, 1))
    facts = {
        "template": f"{template.id} ({template.kind}{', rare' if template.rare else ''})",
        "tables": ", ".join(template.tables) or "–",
        "calls": f"{template.calls:,} ({share}), {template.errors:,} errors, {template.kept:,} kept",
        "time": f"{wording.ms(template.total_ms)} in all, {wording.ms(_mean_ms(template))} a call, "
        f"p95 {wording.ms(captured_quantile(template))}",
        "seen": f"{template.first_seen or '–'} to {template.last_seen or '–'} ({template.source})",
        "query ids": ", ".join(f"{number} × {calls:,}" for number, calls in template.query_ids)
        or "–",
    }
    for name, value in facts.items():
        console.print(Text.assemble((f"{name:<10}", "dim"), value))
    console.print(Text(f"\n{sqlparse.format(template.sql, reindent=True, keyword_case='upper')}\n"))
    kept = list(views.kept_statements(workload, template.id))
    for statement in kept[:_SAMPLES]:
        values = ", ".join("NULL" if value is None else repr(value) for value in statement.values)
        took = wording.ms(statement.duration_us / 1e3)
        console.print(Text.assemble((f"{took:>10}  ", "dim"), values or "no values"))
    if not kept:
        console.print(Text("no execution of it was kept: only its calls are known", style="yellow"))


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


def _head(workload: Workload, console: Console) -> None:
    manifest = workload.manifest
    console.print(
        f"{manifest.executions:,} executions of {len(workload.templates)} templates in "
        f"{manifest.transactions:,} transactions of {manifest.sessions:,} sessions; "
        f"{len(workload.transactions):,} transactions kept, "
        f"{sum(1 for template in workload.templates if template.rare)} templates rare",
        highlight=False,
    )
    window = f"{manifest.begin:%Y-%m-%d %H:%M:%S} to {manifest.end:%H:%M:%S %Z}"
    source = f"{manifest.format}, {manifest.records:,} records, {window}"
    console.print(Text(source, style="dim"))
    for skip in manifest.skipped:
        console.print(
            Text(f"passed over {skip.count:,}: {skip.reason} (first: {skip.first})", "yellow")
        )
    if not manifest.complete:
        console.print(
            Text("not complete: the capture was stopped, or an input broke off", "yellow")
        )
    for note in manifest.notes:
        console.print(Text(note, style="yellow"))


def _mark(template: Template) -> Text:
    if template.rare:
        return Text("rare", style="yellow")
    if template.source != "statements":
        return Text("")
    return Text("synthesised" if template.kept else "only counted", style="dim")


def _mean_ms(template: Template) -> float | None:
    answered = template.calls - template.errors
    return template.total_ms / answered if answered else None
