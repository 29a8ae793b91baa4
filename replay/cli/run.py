"""`replay run`: replay a workload against staging, and say what broke it."""

from pathlib import Path
from typing import Any

import click

from replay.cli import options, output, service
from replay.errors import InputError, NotValidError
from replay.load.options import DURATION_S, DURATIONS_S, SCENARIOS

ARRIVALS = ("poisson", "curve")
THINK = ("scale", "keep", "none")


def _boosts(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, float]:
    """Template -> factor, from TEMPLATE=FACTOR."""
    boosts = {}
    for text in given:
        template, _, factor = text.rpartition("=")
        try:
            boosts[template.strip()] = times = float(factor)
        except ValueError:
            times = 0.0
        if not template.strip() or not 0 < times < float("inf"):
            raise click.BadParameter(f"{text!r} is not TEMPLATE=FACTOR, for example rare=50")
    return boosts


@click.command(
    name="run",
    short_help="Replay a workload against staging.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        'replay run shop.workload --target "$REPLAY_TARGET" -o base.run',
        "replay run shop.workload --scenario storm --boost rare=50 -o storm.run",
        "replay run shop.workload --scenario ramp --from 1 --factor 2 -o ramp.run",
        "replay run noon.workload --scenario as_recorded --speed 2 -o noon.run",
        "replay run shop.workload --during release.sql --at 20s --duration 1m -o release.run",
    ),
)
@options.directory("workload")
@options.target(required=False)
@options.out("run", "NAME.run")
@click.option(
    "--scenario",
    type=click.Choice(SCENARIOS),
    default="mix",
    show_default=True,
    help="mix: transactions arrive at production's rates; storm: with chosen ones at a raised rate; "
    "ramp: stepped up until the target no longer bears it; "
    "as_recorded: every session and transaction at its time (of a workload of capture --all).",
)
@click.option(
    "--boost",
    "boosts",
    multiple=True,
    callback=_boosts,
    metavar="TEMPLATE=FACTOR",
    help="With storm: raise a template (its id, the beginning of it, or rare for every rare one; with "
    "--service also a route, as 'GET /tasks/{id}') to FACTOR times its rate. May be given several times.",
)
@options.above(
    0,
    "--rate",
    default=1.0,
    metavar="X",
    help="Rate of all transactions, as a multiple of production's.",
)
@click.option(
    "--arrivals",
    type=click.Choice(ARRIVALS),
    default="poisson",
    show_default=True,
    help="With mix and storm: at production's mean rates, or by its curve, minute by minute, spread "
    "over the duration.",
)
@click.option(
    "--burst",
    "burst_s",
    type=options.LENGTH,
    metavar="TIME",
    help="With storm: boosts are in force only for so long, at the end of each --every.",
)
@click.option(
    "--every",
    "every_s",
    type=options.LENGTH,
    metavar="TIME",
    help="With --burst: from one burst to the next.",
)
@options.above(
    0,
    "--from",
    "first",
    default=0.5,
    metavar="X",
    help="With ramp: rate of the first step, as a multiple of production's.",
)
@options.above(
    1,
    "--factor",
    default=1.5,
    metavar="X",
    help="With ramp: rate of each step, as a multiple of the one before.",
)
@click.option(
    "--step",
    "step_s",
    default="10s",
    show_default=True,
    type=options.LENGTH,
    metavar="TIME",
    help="With ramp: length of a step.",
)
@options.above(
    0,
    "--speed",
    default=1.0,
    metavar="X",
    help="With as_recorded: how fast time runs; 0.5 is half as fast as in production.",
)
@click.option(
    "--think",
    type=click.Choice(THINK),
    default="scale",
    show_default=True,
    help="With as_recorded: the client's own time between and inside transactions runs at --speed, "
    "or is kept as it was, or left out.",
)
@click.option(
    "--order",
    type=click.Choice(("commit",)),
    help="With as_recorded: transactions that wrote the same keys commit in production's order, as "
    "far as the keys are known (needs --stats at the capture).",
)
@click.option(
    "--duration",
    "duration_s",
    type=options.LENGTH,
    metavar="TIME",
    help="How long transactions arrive: 90s, 10m, 2h.  [default: 20s; of a ramp, 2m; of a recording, all of it]",
)
@click.option(
    "--pool",
    type=click.IntRange(min=1),
    metavar="N",
    help="Connections that the transactions share, as the service's pool has; with --service, that its "
    "clients have open at once. Not with as_recorded: it has production's own sessions.  [default: 20; of clients, 200]",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that drive the load and share the pool; one drives some 10,000 statements a "
    "second, and more than one pays where there are cores to spare.",
)
@click.option(
    "--pool-timeout-ms",
    default=5000,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="MS",
    help="How long a transaction waits for a connection of the pool before it is given up.",
)
@click.option(
    "--statement-timeout-ms",
    default=30_000,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="MS",
    help="Statement timeout of the replaying sessions.",
)
@click.option(
    "--retry",
    "retries",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Begin a transaction again, up to so many times, after a serialization failure or a "
    "deadlock, as the service does. Each failure is counted.",
)
@options.objective
@service.options
@options.bind
@click.option(
    "--during",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE.sql",
    help="Run a release's migration in the middle of the load, on a connection of its own, as psql "
    "would: the run tells how long each statement took, what it waited for, what it blocked, and "
    "when the load had recovered.",
)
@click.option(
    "--at",
    "at_s",
    type=options.LENGTH,
    metavar="TIME",
    help="When the migration begins: 20s, 1m.  [default: after a third of the duration]",
)
@click.option(
    "--repeat",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Run the migration so many times, each --at after the end of the one before.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="The target's log, as this machine sees it.  [default: what the server names, where it can "
    "be read]",
)
@options.seed("arrivals and values")
@options.as_json
def command(
    workload: Path,
    target: str | None,
    out: Path,
    boosts: dict[str, float],
    duration_s: float | None,
    bind: str,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Replay a WORKLOAD against staging, watch the server, and name what did it.

    A run that is stopped early is kept and says what it lacks. The exit code is 3 where the run
    cannot be believed; a run that found trouble is a good run, and exits 0.
    """
    if target is None and bind == "identity":
        raise InputError("--bind identity needs a restored copy: name it with --target")
    if target is None and chosen["service"]:
        raise InputError("--service needs --target: the database behind it, to be watched")

    from replay.conduct.bake import RunOptions
    from replay.conduct.run import run
    from replay.report import as_json as document
    from replay.report import text
    from replay.report.summary import summarise

    if duration_s is None:
        duration_s = DURATIONS_S.get(chosen["scenario"], DURATION_S)
    settings = RunOptions(
        boosts=boosts, duration_s=duration_s, identity=bind == "identity", **chosen
    )
    manifest = run(workload, target, out, settings, say=output.say, progress=output.progress)
    summary = summarise([out], workload)
    if as_json:
        output.print_document(document.document(summary))
    else:
        text.write_brief(summary, output.stdout())
    output.say(f"wrote {out}; for all of it: replay report {out} --html report.html")
    return 0 if manifest.valid else NotValidError.exit_code
