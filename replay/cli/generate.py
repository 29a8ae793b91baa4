"""`replay generate`: fill staging with data of production's shape."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output
from replay.documents import JSON_VERSION

if TYPE_CHECKING:
    from data_gen.estimate import Expected
    from data_gen.load import Loaded, Order

_MIB = 2**20


class _Slice(click.ParamType[tuple[int, int]]):
    """One part of several, as 3/16."""

    name = "slice"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        number, _, of = value.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            self.fail(f"{value!r} is no slice, such as 3/16", param, ctx)
        return int(number), int(of)


@click.command(
    name="generate",
    short_help="Fill staging with data of production's shape.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        'replay generate shop.workload --target "$REPLAY_TARGET" --scale 0.1',
        "replay generate shop.workload --table orders --dry-run",
    ),
)
@options.directory("workload")
@options.target(required=False, otherwise="Needed but for --dry-run.")
@options.above(
    0,
    "--scale",
    default=1.0,
    metavar="X",
    help="Rows of every table, as a multiple of production's. At another scale than 1 the planner "
    "takes other plans than production's for some statements.",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="Fill only this table and those that its keys lead to; may be given several times. "
    "The schema is made whole.",
)
@click.option(
    "--where-small",
    "small",
    type=click.IntRange(min=0),
    metavar="ROWS",
    help="Fill only tables of at most so many rows in production, beside those of --table.",
)
@click.option(
    "--jobs",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Connections to fill tables over; one large table takes several.",
)
@click.option(
    "--slice",
    "part",
    default="1/1",
    type=_Slice(),
    metavar="K/N",
    help="Fill the K-th of N parts of every table. N runs, anywhere, fill one target together; "
    "the last to end builds the indexes.",
)
@options.seed("the rows")
@click.option(
    "--at",
    "base_time",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    metavar="TIME",
    help="The moment that the data takes for now, in UTC; without it, the present. The same seed "
    "and moment give the same bytes.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Load nothing where a part of production's schema cannot be made.",
)
@click.option(
    "--replace", is_flag=True, help="Drop what stands in the target of the workload's tables first."
)
@click.option(
    "--dry-run", is_flag=True, help="Tell what would be made, and its size; make nothing."
)
@options.as_json
def command(
    workload: Path,
    target: str | None,
    dry_run: bool,
    as_json: bool,
    base_time: datetime | None,
    tables: Sequence[str],
    **wanted: Any,
) -> None:
    """Build the tables of a WORKLOAD in an empty staging database, from their statistics alone.

    Row counts, skew, physical order and indexes are production's; an index that production lacks
    is lacking here too. What of the schema cannot be made is listed before the first row is loaded.
    A run that is interrupted goes on where it broke off when it is given again as it was. The
    workload must have been captured with --stats.
    """
    from data_gen.load import Order
    from replay.conduct.prepare import expected_staging

    now = base_time.replace(tzinfo=UTC) if base_time else datetime.now(UTC)
    order = Order(base_time=now, tables=tuple(tables), **wanted)
    if order.scale != 1:
        output.say(
            f"scale       {order.scale:g}: some plans will be others than production's "
            "(about one in ten at 0.1)"
        )
    sizes = expected_staging(workload, order)
    if dry_run:
        _tell_expected(sizes, as_json)
        return
    if target is None:
        raise click.UsageError("--target DSN is needed, or --dry-run")
    _tell_made(_made(workload, target, order, sizes), as_json)


def _made(workload: Path, target: str, order: "Order", sizes: Sequence["Expected"]) -> "Loaded":
    from replay.conduct.prepare import generate_staging

    listed = _listed()
    total = sum(one.rows for one in sizes) // order.part[1]
    weight = sum(one.bytes + one.index_bytes for one in sizes)
    output.say(f"expected    {total:,} rows, {weight / _MIB:,.0f} MiB with indexes")
    with output.tables(total) as tell:
        loaded = generate_staging(workload, target, order, progress=tell, listed=listed)
    listed(loaded.left_out)
    return loaded


def _listed() -> Callable[[Sequence[str]], None]:
    """Says each reason once."""
    said: set[str] = set()

    def listed(reasons: Sequence[str]) -> None:
        for reason in reasons:
            if reason not in said:
                said.add(reason)
                output.say(f"left out    {reason}")

    return listed


def _tell_expected(sizes: Sequence["Expected"], as_json: bool) -> None:
    if as_json:
        tables = [
            {"name": t.name, "rows": t.rows, "bytes": t.bytes, "index_bytes": t.index_bytes}
            for t in sizes
        ]
        output.print_document({"version": JSON_VERSION, "tables": tables})
        return
    for one in sizes:
        print(
            f"{one.rows:>14,} rows  {one.bytes / _MIB:>9,.1f} MiB  "
            f"{one.index_bytes / _MIB:>9,.1f} MiB of indexes  {one.name}"
        )
    weight = sum(one.bytes + one.index_bytes for one in sizes) / _MIB
    print(
        f"{sum(one.rows for one in sizes):>14,} rows  {weight:>9,.1f} MiB  in {len(sizes)} tables"
    )


def _tell_made(loaded: "Loaded", as_json: bool) -> None:
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
                "missing_slices": loaded.missing,
            }
        )
    rate = rows / max(loaded.seconds, 1e-9)
    output.say(
        f"generated {rows:,} rows in {len(loaded.tables)} tables, "
        f"{loaded.seconds:.1f} s, {rate:,.0f} rows/s"
    )
    if loaded.missing:
        output.say(f"{loaded.missing} slices are missing still; the last one builds the indexes")
