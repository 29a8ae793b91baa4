"""`replay capture`: production's logs and statistics become a workload."""

from pathlib import Path

import click

from replay.cli import options, output
from replay.cli.keys import keep, read_or_draw
from replay.errors import INTERRUPTED_EXIT_CODE


@click.command(
    name="capture",
    short_help="Turn production's logs into a workload.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        'replay capture /var/log/postgresql/*.json --stats "$REPLAY_SOURCE" -o shop.workload',
        'replay capture --stats "$REPLAY_SOURCE" -o shop.workload',
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
    "--between",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="FIRST LAST",
    help="Two files of replay snapshot: of pg_stat_statements, take what was counted between them.",
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
    help="Transactions to keep of every template, time slice, error and shape.",
)
@options.seed("the sample")
@options.as_json
def command(
    logs: tuple[Path, ...],
    out: Path,
    stats: str | None,
    between: tuple[Path, Path] | None,
    key_file: Path | None,
    per_stratum: int,
    seed: int,
    as_json: bool,
) -> int:
    """Turn production's LOGs (jsonlog) into a workload: exact counts, whole kept transactions.

    Values are scrubbed on the way: they reach the workload only as keyed tokens. The key stays
    with you and is never written into the workload.

    Without a LOG the workload is what pg_stat_statements counted (--stats, or --between with it):
    exact counts, each statement a transaction of its own, values from the columns' statistics.
    """
    if not logs and stats is None and between is None:
        raise click.UsageError("name the LOGs to read, or --stats DSN to do without a log")
    from replay.conduct.prepare import capture_workload
    from replay.report.inspect import as_json as document
    from replay.report.inspect import text, views

    key, path = read_or_draw(key_file, out)
    with output.progress("reading") as tell:
        captured = capture_workload(
            logs,
            out,
            stats_dsn=stats,
            key=key,
            seed=seed,
            per_stratum=per_stratum,
            between=between,
            progress=lambda done, total: tell("", done, total),
        )
    keep(key, path)
    workload = captured.workload
    rare = views.chosen(workload, rare=True, template=None)
    if as_json:
        output.print_document(document.document(workload, workload.templates))
    else:
        text.write(workload, rare, output.stdout())
    output.say(f"wrote {out}; the scrub key is {path}, keep it to yourself")
    return INTERRUPTED_EXIT_CODE if captured.interrupted else 0
