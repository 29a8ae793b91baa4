"""`replay snapshot`: pg_stat_statements as it stands now, to be compared with a later one."""

from pathlib import Path

import click

from replay.cli import options, output


@click.command(
    name="snapshot",
    short_help="Keep what pg_stat_statements has counted.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        'replay snapshot "$REPLAY_SOURCE" -o before.json',
        'replay snapshot "$REPLAY_SOURCE" -o after.json',
    ),
)
@click.argument("dsn", envvar="REPLAY_SOURCE", metavar="DSN")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="JSON file to write; what stands there is replaced.",
)
def command(dsn: str, out: Path) -> None:
    """Write what pg_stat_statements counted at DSN (or REPLAY_SOURCE) to a file, read only.

    Two of them make a window: replay capture --between before.json after.json. Texts are written
    without any literal. Made for cron: silent but for one line on stderr.
    """
    from replay.capture import snapshot

    taken = snapshot.take(dsn)
    snapshot.write(out, taken)
    for note in taken.notes:
        output.say(f"note        {note}")
    output.say(f"wrote {out}: {len(taken.entries):,} statements")
