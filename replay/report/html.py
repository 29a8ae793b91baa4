"""The report as one HTML file: no other file, no network, everything escaped by the template."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
import sqlparse

from replay import __version__
from replay.report import likeness, migration, proof, svg, wording
from replay.report.summary import Summary, summarise
from replay.report.waits import Band

_STACK = ("cpu", "io", "lwlock", "other", "idle", "lock")  # from the bottom: contention on top
_LINE_TONES = {"p50": "line-soft", "p95": "line-main", "p99": "line-far"}


def page(runs: Sequence[Path], workload: Path | None = None) -> str:
    """The page of the first run, with the others set beside it; raises InputError for no run."""
    return render(summarise(runs, workload))


def render(summary: Summary) -> str:
    """Fill the template from a summary."""
    template = _environment().get_template("page.html.j2")
    return template.render(s=summary, charts=_charts(summary), version=__version__)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("replay.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "built": proof.built,
        "ms": wording.ms,
        "seconds": wording.seconds,
        "share": wording.share,
        "size": wording.size,
        "load": wording.load,
        "pool": wording.pool,
        "generator_facts": wording.generator_facts,
        "objective_ms": wording.objective_ms,
        "pretty": _pretty_sql,
        "fidelity_facts": wording.fidelity_facts,
        "request_facts": wording.request_facts,
        "recovery": migration.recovery,
        "told": migration.sentence,
        "likeness_lines": likeness.lines,
        "likeness_shares": likeness.shares,
        "likeness_apart": likeness.apart,
    }
    return environment


def _charts(summary: Summary) -> tuple[svg.Chart, ...]:
    grid = summary.grid
    axis = svg.Axis(
        width_s=grid.width_us / 1e6, count=grid.count, planned_s=summary.manifest.duration_s
    )
    latency, pool_wait = (
        [
            svg.Plotted(name=one.name, tone=_LINE_TONES[one.name], values=one.values)
            for one in series
        ]
        for series in (summary.ordinary_ms, summary.pool_wait_ms)
    )
    others = "other than the boosted ones, " if summary.manifest.boosted else ""
    return (
        svg.stacked(
            "Sessions by what they wait for",
            "Average number of server sessions at work or waiting, sampled ten times a second.",
            axis,
            _stack(summary.waits),
            lambda value: f"{value:.1f}",
        ),
        svg.lines(
            "Latency of transactions, from due",
            f"Transactions {others}by the moment they were due; the wait for a connection is in it.",
            axis,
            latency,
            wording.ms,
            wording.objective_ms(summary.manifest),
        ),
        svg.lines(
            "Wait for a connection",
            f"All transactions, {wording.pool(summary.manifest)}.",
            axis,
            pool_wait,
            wording.ms,
        ),
    )


def _stack(bands: Sequence[Band]) -> list[svg.Plotted]:
    """Bands from the bottom up; within a kind the shades go from strong to pale."""
    plotted = []
    for kind in _STACK:
        mine = [band for band in bands if band.kind == kind]
        plotted += [
            svg.Plotted(name=band.name, tone=f"{kind}-{min(number, 3)}", values=band.sessions)
            for number, band in enumerate(mine, start=1)
        ]
    return plotted


def _pretty_sql(sql: str) -> str:
    """SQL broken into lines for reading."""
    return str(sqlparse.format(sql, reindent=True, keyword_case="upper", wrap_after=80))
