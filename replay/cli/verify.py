"""`replay verify`: generated data against what was captured."""

from pathlib import Path

import click

from replay.cli import options, output


@click.command(
    name="verify",
    short_help="Compare generated data with what was captured.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        'replay verify shop.workload --target "$REPLAY_TARGET"',
        'replay verify shop.workload --target "$REPLAY_TARGET" --into base.run',
    ),
)
@options.directory("workload")
@options.target(required=True)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Also put the result into a run's directory, for replay report to show.",
)
@click.option("--all", "everything", is_flag=True, help="All templates that do other work, not 20.")
@options.seed("the bound values")
@options.as_json
def command(
    workload: Path, target: str, into: Path | None, everything: bool, seed: int, as_json: bool
) -> None:
    """Compare the data that replay generate made of a WORKLOAD with production, figure by figure.

    Tables: rows, pages, widths, NULLs, distinct and common values, histograms, correlation, children
    of each parent. Templates: some kept executions are bound and really run, in transactions that are
    rolled back; rows a call against pg_stat_statements, plans against those of capture --plans.
    """
    from replay import rundir
    from replay.conduct.verify import verify
    from replay.report import likeness

    found = verify(workload, target, seed=seed)
    if into is not None:
        rundir.write_verification(into, found)
    if as_json:
        output.print_document(likeness.document(found))
    else:
        likeness.write(found, output.stdout(), **({"top": None} if everything else {}))
