"""`replay hunt`: which path breaks staging, and at what multiple of production's peak."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output
from replay.errors import NotValidError

if TYPE_CHECKING:
    from replay.hunt.result import Hunted
    from replay.workload import Workload

_SHOWN = 15  # predictions, for people


@click.command(
    name="hunt",
    short_help="Find which path breaks it, and when.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        'replay hunt shop.workload --target "$REPLAY_TARGET" -o h.run',
        'replay hunt shop.workload --target "$REPLAY_TARGET" --budget 10m --confirm 5 -o h.run',
    ),
)
@options.directory("workload")
@options.target(required=False)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="NAME.run",
    help="Directory for the hunt and its trials. An unfinished hunt of the same workload and target "
    "there is gone on with.",
)
@click.option(
    "--budget",
    "budget_s",
    type=options.LENGTH,
    default=1500.0,
    metavar="TIME",
    help="How long it may take in all: 90s, 10m, 1h. What is not confirmed by then stays predicted. "
    " [default: 25m]",
)
@click.option(
    "--confirm",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Paths to confirm by load, those first of which the model expects the least.",
)
@click.option(
    "--trial",
    "trial_s",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=3.0),
    metavar="SECONDS",
    help="How long the load of one trial lasts.",
)
@click.option(
    "--pool",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Connections that the transactions share, as the service's pool has.",
)
@click.option(
    "--cores",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Cores of the server, for the model.  [default: as many as here]",
)
@options.objective
@click.option("--rate-only", is_flag=True, help="Turn no other dial than the rate.")
@options.seed("arrivals and values")
@options.as_json
def command(workload: Path, target: str | None, out: Path, as_json: bool, **chosen: Any) -> int:
    """Hunt for the path of a WORKLOAD that breaks staging, and at what multiple of its peak.

    Each path is run alone, a model predicts where it collapses, and the worst are confirmed by
    load: doubled until it breaks, then halved to the knee. Pairs that lock the same rows, deadlocks
    that the order of locks allows, all rare paths at once, and other dials than the rate
    (simultaneity, idle time, lists, plans, sessions) are tried too. Stopped, it goes on where it
    was. The exit code is 3 where not even production's own mix could be judged here.
    """
    from replay import bundle
    from replay.hunt.hunt import HuntOptions, hunt

    hunted = hunt(workload, target, out, HuntOptions(**chosen), say=output.say)
    if as_json:
        output.print_document(_document(hunted, bundle.read(workload)))
    else:
        _print(hunted, bundle.read(workload))
    output.say(f"wrote {out}; of a trial that broke: replay report {out}/trial-NNN.run")
    return 0 if hunted.valid else NotValidError.exit_code


def _print(hunted: "Hunted", workload: "Workload") -> None:
    from replay.hunt.result import in_words

    console = output.stdout()
    sql = {template.id: template.sql for template in workload.templates}
    for one in hunted.confirmed:
        console.print(in_words(one), markup=False)
        for template in one.templates[:3]:
            console.print(f"    {template}  {sql.get(template, '')[:100]}", markup=False)
        for fix in one.finding.fixes if one.finding and one.breaks_x else ():
            console.print(f"    fix: {fix.sql or fix.why}", markup=False)
    for candidate in hunted.candidates:
        console.print(
            f"could deadlock ({candidate.kind}): {' and '.join(candidate.paths)}; {candidate.why}",
            markup=False,
        )
    for template in hunted.leaks:
        console.print(f"leaves a session's lock behind: {template}", markup=False)
    console.print("predicted headroom, as a multiple of production's peak:", markup=False)
    for prediction in hunted.predicted[:_SHOWN]:
        first = prediction.templates[0]
        console.print(
            f"  {prediction.headroom_x:>9,.1f}x  {first}  by {prediction.limit}: {prediction.why}",
            markup=False,
        )


def _document(hunted: "Hunted", workload: "Workload") -> dict[str, Any]:
    import msgspec

    from replay.documents import JSON_VERSION

    known = {template.id: template for template in workload.templates}
    executions = max(workload.manifest.executions, 1)

    def named(templates: tuple[str, ...]) -> list[dict[str, Any]]:
        found = ((name, known.get(name)) for name in templates)
        return [
            {"id": name, "sql": t.sql if t else "", "share": t.calls / executions if t else 0.0}
            for name, t in found
        ]

    findings = [one.finding for one in hunted.confirmed if one.finding]
    return {
        "version": JSON_VERSION,
        "complete": hunted.complete,
        "valid": hunted.valid,
        "why_not": list(hunted.why_not),
        "trials": hunted.trials,
        "elapsed_s": hunted.elapsed_s,
        "findings": msgspec.to_builtins(list({f.summary: f for f in findings}.values())),
        "confirmed": [
            {**msgspec.to_builtins(one), "templates": named(one.templates)}
            for one in hunted.confirmed
        ],
        "predicted": [
            {**msgspec.to_builtins(one), "templates": named(one.templates)}
            for one in hunted.predicted
        ],
        "deadlock_candidates": msgspec.to_builtins(hunted.candidates),
        "leaks": list(hunted.leaks),
        "failing_alone": [{"template": t, "sqlstate": s} for t, s in hunted.failing],
    }
