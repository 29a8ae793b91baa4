"""`replay capture`: production's logs and statistics become a workload."""

import gc
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output, requests, selection
from replay.cli.keys import keep, read_or_draw
from replay.errors import INTERRUPTED_EXIT_CODE

if TYPE_CHECKING:
    from replay.workload import Workload

_SHARED = ("window", "seed", "per_stratum", "everything", "keep_values")  # with requests
_TOP = 20  # rare templates that are shown; replay inspect --rare shows all


@click.command(
    name="capture",
    short_help="Turn production's logs into a workload.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        'replay capture /var/log/postgresql/*.json --stats "$REPLAY_SOURCE" -o shop.workload',
        'replay capture --stats "$REPLAY_SOURCE" --for 10m -o shop.workload',
        "replay capture app.json --all --window 2026-03-01T12:00 2026-03-01T12:10 -o noon.workload",
    ),
)
@click.argument("logs", nargs=-1, type=click.Path(path_type=Path), metavar="[LOG...]")
@options.out("workload", "NAME.workload")
@click.option(
    "--stats",
    envvar="REPLAY_SOURCE",
    show_envvar=True,
    metavar="DSN",
    help="Production, read only: its schema, statistics and pg_stat_statements. "
    "Without it the workload can be inspected, but no staging data generated from it.",
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="In the place of --stats: what psql wrote when a DBA ran the script of replay profile.",
)
@click.option(
    "--for",
    "follow_s",
    type=options.LENGTH,
    metavar="TIME",
    help="Of pg_stat_statements at --stats, take what is counted from now on for so long: 90s, 10m, "
    "2h. Its sessions are looked at once a second meanwhile. Ctrl-C ends the wait, and what was seen "
    "until then is captured.",
)
@click.option(
    "--between",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="FIRST LAST",
    help="Two files of replay snapshot: of pg_stat_statements, take what was counted between them.",
)
@click.option(
    "--plans",
    type=click.Choice(["values", "generic"]),
    help="Of --stats, take the shapes of production's plans too, for replay verify to compare: EXPLAIN "
    "alone, with the values of a few kept executions or (from PostgreSQL 16 on) generic.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Key by which values are scrubbed; made where absent. Two captures with one key give one "
    "value the same token.  [default: NAME.workload.key beside the workload]",
)
@click.option(
    "--per-stratum",
    default=64,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="K",
    help="Transactions to keep of every template and error.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Keep every transaction and request instead of a sample, so that the workload can be replayed "
    "as recorded. Takes room as the log does: name a --window.",
)
@click.option(
    "--keep-values",
    is_flag=True,
    help="Keep production's values as they are: the workload is then as confidential as "
    "production's data. Recorded in the workload.",
)
@click.option(
    "--jobs",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that read the log; what comes out is the same.",
)
@selection.options
@requests.options
@options.seed("the sample")
@options.as_json
def command(
    logs: tuple[Path, ...],
    out: Path,
    stats: str | None,
    profile: Path | None,
    follow_s: float | None,
    between: tuple[Path, Path] | None,
    plans: str | None,
    key_file: Path | None,
    http: tuple[Path, ...],
    http_format: str,
    routes: tuple[Path, ...],
    as_json: bool,
    **chosen: Any,
) -> int:
    """Turn production's LOGs into a workload: exact counts, whole kept transactions.

    A LOG is a file, a directory, a quoted pattern or - for standard input: csvlog, jsonlog, stderr
    with any log_line_prefix, or a cloud's export of them, packed or plain; what it is, is found by
    its content. Several are read in the order of their time.

    Values are scrubbed on the way: they reach the workload only as keyed tokens. The key stays
    with you and is never written into the workload.

    --http adds the requests of the service before the database, by route.

    Without a LOG the workload is what pg_stat_statements counted (--stats or --profile, and of it
    what --for or --between limit it to):
    exact counts, each statement a transaction of its own, values from the columns' statistics.
    """
    stats = _source(stats, profile)
    if not (logs or http or between) and stats is None and profile is None:
        raise click.UsageError("name the LOGs to read, or --stats DSN to do without a log")
    if chosen["everything"] and not (logs or http):
        raise click.UsageError("--all keeps what a log tells: name the LOGs to read")
    if follow_s is not None and (stats is None or between is not None):
        raise click.UsageError("--for needs --stats DSN, and excludes --between and --profile")
    stage = _loaded(of_requests=bool(http))
    from replay.capture import warm
    from replay.capture.memory import give_back

    shared = {name: chosen[name] for name in _SHARED}
    asked = requests.chosen(http, http_format, routes, **shared)
    key, path = read_or_draw(key_file, out)
    if (logs and warm.is_due()) or (http and warm.is_due(requests=True)):
        output.say(warm.in_words())
    if follow_s is not None:
        output.say(
            f"following pg_stat_statements for {follow_s:g} s; Ctrl-C captures what is there"
        )
    shown: list[str] = []

    def see(workload: "Workload") -> None:
        # A hundred thousand templates are not held in memory twice: they are read back at the end.
        if isinstance(workload.templates, tuple) and workload.templates and not as_json:
            shown.append(_shown(workload))

    with output.progress("reading", in_bytes=True) as tell:
        captured = stage.capture_workload(
            logs,
            out,
            stats_dsn=stats,
            profile=profile,
            follow_s=follow_s,
            key=key,
            plans=plans,
            options=selection.chosen(**chosen),
            between=between,
            progress=tell,
            saved=lambda: keep(key, path),
            requests=asked,
            seen=see,
        )
    keep(key, path)
    interrupted = captured.interrupted
    if logs and not shown:
        del captured  # what it was made of takes room
        give_back()
    _tell(out, shown, as_json=as_json)
    output.say(f"wrote {out}; the scrub key is {path}, keep it to yourself")
    return INTERRUPTED_EXIT_CODE if interrupted else 0


def _loaded(*, of_requests: bool) -> ModuleType:
    """What captures: as it stays until the end, no collection of garbage need look at it, now or later."""
    gc.disable()
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # numpy starts threads else, for no work here
    from replay.conduct import capturing

    if of_requests:
        import_module("replay.capture.requests.stage")
    gc.freeze()
    gc.enable()
    return capturing


def _tell(out: Path, shown: Sequence[str], *, as_json: bool) -> None:
    from replay import bundle

    requests_read = bundle.read_requests(out, kept=False)
    if as_json:
        from replay.report.inspect import as_json as document

        workload = bundle.read(out)
        output.print_document(document.document(workload, workload.templates, requests_read))
        return
    if not shown:
        workload = bundle.read_mix(out)
        if workload.templates or requests_read is None:
            shown = [_shown(workload)]
    print("".join(shown), end="")
    if requests_read is not None:
        from replay.report.inspect import routes

        routes.write(requests_read, output.stdout(), top=_TOP)


def _shown(workload: "Workload") -> str:
    """What a person is shown of a workload but for its requests."""
    from replay.report.inspect import text, views

    console = output.stdout()
    with console.capture() as told:
        text.write(workload, views.chosen(workload, rare=True, template=None), console, top=_TOP)
    return told.get()


def _source(stats: str | None, profile: Path | None) -> str | None:
    """The DSN to ask; a profile's file takes the place of one that only the environment names."""
    if profile is None or stats is None:
        return stats
    given = click.get_current_context().get_parameter_source("stats")
    if given is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--profile FILE stands in the place of --stats DSN: give one of them"
        )
    return None
