"""`replay generate`: fill staging with data of production's shape."""

from collections.abc import Sequence
from pathlib import Path

import click

from replay.cli import options, output
from replay.documents import JSON_VERSION


@click.command(
    name="generate",
    short_help="Fill staging with data of production's shape.",
    context_settings=options.CONTEXT,
    epilog=options.example('replay generate shop.workload --target "$REPLAY_TARGET" --scale 0.1'),
)
@options.directory("workload")
@options.target(required=True)
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Rows of every table, as a multiple of production's.",
)
@click.option(
    "--jobs",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Tables to fill at once.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Load nothing where a part of production's schema cannot be made.",
)
@options.seed("the rows")
@options.as_json
def command(
    workload: Path,
    target: str,
    scale: float,
    jobs: int,
    strict: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Build the tables of a WORKLOAD in an empty staging database, from their statistics alone.

    Row counts, skew, physical order and indexes are production's; an index that production lacks
    is lacking here too. What of the schema cannot be made is listed before the first row is loaded.
    The workload must have been captured with --stats.
    """
    from replay.conduct.prepare import generate_staging

    said: dict[str, None] = {}

    def listed(reasons: Sequence[str]) -> None:
        for reason in reasons:
            if reason not in said:
                said[reason] = None
                output.say(f"left out    {reason}")

    with output.progress("filling") as tell:
        loaded = generate_staging(
            workload,
            target,
            scale=scale,
            seed=seed,
            jobs=jobs,
            strict=strict,
            progress=tell,
            listed=listed,
        )
    rows = sum(table.rows for table in loaded.tables)
    if as_json:
        tables = [
            {"name": table.name, "rows": table.rows, "seconds": round(table.seconds, 3)}
            for table in loaded.tables
        ]
        output.print_document(
            {
                "version": JSON_VERSION,
                "rows": rows,
                "tables": tables,
                "left_out": list(loaded.left_out),
            }
        )
    listed(loaded.left_out)
    output.say(f"generated {rows:,} rows in {len(loaded.tables)} tables")
