"""`replay inspect`: what a workload holds."""

from pathlib import Path

import click

from replay.cli import options, output


@click.command(
    name="inspect",
    short_help="Show what a workload holds.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        "replay inspect shop.workload --rare",
        "replay inspect shop.workload --template 5e1ea5e0",
    ),
)
@options.directory("workload")
@click.option("--rare", is_flag=True, help="Only the rare templates, fewest calls first.")
@click.option(
    "--template", metavar="ID", help="One template whole, by its id or the beginning of it."
)
@click.option("--scrubbed", is_flag=True, help="What scrubbing did, and how values look now.")
@options.as_json
def command(
    workload: Path, rare: bool, template: str | None, scrubbed: bool, as_json: bool
) -> None:
    """Show a WORKLOAD: its templates by calls, the rare ones, or one of them whole."""
    from replay import bundle
    from replay.report.inspect import as_json as document
    from replay.report.inspect import text, views

    if rare + scrubbed + (template is not None) > 1:
        raise click.UsageError("--rare, --template and --scrubbed exclude one another")
    read = bundle.read(workload)
    chosen = views.chosen(read, rare=rare, template=template)
    if as_json:
        output.print_document(
            document.scrubbed(read)
            if scrubbed
            else document.one(read, chosen[0])
            if template
            else document.document(read, chosen)
        )
    elif scrubbed:
        text.write_scrubbed(read, output.stdout())
    elif template:
        text.write_one(read, chosen[0], output.stdout())
    else:
        text.write(read, chosen, output.stdout())
