"""`replay demo`: the whole loop on private servers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output
from replay.errors import GateFailedError

if TYPE_CHECKING:
    from replay.conduct.demo import DemoResult


@click.command(
    name="demo",
    short_help="See all of it on private servers.",
    context_settings=options.CONTEXT,
    epilog=options.example("replay demo -o /tmp/replay-demo"),
)
@click.option(
    "-o",
    "--out",
    default="replay-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to leave the workload, the runs and the report.",
)
@click.option("--keep", is_flag=True, help="Leave both servers up; how to stop them is printed.")
@options.seed("sample, rows and arrivals")
@options.as_json
def command(out: Path, keep: bool, seed: int, as_json: bool) -> int:
    """See all of it on two private PostgreSQL servers, in two to three minutes.

    An IronWorker-like API runs before one; its logs are captured, the second is generated from that,
    and replayed until the API's rare requests break it; then the same storm goes through the API.
    The two indexes that were missing are named, built, and proven. Nothing else on this machine is
    touched.
    """
    from replay.conduct.demo import run_demo

    result = run_demo(out, keep=keep, seed=seed, say=output.say)
    if as_json:
        output.print_document(_document(result))
    output.say(f"report      {result.report}  ({result.seconds:.0f} s)")
    for dsn, stop in zip(result.servers, result.stop_commands, strict=True):
        output.say(f"server      {dsn}\n            stop it with: {stop}")
    return 0 if result.proof is not None and result.proof.proven else GateFailedError.exit_code


def _document(result: "DemoResult") -> dict[str, Any]:
    from replay import rundir
    from replay.conduct.demo import workload_of
    from replay.report import as_json as run_document
    from replay.report.inspect import as_json as workload_document
    from replay.report.summary import summarise

    # The run that the proof is about is the subject; without a proof the last one is.
    subject = next((run for run in result.runs if rundir.read_proof(run)), result.runs[-1])
    others = [run for run in result.runs if run != subject]
    workload = workload_of(result)
    return {
        **run_document.document(summarise([subject, *others], result.workload)),
        "directory": str(result.directory),
        "report": str(result.report),
        "broke_at": result.broke_at,
        "seconds": result.seconds,
        "servers": list(result.servers),
        "stop_commands": list(result.stop_commands),
        "captured": workload_document.document(workload, workload.templates),
    }
