"""`replay merge`: workloads of several hosts become one."""

from pathlib import Path

import click

from replay.cli import options, output

_TOP = 20  # rare templates that are shown


@click.command(
    name="merge",
    short_help="Make one workload of several.",
    context_settings=options.CONTEXT,
    epilog=options.example("replay merge a.workload b.workload -o all.workload"),
)
@click.argument(
    "workloads", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="WORKLOAD..."
)
@options.out("workload", "NAME.workload")
@options.as_json
def command(workloads: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Merge WORKLOADs captured apart, as if all their logs had been captured together.

    Counts, rare paths, routes, kept transactions and requests and their links come out the same; only
    the most statements and requests in flight at once, and the sessions of requests, are estimates. The captures must share the scrub key (--key-file), --seed and
    --per-stratum, and no log may be in two of them.
    """
    if len(workloads) < 2:
        raise click.UsageError("name two WORKLOADs at least")
    from replay import bundle
    from replay.conduct.merging import merge_workloads
    from replay.report.inspect import as_json as document
    from replay.report.inspect import routes, text, views

    merged = merge_workloads(workloads, out)
    requests = bundle.read_requests(out)
    if as_json:
        output.print_document(document.document(merged, merged.templates, requests))
    else:
        text.write(
            merged, views.chosen(merged, rare=True, template=None), output.stdout(), top=_TOP
        )
        if requests is not None:
            routes.write(requests, output.stdout(), top=_TOP)
    output.say(f"wrote {out}, of {len(workloads)} workloads")
