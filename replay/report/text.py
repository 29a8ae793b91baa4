"""The report on a terminal: the verdict first, then what did it, then the figures to check it by."""

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from replay.finding import Finding, Proof
from replay.report import activity, blocking, migration, wording
from replay.report.coverage import Coverage
from replay.report.failures import Failure
from replay.report.latency import TemplateLatency
from replay.report.proof import built as built_words
from replay.report.summary import Line, Summary
from replay.report.tables import figures_table, headed

_TONES = {"good": "bold green", "bad": "bold red", "doubtful": "bold yellow"}
_ROUTES = 3  # of a finding
_TEMPLATES_SHOWN = 12
_TREES_SHOWN = 5
_FAILURES_SHOWN = 5


def write(summary: Summary, console: Console) -> None:
    """Print the report; text of statements is never read as markup."""
    for part in _parts(summary):
        console.print(part)


def write_brief(summary: Summary, console: Console) -> None:
    """Print the verdict, what did it, the migration, what the server refused, and whether to trust the run."""
    for part in (
        *(_verdict(summary), *_capacity(summary), *_causes(summary), *_migration(summary)),
        *(*_failed(summary), *_requests(summary), *_fidelity(summary), _trust(summary)),
    ):
        console.print(part)


def _parts(summary: Summary) -> Iterable[RenderableType]:
    yield _verdict(summary)
    yield from _capacity(summary)
    yield from _causes(summary)
    yield from _migration(summary)
    yield from _failed(summary)
    if summary.proof:
        yield headed("The proof", _proof(summary.proof))
    if summary.trees:
        yield headed("Who waited for whom", _trees(summary))
    if summary.activity:
        title = "Sessions on average, beside production's"
        yield headed(title, activity.table(summary.activity))
    if summary.templates:
        kind = "route" if summary.requests else "template"
        yield headed(f"Latency by {kind}, in ms", _latency(summary.templates))
    if summary.coverage:
        yield headed("Rare paths", _coverage(summary.coverage))
    yield from _requests(summary)
    yield from _fidelity(summary)
    if len(summary.runs) > 1:
        yield headed("Runs side by side", _runs(summary.runs))
    yield _trust(summary)


def _capacity(summary: Summary) -> Iterable[RenderableType]:
    found = summary.capacity
    if found is None:
        return
    table = figures_table(
        "× production", "due/s", "done/s", "p50", "p95", "climbs ms/s", "not ok", ""
    )
    for step in found.steps:
        table.add_row(
            f"{step.rate:g}",
            *(f"{step.due_per_s:,.0f}", f"{step.done_per_s:,.0f}"),
            *map(_figure, (step.p50_ms, step.p95_ms, step.slope_ms_s)),
            wording.share(step.not_ok_share),
            Text(
                "holds" if step.holds else "breaks", style=_TONES["good" if step.holds else "bad"]
            ),
        )
    yield headed("Capacity", Text(found.in_words(), style="bold"), table)


def _causes(summary: Summary) -> Iterable[RenderableType]:
    if summary.findings:
        numbered = enumerate(summary.findings, start=1)
        yield headed("What did it", Group(*(_finding(number, one) for number, one in numbered)))


def _migration(summary: Summary) -> Iterable[RenderableType]:
    if summary.migration:
        title = f"{summary.migration.file} in the middle of the load"
        yield headed(title, migration.section(summary.migration, summary.texts))


def _failed(summary: Summary) -> Iterable[RenderableType]:
    if summary.failures:
        what = "Failed requests by status" if summary.requests else "Failed statements by SQLSTATE"
        yield headed(what, _failures(summary.failures))


def _requests(summary: Summary) -> Iterable[RenderableType]:
    if summary.requests:
        yield headed("Requests", _facts(wording.request_facts(summary.requests)))


def _fidelity(summary: Summary) -> Iterable[RenderableType]:
    if summary.fidelity:
        yield headed("Beside production", _facts(wording.fidelity_facts(summary.fidelity)))


