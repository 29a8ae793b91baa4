"""`replay prove`: show that a finding's fix is the fix."""

from pathlib import Path

import click

from replay.cli import options, output
from replay.documents import JSON_VERSION
from replay.errors import GateFailedError


@click.command(
    name="prove",
    short_help="Prove a run's fix: it fails, passes with the fix, fails without.",
    context_settings=options.CONTEXT,
    epilog=options.example('replay prove storm.run --finding 1 --target "$REPLAY_TARGET"'),
)
@options.directory("run")
@options.target(required=False)
@click.option(
    "--finding",
    type=click.IntRange(min=1),
    metavar="N",
    help="Which of the run's findings, by its place in the report.  [default: all of them]",
)
@click.option(
    "--workload",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The workload that was replayed.  [default: the one beside the run]",
)
@options.as_json
def command(
    run: Path, target: str | None, finding: int | None, workload: Path | None, as_json: bool
) -> int:
    """Replay a RUN that broke with its fix in force, and once more without it.

    Both replays have the run's own options and seed, and begin on the same rows: in databases that
    are made beside the target, generated as it was, and dropped afterwards, where its user may make
    some; without a target, on a private server. The index is built for real; its size, the time it
    took and what it does to writes are told. A change in the application is made to the load: locks
    taken first, last or in one order, no pause inside a transaction, SKIP LOCKED, a lock that ends
    with its transaction. What no replay can change is named, with what to do. The exit code is 1
    where the fix is not proven.
    """
    from replay import rundir
    from replay.conduct.prove import prove
    from replay.report.proof import lines

    name = rundir.read_manifest(run).workload
    proof = prove(
        workload or run.resolve().parent / name, target, run, finding=finding, say=output.say
    )
    if as_json:
        import msgspec

        output.print_document({"version": JSON_VERSION, "proof": msgspec.to_builtins(proof)})
    else:
        for line in lines(proof):
            output.stdout().print(line, markup=False, soft_wrap=True)
    return 0 if proof.proven else GateFailedError.exit_code
