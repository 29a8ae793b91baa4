"""`replay inspect`: what a workload holds."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from replay.cli import options, output
from replay.errors import InputError

if TYPE_CHECKING:
    from replay.requests import Requests

_TOP = 20


@click.command(
    name="inspect",
    short_help="Show what a workload holds.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        "replay inspect shop.workload --by time",
        "replay inspect shop.workload --template 5e1ea5e0",
    ),
)
@options.directory("workload")
@click.option("--rare", is_flag=True, help="All rare templates and no more, fewest calls first.")
@click.option(
    "--template", metavar="ID", help="One template whole, by its id or the beginning of it."
)
@click.option(
    "--routes",
    is_flag=True,
    help="The requests of --http: all routes, rare ones apart, and what each runs.",
)
@click.option(
    "--binding", is_flag=True, help="How values would be bound, and which meet no column."
)
@click.option("--scrubbed", is_flag=True, help="What scrubbing did, and how values look now.")
@click.option(
    "--by",
    type=click.Choice(["calls", "time"]),
    help="Rank templates by calls or by time alone; by both where not given.",
)
@click.option("--all", "everything", is_flag=True, help=f"All lines of all parts, not {_TOP} each.")
@options.as_json
def command(
    workload: Path,
    rare: bool,
    template: str | None,
    routes: bool,
    binding: bool,
    scrubbed: bool,
    by: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Show a WORKLOAD: its mix at a glance, its rare templates, or one of them whole.

    Rate over time, templates by calls and by time, the rare ones apart, shapes of transactions,
    concurrency, errors, production's own lock waits and deadlocks, what was kept and what passed
    over. --json gives all of it in one document.
    """
    from replay import bundle
    from replay.report.inspect import as_json as document
    from replay.report.inspect import one, text, views
    from replay.report.inspect import routes as of_requests

    if rare + binding + scrubbed + routes + (template is not None) > 1:
        raise click.UsageError(
            "--rare, --template, --routes, --binding and --scrubbed exclude one another"
        )
    if binding:
        _tell_binding(workload, as_json=as_json)
        return
    named, workload = workload, bundle.left_by(workload)
    if workload != named:
        output.say(f"{named} was never finished: this is {workload}, which its capture has left")
    read = bundle.read(workload)
    requests = bundle.read_requests(workload)
    chosen = views.chosen(read, rare=rare, template=template, by=by)
    top = None if everything else _TOP
    if as_json:
        output.print_document(
            document.scrubbed(read)
            if scrubbed
            else document.one(read, chosen[0])
            if template
            else document.document(read, chosen, requests)
        )
    elif routes or (requests is not None and not read.templates):
        found = _required(requests, workload)
        of_requests.write(found, output.stdout(), top=top, templates=read.templates)
    elif scrubbed:
        one.write_scrubbed(read, output.stdout())
    elif template:
        one.write_one(read, chosen[0], output.stdout(), top=top)
    elif rare:
        text.write(read, chosen, output.stdout())
    else:
        rankings = (by,) if by else text.RANKINGS
        text.write_whole(read, output.stdout(), by=rankings, top=top)
        if requests is not None:
            of_requests.write(requests, output.stdout(), top=top)


def _required(requests: "Requests | None", workload: Path) -> "Requests":
    if requests is None:
        raise InputError(f"{workload}: holds no requests; capture again with --http LOG")
    return requests


def _tell_binding(workload: Path, *, as_json: bool) -> None:
    from replay.conduct.binding import binding

    found = binding(workload)
    if as_json:
        output.print_document(found)
        return
    console = output.stdout()
    for kind, count in found["slots"].items():
        console.print(f"{kind:<12}{count:>10,}", markup=False)
    for one in found["unresolved"]:
        slots = ", ".join(f"{slot} × {count}" for slot, count in one["slots"].items())
        console.print(f"unresolved  {one['id'][:8]}  {slots}: {one['sql']}", markup=False)
