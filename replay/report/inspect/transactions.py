"""Transactions, sessions and concurrency on a terminal."""

from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from replay.report import wording
from replay.report.inspect.brief import step
from replay.report.inspect.listing import Line, listing
from replay.report.inspect.mix import Mix
from replay.report.inspect.shapes import Shape, open_on_average, shapes
from replay.report.tables import headed
from replay.workload import Workload


def sections(
    workload: Workload, mixed: Mix, width: int, top: int | None
) -> Iterable[RenderableType]:
    """Shapes of transactions, the heaviest first, and how many ran at once."""
    found = shapes(workload.transactions)
    if found:
        title = f"Transactions by shape: {len(found):,} shapes, estimated from {sum(s.kept for s in found):,} kept"
        yield headed(title, shape_table(found, mixed, width, top))
    yield headed("Sessions and concurrency", *_concurrency(workload, mixed))


def shape_table(
    found: tuple[Shape, ...], mixed: Mix, width: int, top: int | None
) -> RenderableType:
    """A line a shape: its statements in short, its weight, its length."""
    shown = found[:top]
    lines = [
        Line(
            name="",
            text=_sequence(shape, mixed),
            lines=2,
            figures=(
                f"{shape.transactions:,.0f}",
                wording.percent(shape.share),
                wording.figure(shape.statements),
                wording.ms(shape.mean_ms),
                wording.ms(max(shape.mean_ms - shape.statement_ms, 0)),
            ),
        )
        for shape in shown
    ]
    heads = ("statements", "times", "%", "long", "mean", "of it idle")
    return listing(heads, lines, width=width, more=len(found) - len(shown))


def _sequence(shape: Shape, mixed: Mix) -> str:
    """The shape's statements in short; BEGIN goes without saying where there are more than one."""
    steps = []
    for one in shape.steps:
        template = mixed.by_id.get(one.template)
        if template is not None and template.kind == "begin" and len(shape.steps) > 1:
            continue
        often = f" ×{one.fewest}" if one.most > 1 else ""
        often += f"–{one.most}" if one.most > one.fewest else ""
        steps.append(f"{step(template)}{often}")
    return " → ".join(steps)


def _concurrency(workload: Workload, mixed: Mix) -> Iterable[RenderableType]:
    manifest = workload.manifest
    at_work = mixed.total_ms / 1e3 / workload.window_s
    most = f", {manifest.peak_concurrency:,} at most" if manifest.peak_concurrency else ""
    yield Text(f"{wording.figure(at_work)} statements at work at once on average{most}")
    if not manifest.sessions:
        yield Text("sessions are not known: no log was read", style="dim")
        return
    each = manifest.transactions / manifest.sessions
    yield Text(f"{manifest.sessions:,} sessions, {each:,.1f} transactions each on average")
    opened, working = open_on_average(workload.transactions, workload.window_s)
    if opened:
        idle = wording.share(max(1 - working / opened, 0))
        yield Text(
            f"{wording.figure(opened)} transactions open at once on average, {idle} of that time idle between "
            "statements (estimated)"
        )
