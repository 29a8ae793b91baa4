"""`replay report`: a run for people and for programs."""

import sys
from pathlib import Path

import click

from replay.cli import options, output
from replay.errors import InputError


@click.command(
    name="report",
    short_help="Tell what happened in a run.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        "replay report storm.run --html storm.html",
        "replay report storm.run base.run fixed.run",
    ),
)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--html",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    metavar="FILE",
    help="Also write one HTML page that needs no network and no other file; - is stdout.",
)
@click.option(
    "--workload",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The workload that was replayed, for the rare paths' coverage.  [default: the one beside "
    "the run, where it is there]",
)
@options.as_json
def command(
    runs: tuple[Path, ...], html: Path | None, workload: Path | None, as_json: bool
) -> None:
    """Tell what happened in a RUN; further runs are set beside the first.

    The exit code says whether the report could be made, not how the run went.
    """
    from replay.conduct.salvage import salvage
    from replay.hunt.notebook import FILE as HUNT
    from replay.report import as_json as document
    from replay.report import html as page
    from replay.report import text
    from replay.report.summary import summarise

    to_stdout = html == Path("-")
    if as_json and to_stdout:
        raise click.UsageError("--json and --html - would both print on stdout; name a file")
    for run in runs:
        if (run / HUNT).is_file():
            raise InputError(
                f"{run}: is a hunt; report one of its trials, such as {run / 'trial-000.run'}"
            )
        if salvage(run):
            output.say(
                f"{run}: its command came to no end; brought in what its workers had recorded"
            )
    summary = summarise(runs, workload)
    if to_stdout:
        sys.stdout.write(page.render(summary))
        return
    if html is not None:
        output.write_whole(html, page.render(summary))
        output.say(f"wrote {html}")
    if as_json:
        output.print_document(document.document(summary))
    else:
        text.write(summary, output.stdout())
