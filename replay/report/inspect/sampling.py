"""What was kept, what was passed over, and what the server's own settings left out of the log."""

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from replay.report import wording
from replay.report.inspect.mix import Mix
from replay.report.tables import figures_table, headed
from replay.workload import Workload

_SETTINGS = (
    "log_min_duration_statement",
    "log_statement",
    "log_duration",
    "log_transaction_sample_rate",
    "log_min_duration_sample",
    "log_statement_sample_rate",
    "log_parameter_max_length",
    "log_lock_waits",
    "deadlock_timeout",
    "track_activity_query_size",
)


def sections(workload: Workload, mixed: Mix) -> Iterable[RenderableType]:
    """Sampling and weights; what was passed over, and why."""
    yield headed("Sampling", *map(Text, _kept(workload, mixed)), Text(_logged(workload)))
    yield headed("Passed over", *_skipped(workload), *notes(workload))


def warnings(workload: Workload) -> Iterable[RenderableType]:
    """What was passed over and what to know, in lines of their own."""
    for skip in workload.manifest.skipped:
        told = f"passed over {skip.count:,}: {skip.reason} (first: {skip.first})"
        yield Text(told, style="yellow")
    yield from notes(workload)


def notes(workload: Workload) -> Iterable[RenderableType]:
    """What a reader should know of the capture."""
    return (Text(note, style="yellow") for note in workload.manifest.notes)


def figures(workload: Workload) -> dict[str, Any]:
    """Sampling and weights as they stand in the document of `--json`."""
    manifest = workload.manifest
    weights = [transaction.weight for transaction in workload.transactions]
    settings = manifest.source.settings
    return {
        "per_stratum": manifest.per_stratum,
        "seed": manifest.seed,
        "kept": len(weights),
        "share": len(weights) / max(manifest.transactions, 1),
        "weights": {
            "least": min(weights, default=0.0),
            "most": max(weights, default=0.0),
            "sum": sum(weights),
        },
        "settings": {name: settings[name] for name in _SETTINGS if name in settings},
    }


def _kept(workload: Workload, mixed: Mix) -> Iterable[str]:
    manifest, facts = workload.manifest, figures(workload)
    if not mixed.logged:
        yield (
            "nothing was sampled: transactions are single statements, drawn up from what "
            "pg_stat_statements counted"
        )
        return
    share = wording.share(facts["share"])
    yield (
        f"{facts['kept']:,} of {manifest.transactions:,} transactions are kept whole ({share}): of "
        f"every template, error and moment {manifest.per_stratum}, or all there are"
    )
    if facts["kept"]:
        least, most, whole = (
            wording.figure(facts["weights"][name]) for name in ("least", "most", "sum")
        )
        yield f"each stands for {least} to {most} of production's, all of them for {whole}"


def _logged(workload: Workload) -> str:
    settings = figures(workload)["settings"]
    told = ", ".join(f"{name}={value}" for name, value in settings.items())
    return f"the server logs with {told}" if told else "what the server logs is not known"


def _skipped(workload: Workload) -> Iterable[RenderableType]:
    if not workload.manifest.skipped:
        yield Text("nothing", style="dim")
        return
    table = figures_table("reason", "records", "first")
    for skip in workload.manifest.skipped:
        table.add_row(Text(skip.reason), f"{skip.count:,}", Text(skip.first))
    yield table
