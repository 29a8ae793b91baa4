"""A workload on a terminal: the mix at a glance, what is rare apart, and what to know of the capture."""

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from replay.report import wording
from replay.report.histograms import captured_quantile
from replay.report.inspect import contention, sampling, transactions
from replay.report.inspect.bars import bars, spark
from replay.report.inspect.listing import Line, listing
from replay.report.inspect.mix import Mix, mean_ms, mix
from replay.report.tables import headed
from replay.workload import Template, Workload

_WIDE = 120  # columns from which on figures that are good to have are shown
_HEAVY = 0.1  # of all time
_SPARK = 20
_CHART_LINES = 3
_CHART_COLUMNS = 120

RANKINGS = ("calls", "time")


def write(
    workload: Workload, templates: Sequence[Template], console: Console, *, top: int | None = None
) -> None:
    """Print the workload's head, `top` of the chosen templates, and what to know of the capture."""
    mixed = mix(workload)
    _print(console, _head(workload, mixed))
    chosen = _templates(mixed, templates, console.width, top=top)
    _print(console, [chosen if templates else Text("none of its templates is rare")])
    _print(console, sampling.warnings(workload))


def write_whole(
    workload: Workload, console: Console, *, by: Sequence[str], top: int | None
) -> None:
    """Print all of a workload, `top` lines of each section; templates ranked `by` calls, time or both."""
    mixed = mix(workload)
    _print(console, _head(workload, mixed))
    _print(console, _rate(mixed, console.width))
    _print(console, _ranked(mixed, by, console.width, top))
    _print(console, [_rare(mixed, console.width, top)])
    _print(console, transactions.sections(workload, mixed, console.width, top))
    _print(console, contention.sections(workload, mixed, console.width, top))
    _print(console, sampling.sections(workload, mixed))


def _print(console: Console, parts: Iterable[RenderableType]) -> None:
    for part in parts:
        console.print(part)


def _head(workload: Workload, mixed: Mix) -> Iterable[RenderableType]:
    manifest = workload.manifest
    yield Text.assemble(
        (f"{manifest.executions:,} executions", "bold"),
        f" of {len(workload.templates):,} templates ({len(mixed.rare):,} rare), "
        f"{manifest.transactions:,} transactions, {manifest.sessions:,} sessions",
    )
    window = f"{manifest.begin:%Y-%m-%d %H:%M:%S} to {manifest.end:%H:%M:%S %Z}"
    if manifest.begin.date() != manifest.end.date():
        window = f"{manifest.begin:%Y-%m-%d %H:%M:%S} to {manifest.end:%Y-%m-%d %H:%M:%S %Z}"
    source = manifest.source
    server = f", PostgreSQL {source.server_version}" if source.server_version else ""
    database = f", database {source.database}" if source.database else ""
    yield Text(f"{manifest.format}, {manifest.records:,} records{server}{database}", style="dim")
    yield Text(f"{window} ({_length(workload.window_s)})", style="dim")
    if not manifest.complete:
        yield Text("not complete: the capture was stopped, or an input broke off", style="yellow")


def _rate(mixed: Mix, width: int) -> Iterable[RenderableType]:
    if not mixed.rate:
        yield headed("Calls over time", Text("not known: no log told of it", style="dim"))
        return
    slices = len(mixed.rate)
    peak = max(mixed.rate)
    label = f"{wording.figure(peak / mixed.slice_s)}/s "
    drawn = bars(mixed.rate, min(width - len(label) - 1, _CHART_COLUMNS), _CHART_LINES)
    lines = [
        Text.assemble((label if not number else " " * len(label), "dim"), (line, "cyan"))
        for number, line in enumerate(drawn)
    ]
    first, last = f"{mixed.begin:%H:%M:%S}", f"{mixed.at(slices):%H:%M:%S}"
    axis = f"{first}{last:>{max(len(drawn[0]) - len(first), len(last) + 1)}}"
    mean = sum(mixed.rate) / (slices * mixed.slice_s)
    told = f"{slices} slices of {mixed.slice_s:g} s: {wording.figure(mean)} calls a second on average, "
    at = f"{mixed.at(mixed.rate.index(peak)):%H:%M:%S}"
    peaked = f"{wording.figure(peak / mixed.slice_s)} at most, at {at}"
    yield headed(
        "Calls over time",
        *lines,
        Text(" " * len(label) + axis, style="dim"),
        Text(told + peaked, style="dim"),
    )


def _ranked(mixed: Mix, by: Sequence[str], width: int, top: int | None) -> Iterable[RenderableType]:
    shown: set[str] = set()
    for ranking in by:
        ranked = mixed.by_calls if ranking == "calls" else mixed.by_time
        leading = ranked[:top]
        # What stands above already is not told again: its share of time stands there.
        new = [template for template in leading if template.id not in shown]
        if new:
            title = f"Templates by {ranking}"
            if shown:
                title = f"{title}: those of the first {len(leading)} not listed above"
            more = len(ranked) - len(leading) if ranking == by[0] else 0
            yield headed(title, _templates(mixed, new, width, top=None, more=more))
        shown.update(template.id for template in new)


def _rare(mixed: Mix, width: int, top: int | None) -> RenderableType:
    """Of many rare templates those come first that take most time: they can become a storm."""
    if not mixed.rare:
        return headed("Rare templates", Text("none", style="dim"))
    title = f"Rare templates: {len(mixed.rare):,}, most time first"
    return headed(title, _templates(mixed, mixed.rare, width, top=top))


def _templates(
    mixed: Mix, templates: Sequence[Template], width: int, *, top: int | None, more: int = 0
) -> RenderableType:
    """Templates with their figures; on a wide terminal with their p95 and their calls over time."""
    shown = templates[:top]
    wide = width >= _WIDE
    spread = wide and bool(mixed.rate)
    marked = any(_mark(template) for template in shown) and not all(t.rare for t in shown)
    heads = ["template", "calls", "% calls", "% time", "mean"]
    heads += ["p95", "errors", "kept"] * wide + [f"over {len(mixed.rate)} slices"] * spread
    heads += [""] * marked

    def figures(template: Template) -> tuple[str | Text, ...]:
        cells: list[str | Text] = [
            f"{template.calls:,}",
            wording.percent(mixed.share_of_calls(template)),
            _heavy(mixed.share_of_time(template)),
            wording.ms(mean_ms(template)),
        ]
        if wide:
            failed = Text(f"{template.errors:,}", style="red") if template.errors else "–"
            cells += [
                wording.ms(captured_quantile(template.histogram)),
                failed,
                f"{template.kept:,}",
            ]
        if spread:
            cells.append(Text(spark(mixed.rate_of(template), _SPARK), style="cyan"))
        return (*cells, *[_mark(template)] * marked)

    lines = [
        Line(name=template.id[: mixed.digits], text=template.sql, figures=figures(template))
        for template in shown
    ]
    return listing(heads, lines, width=width, more=more + len(templates) - len(shown))


def _mark(template: Template) -> Text:
    if template.rare:
        return Text("rare", style="yellow")
    if template.source != "statements":
        return Text("")
    return Text("synthesised" if template.kept else "only counted", style="dim")


def _heavy(share: float) -> Text:
    return Text(wording.percent(share), style="bold" if share >= _HEAVY else "")


def _length(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02} min" if hours else wording.seconds(seconds)
