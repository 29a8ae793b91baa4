"""`replay mark-staging`: say once that a database is staging."""

import click

from replay.cli import options, output


@click.command(
    name="mark-staging",
    short_help="Say that a database is staging.",
    context_settings=options.CONTEXT,
    epilog=options.example("replay mark-staging postgresql://staging.internal/shop"),
)
@click.argument("dsn", envvar="REPLAY_TARGET", metavar="DSN")
def command(dsn: str) -> None:
    """Mark the database at DSN as staging: only a marked one is ever written to or loaded.

    The marker holds the server's identity and the database's name, so a copy of a marked database
    elsewhere does not pass. DSN may also come from REPLAY_TARGET. Its data may be lost in a replay.
    """
    from replay.target import mark_staging

    output.say(f"{mark_staging(dsn)} is marked as staging; replay may fill it and load it")
