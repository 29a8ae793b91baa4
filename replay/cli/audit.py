"""`replay audit`: which captured statements, and which foreign keys, no index serves."""

from pathlib import Path

import click

from replay.cli import options, output
from replay.errors import GateFailedError, InputError


@click.command(
    name="audit",
    short_help="Find captured statements that no index serves.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        'replay audit shop.workload --target "$REPLAY_TARGET" --junit audit.xml',
        "replay audit shop.workload --statistics",
    ),
)
@options.directory("workload")
@options.target(required=False, otherwise="Needed without --statistics.")
@click.option(
    "--statistics",
    is_flag=True,
    help="Ask no target and load no rows: plan on production's statistics, restored on a private "
    "PostgreSQL 18. Nothing is executed; an index is proposed where the planner's cost drops tenfold.",
)
@options.bind
@click.option(
    "--statement-timeout-ms",
    default=5000,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="MS",
    help="How long one execution may take; beyond, its plan is only estimated.",
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write JUnit's XML: a test case a statement and a foreign key.",
)
@options.seed("values")
@options.as_json
def command(
    workload: Path,
    target: str | None,
    statistics: bool,
    bind: str,
    statement_timeout_ms: int,
    junit: Path | None,
    seed: int,
    as_json: bool,
) -> int:
    """Plan every statement of a WORKLOAD on staging, and name those that no index serves.

    Each is executed with the values as captured, and with each column's most frequent, median and
    rarest value, in a transaction that is rolled back, and as a generic plan. An index is proposed
    only where it was built (and rolled back) and the blocks that are read dropped tenfold. Foreign
    keys whose parent loses rows are looked at apart. With --statistics neither rows nor a target are
    needed, and it takes seconds: a first look, which the planner's estimates bound. The exit code is 1 where something lacks one.
    """
    from replay.conduct.audit import audit, audit_statistics
    from replay.report import audit as report

    if statistics:
        found = audit_statistics(workload, seed=seed, say=output.say)
    elif target is None:
        raise InputError(
            "name a filled target with --target, or take --statistics, which needs none"
        )
    else:
        found = audit(
            workload,
            target,
            identity=bind == "identity",
            seed=seed,
            timeout_ms=statement_timeout_ms,
            say=output.say,
        )
    if junit is not None:
        output.write_whole(junit, report.junit(found))
        output.say(f"wrote {junit}")
    if as_json:
        output.print_document(report.document(found))
    else:
        for line in report.text(found):
            output.stdout().print(line, markup=False, soft_wrap=True)
    return 0 if found.clean else GateFailedError.exit_code
