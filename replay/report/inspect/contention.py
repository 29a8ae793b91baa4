"""Errors, lock waits and deadlocks of production on a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from replay.report import wording
from replay.report.inspect import locks
from replay.report.inspect.listing import Line, listing, outline
from replay.report.inspect.mix import Mix
from replay.report.tables import headed
from replay.workload import Conflict, Template, Workload

_NO_LOG = "not known: no log was read"
Group = tuple[Line, Sequence[Line]]


def sections(
    workload: Workload, mixed: Mix, width: int, top: int | None
) -> Iterable[RenderableType]:
    """Errors by SQLSTATE and template, and who waited or failed for a lock."""
    errors = _errors(workload.templates)
    silent = Text("none" if mixed.logged else _NO_LOG, style="dim")
    total = sum(template.errors for template in workload.templates)
    title = f"Errors by SQLSTATE: {total:,}" if errors else "Errors by SQLSTATE"
    yield headed(title, error_table(errors, mixed, width, top) if errors else silent)
    tables = lock_tables(workload.conflicts, mixed, width, top)
    quiet = _silence(workload) if mixed.logged else silent
    yield headed("Locks and deadlocks of production", *(tables or [quiet]))


def error_table(
    errors: Sequence[tuple[Template, str, int]], mixed: Mix, width: int, top: int | None
) -> RenderableType:
    """SQLSTATEs, the most frequent first, and under each the templates that failed with it."""
    by_state: dict[str, list[tuple[Template, int]]] = {}
    for template, state, count in errors:
        by_state.setdefault(state, []).append((template, count))
    totals = {state: sum(count for _, count in found) for state, found in by_state.items()}
    groups = [
        (
            _headline(f"{state} {state_name(state)}".rstrip(), "red", f"{totals[state]:,}", ""),
            [
                _line(template.id, mixed, f"{count:,}", wording.percent(count / template.calls))
                for template, count in by_state[state]
            ],
        )
        for state in sorted(by_state, key=lambda state: -totals[state])
    ]
    return _outlined(("SQLSTATE, and templates", "failed", "% of its calls"), groups, width, top)


def lock_tables(
    conflicts: Sequence[Conflict], mixed: Mix, width: int, top: int | None
) -> list[RenderableType]:
    """Waits, deadlocks, other failures; empty where the log told of none."""
    parts: dict[tuple[str, ...], list[Group]] = {
        ("waited for", "times", "got it", "mean", "longest", "queue"): _waits(conflicts, mixed),
        ("deadlocks", "times", "failed"): _deadlocks(conflicts, mixed),
        ("did not get its lock", "times"): _failures(conflicts, mixed),
    }
    tables = [_outlined(heads, groups, width, top) for heads, groups in parts.items() if groups]
    return [part for table in tables for part in ("", table)][1:]


def state_name(sqlstate: str) -> str:
    """PostgreSQL's name of a SQLSTATE; empty for one of the application's own."""
    import psycopg  # noqa: PLC0415 - a driver for the sake of names: where there are errors only

    try:
        name = psycopg.errors.lookup(sqlstate).__name__
    except KeyError:
        return ""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _errors(templates: Sequence[Template]) -> list[tuple[Template, str, int]]:
    found = [
        (template, state, count) for template in templates for state, count in template.error_states
    ]
    return sorted(found, key=lambda one: (-one[2], one[1], one[0].id))


def _waits(conflicts: Sequence[Conflict], mixed: Mix) -> list[Group]:
    """What was waited for, and under it the templates that waited."""
    return [
        (
            _headline(waits.what, "yellow", *_wait(waits.all)),
            [_line(one.template, mixed, *_wait(one)) for one in waits.by_template],
        )
        for waits in locks.waits(conflicts, mixed.tables)
    ]


def _wait(one: locks.Wait) -> tuple[str, ...]:
    return (
        f"{one.waits:,}",
        f"{one.ended:,}",
        wording.ms(one.mean_ms),
        wording.ms(one.longest_ms),
        f"{one.queued:,}" if one.queued else "–",
    )


def _deadlocks(conflicts: Sequence[Conflict], mixed: Mix) -> list[Group]:
    return [
        (
            _headline("among these", "red", f"{deadlock.count:,}", ""),
            [
                _line(template, mixed, "", f"{failed:,}" if failed else "–")
                for template, failed in deadlock.failed
            ],
        )
        for deadlock in locks.deadlocks(conflicts)
    ]


def _failures(conflicts: Sequence[Conflict], mixed: Mix) -> list[Group]:
    grouped: dict[str, list[locks.Failed]] = {}
    for one in locks.failed(conflicts, mixed.tables):
        grouped.setdefault(f"{one.how}: {one.what}" if one.what else one.how, []).append(one)
    return [
        (
            _headline(how, "yellow", f"{sum(one.count for one in found):,}"),
            [_line(one.template, mixed, f"{one.count:,}") for one in found],
        )
        for how, found in grouped.items()
    ]


def _outlined(
    heads: Sequence[str], groups: Sequence[Group], width: int, top: int | None
) -> RenderableType:
    lines, more = outline(groups, top)
    return listing(heads, lines, width=width, more=more)


def _headline(text: str, style: str, *figures: str) -> Line:
    return Line(name="", text=text, figures=figures, style=style)


def _line(template: str, mixed: Mix, *figures: str) -> Line:
    known = mixed.by_id.get(template)
    if known is not None:
        text = known.sql
    else:
        text = "(no template of the workload)" if template else "(not told which)"
    return Line(name=template[: mixed.digits], text=text, figures=figures)


def _silence(workload: Workload) -> Text:
    logged = workload.manifest.source.settings.get("log_lock_waits", "")
    told = {
        "on": "none: nobody waited longer than deadlock_timeout",
        "off": "none in the log, and log_lock_waits is off: waits are not known",
    }
    return Text(told.get(logged, "none in the log (log_lock_waits tells of waits)"), style="dim")
