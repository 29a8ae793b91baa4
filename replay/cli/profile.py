"""`replay profile`: the script by which a DBA tells capture what it would ask itself."""

import click

from replay.cli import options


@click.command(
    name="profile",
    short_help="Print the script that asks production by psql.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        "replay profile --sql > profile.sql",
        "replay profile --sql | psql -X -d shop -o profile.out",
    ),
)
@click.option(
    "--sql", "as_sql", is_flag=True, required=True, help="Print SQL for psql; the only form."
)
def command(as_sql: bool) -> None:  # noqa: ARG001  it is there to be said
    """Print one read-only script for psql, for a DBA to run where capture may not connect.

    It asks what capture --stats would ask: schema, statistics, settings, pg_stat_statements.
    capture --profile reads its output, which holds values of tables (from pg_stats) until capture
    has scrubbed them: keep it where production's data may be.
    """
    from replay.capture.profile_script import script

    click.echo(script())
