"""How like production the generated data is: the same lines on a terminal, in a document, on the page."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from data_gen.verify import Check
from replay.documents import JSON_VERSION
from replay.report.tables import figures_table, headed
from replay.verification import TemplateCheck, Verification

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """All checks of one figure: how many hold, and the worst."""

    figure: str
    checks: int
    hold: int
    mean_error: float
    limit: float
    worst: Check


def lines(verification: Verification) -> tuple[Line, ...]:
    """A line for each figure of tables, in the order in which they were compared."""
    groups: dict[str, list[Check]] = defaultdict(list)
    for check in verification.tables:
        groups[check.figure].append(check)
    return tuple(
        Line(
            figure=figure,
            checks=len(checks),
            hold=sum(check.holds for check in checks),
            mean_error=sum(check.error for check in checks) / len(checks),
            limit=checks[0].limit,
            worst=max(checks, key=lambda check: check.error),
        )
        for figure, checks in groups.items()
    )


def apart(verification: Verification) -> tuple[TemplateCheck, ...]:
    """Templates that do other work than in production, most called first."""
    return tuple(
        one
        for one in verification.templates
        if one.errors or one.rows_alike is False or (one.plans_equal or 1.0) < 1
    )


def shares(verification: Verification) -> tuple[tuple[str, str], ...]:
    """What the templates show in sum, as (name, value)."""
    found = [
        ("rows a call within 2×, by calls", verification.rows_share),
        ("production's plans, by calls", verification.plans_share),
        ("calls of templates that fail here alone", verification.errors_share),
    ]
    return tuple((name, "not known" if n is None else f"{n:.1%}") for name, n in found)


def document(verification: Verification) -> dict[str, Any]:
    """The document of a verification: every check, and every template."""
    return {
        "version": JSON_VERSION,
        "workload_id": verification.workload_id,
        "scale": verification.scale,
        "rows_share": verification.rows_share,
        "plans_share": verification.plans_share,
        "errors_share": verification.errors_share,
        "tables": [
            {**msgspec.to_builtins(check), "holds": check.holds} for check in verification.tables
        ],
        "templates": [
            {**msgspec.to_builtins(one), "rows_alike": one.rows_alike}
            for one in verification.templates
        ],
    }


def write(verification: Verification, console: Console, *, top: int | None = _SHOWN) -> None:
    """Print the figures of tables, the templates' shares, and what is apart."""
    table = figures_table(
        "figure", "checked", "hold", "mean error", "limit", "worst", "captured", "here"
    )
    for line in lines(verification):
        table.add_row(
            Text(line.figure), *_cells(line), style=None if line.hold == line.checks else "yellow"
        )
    console.print(headed("Tables", table))
    for name, value in shares(verification):
        console.print(Text.assemble((f"{name:<44}", "dim"), value))
    found = apart(verification)
    if found:
        console.print(
            headed(f"Templates that do other work here: {len(found)}", _templates(found, top))
        )
    if verification.scale < 1:
        console.print(
            f"At scale {verification.scale:g} plans and rows differ from production's: data of a tenth "
            "keeps about nine plans in ten."
        )


def _cells(line: Line) -> Iterable[str]:
    worst = line.worst
    yield from (f"{line.checks:,}", f"{line.hold:,}", f"{line.mean_error:.3f}", f"{line.limit:g}")
    yield from (
        f"{worst.subject} {worst.error:.3f}",
        f"{worst.captured:,.4g}",
        f"{worst.generated:,.4g}",
    )


def _templates(found: Sequence[TemplateCheck], top: int | None) -> Any:
    table = figures_table("template", "calls", "rows a call", "here", "plans", "errors")
    for one in found[:top]:
        table.add_row(
            Text(f"{one.id[:8]} {one.sql}", no_wrap=True, overflow="ellipsis"),
            f"{one.calls:,}",
            *(_number(rows) for rows in (one.rows_captured, one.rows_generated)),
            "" if one.plans_equal is None else f"{one.plans_equal:.0%}",
            ", ".join(f"{state} × {count}" for state, count in one.errors),
        )
    return table


def _number(rows: float | None) -> str:
    return "" if rows is None else f"{rows:,.1f}"