def _facts(facts: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for label, value in facts:
        table.add_row(Text(label, style="dim"), value)
    return table


def _trust(summary: Summary) -> RenderableType:
    facts = [f"{label} {value}" for label, value in wording.generator_facts(summary.manifest)]
    counts = summary.manifest.accounting
    if counts:
        facts.append(
            f"{counts.planned:,} planned = {counts.started:,} started + {counts.skipped:,} skipped"
        )
    return headed("Trust", Text("; ".join(facts) or "nothing was recorded"))


def _verdict(summary: Summary) -> RenderableType:
    verdict, manifest = summary.verdict, summary.manifest
    words = f" {summary.name}: {wording.load(manifest)}, {wording.seconds(manifest.duration_s)}"
    head = Text.assemble((verdict.badge.upper(), _TONES[verdict.level]), (words, "dim"))
    lines = [head, Text(verdict.sentence, style="bold")]
    if verdict.cause:
        lines.append(Text(verdict.cause))
    return Group(*lines)


def _finding(number: int, finding: Finding) -> RenderableType:
    weight = [f"confidence {finding.confidence:.0%}"]
    if finding.blocked_s:
        weight.append(f"{wording.seconds(finding.blocked_s)} blocked on locks")
    if finding.queue_s:
        weight.append(f"{wording.seconds(finding.queue_s)} queued for the pool")
    head = Text.assemble(
        (f"{number}. {finding.name}", "bold red"), (f"  {', '.join(weight)}", "dim")
    )
    if finding.routes:
        known = finding.routes_known
        told = (
            f"{route} ({known[route]})" if known.get(route) else route
            for route in finding.routes[:_ROUTES]
        )
        head.append(f"  by {', '.join(told)}", "dim")
    culprits = (
        Text.assemble(
            f"{wording.share(culprit.share)} of calls  ", (culprit.id, "dim"), f"  {culprit.sql}"
        )
        for culprit in finding.templates
    )
    fixes = (
        Text.assemble(
            (fix.sql or fix.why, "green"), ("; replay prove tries it", "dim") if fix.change else ""
        )
        for fix in finding.fixes
    )
    return Group(
        head, Padding(Group(Text(finding.summary), *culprits, *fixes), (0, 0, 0, 3), expand=False)
    )


def _proof(proof: Proof) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for step in proof.steps:
        outcome = "passes" if step.healthy else "fails"
        tone = _TONES["good" if step.healthy else "bad"]
        table.add_row(
            Text(step.name),
            Text(outcome if step.valid else f"{outcome} (not valid)", style=tone),
            Text(f"p95 {wording.ms(step.figures.get('p95_ms'))}"),
            Text(f"{wording.share(step.figures.get('not_ok_share', 0.0))} not served"),
        )
    built = [Text(built_words(fix), style="dim") for fix in proof.fixes]
    built += [Text(f"not tried: {reason}", style="dim") for reason in proof.untried]
    head = "proven" if proof.proven else "not proven"
    tone = _TONES["good" if proof.proven else "doubtful"]
    return Group(Text.assemble((head, tone), f": {proof.why}"), table, *built)


def _trees(summary: Summary) -> RenderableType:
    shown = [_tree(tree, summary) for tree in summary.trees[:_TREES_SHOWN]]
    total = Text(f"sessions waited {wording.seconds(summary.blocked_s)} in all", style="dim")
    return Group(total, *shown)


def _tree(node: blocking.Node, summary: Summary, into: Tree | None = None) -> Tree:
    sql = summary.texts.get(node.template) or node.template or node.text or wording.STRANGER
    if route := summary.routes.get(node.template):
        sql = f"{route}: {sql}"
    took = (f"{wording.seconds(node.blocked_s):>8}", "bold")
    if into is None:
        branch = Tree(Text.assemble(took, "  ", sql, (f"  ({node.state})", "dim")))
    else:
        where = f"  {node.lock} on {node.relation}" if node.relation else f"  {node.lock}"
        branch = into.add(
            Text.assemble(took, "  ", sql, (f"{where}, {node.sessions} at once", "dim"))
        )
    for waiter in node.waiters:
        _tree(waiter, summary, branch)
    return branch


def _failures(failures: tuple[Failure, ...]) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="ellipsis", ratio=1)  # the one that gives way on a narrow terminal
    for failure in failures[:_FAILURES_SHOWN]:
        known = "in production too: " if failure.expected else ""
        table.add_row(
            f"{failure.count:,}",
            Text(failure.sqlstate, style="dim" if failure.expected else "bold red"),
            Text.assemble((known, "dim"), failure.sql or failure.template, no_wrap=True),
        )
    if len(failures) <= _FAILURES_SHOWN:
        return table
    rest = sum(failure.count for failure in failures[_FAILURES_SHOWN:])
    return Group(table, Text(f"{rest:,} more: replay report --json shows all", style="dim"))


def _latency(rows: tuple[TemplateLatency, ...]) -> RenderableType:
    skipped = any(row.skipped for row in rows)
    counts = ("sent", "not ok", "skipped") if skipped else ("sent", "not ok")
    table = figures_table("template", *counts, "due p50", "p95", "p99", "service p50", "p95")
    for row in rows[:_TEMPLATES_SHOWN]:
        table.add_row(
            Text(row.sql or row.id, style="red" if row.boosted else "", no_wrap=True),
            f"{row.sent:,}",
            f"{row.not_ok:,}",
            *([f"{row.skipped:,}"] if skipped else []),
            *map(_figure, (row.from_due.p50, row.from_due.p95, row.from_due.p99)),
            *map(_figure, (row.service.p50, row.service.p95)),
        )
    if len(rows) <= _TEMPLATES_SHOWN:
        return table
    rest = f"{len(rows) - _TEMPLATES_SHOWN} more templates: --html or --json shows all"
    return Group(table, Text(rest, style="dim"))


def _coverage(coverage: Coverage) -> RenderableType:
    words = (
        f"{coverage.rare_replayed} of {len(coverage.rare)} rare paths replayed; of "
        f"{coverage.in_log} templates in the log {coverage.kept} kept, "
        f"{coverage.replayed} replayed"
    )
    if coverage.only_counted:
        words += f"; {coverage.only_counted} more are known only from pg_stat_statements"
    table = figures_table("rare path", "in the log", "kept", "replayed", "ok")
    for path in coverage.rare:
        table.add_row(
            Text(path.sql, no_wrap=True),
            f"{path.in_log:,}",
            f"{path.kept:,}",
            Text(f"{path.replayed:,}", style="" if path.replayed else "yellow"),
            f"{path.ok:,}",
        )
    return Group(Text(words), table) if coverage.rare else Text(words)


def _runs(runs: tuple[Line, ...]) -> RenderableType:
    table = figures_table("run", "outcome", "p50", "p95", "pool p95", "not served", "on locks")
    for line in runs:
        figures = line.manifest.objective
        table.add_row(
            Text(f"{line.name}, {wording.load(line.manifest)}"),
            Text(line.verdict.badge, style=_TONES[line.verdict.level]),
            *(wording.ms(figures.get(name)) for name in ("p50_ms", "p95_ms", "pool_wait_p95_ms")),
            wording.share(figures.get("not_ok_share", 0.0)),
            wording.seconds(line.blocked_s),
        )
    return table


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
