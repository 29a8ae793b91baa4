"""`replay incident`: a published outage, or one's own, played from production to its fix."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output
from replay.errors import GateFailedError, InputError, NotValidError

if TYPE_CHECKING:
    from replay.gallery.play import Played


@click.command(
    name="incident",
    short_help="Play an outage as a regression test.",
    context_settings=options.CONTEXT,
    epilog=options.example(
        "replay incident --list", "replay incident heroku", "replay incident ./post-mortems/2026-05"
    ),
)
@click.argument("name", required=False, metavar="[NAME|FOLDER]")
@click.option("--list", "listed", is_flag=True, help="The incidents that come with this program.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to leave workloads and runs; nothing is left where not given.",
)
@options.seed("sample, rows and arrivals")
@options.as_json
def command(name: str | None, listed: bool, out: Path | None, seed: int, as_json: bool) -> int:
    """Play an incident on private servers: must be found and rightly named, and end with its fix.

    NAME is one of the gallery, FOLDER one of your own. Its production runs and is healthy, its log
    is captured, staging is generated from the capture alone and replayed until it breaks; then all
    of it with the fix. The exit code is 1 where it was missed, wrongly named, or accused though
    mended, 3 where it did not pass and a replay could not be believed: the machine was too busy.
    """
    from replay.gallery.play import play
    from replay.gallery.read import find, gallery

    if listed:
        _print_list(gallery(), as_json=as_json)
        return 0
    if name is None:
        raise InputError("name an incident or a folder; replay incident --list shows them")
    incident = find(name)
    with tempfile.TemporaryDirectory(prefix="replay-incident-") as scratch:
        played = play(incident, out or Path(scratch), seed=seed, say=output.say)
    if as_json:
        output.print_document(_document(played))
    if played.passed:
        return 0
    return GateFailedError.exit_code if played.believed else NotValidError.exit_code


def _print_list(incidents: tuple[Any, ...], *, as_json: bool) -> None:
    from replay.documents import JSON_VERSION

    if as_json:
        told = [
            {"name": i.name, "title": i.title, "source": i.source, "rule": i.expects.rule}
            for i in incidents
        ]
        output.print_document({"version": JSON_VERSION, "incidents": told})
        return
    console = output.stdout()
    for incident in incidents:
        console.print(
            f"{incident.name:<18} rule {incident.expects.rule:>2}  {incident.title}", markup=False
        )
        console.print(f"{'':<27}{incident.source}", markup=False)


def _document(played: "Played") -> dict[str, Any]:
    import msgspec

    from replay.documents import JSON_VERSION

    return {
        "version": JSON_VERSION,
        "name": played.incident.name,
        "passed": played.passed,
        "verdict": played.verdict,
        "expected": msgspec.to_builtins(played.incident.expects),
        "production": played.production,
        "findings": msgspec.to_builtins(played.findings),
        "false_alarms": msgspec.to_builtins(played.false_alarms),
        "runs": {
            name: {
                "healthy": manifest.healthy,
                "valid": manifest.valid,
                "why_not": list(manifest.why_not),
                "objective": dict(manifest.objective),
            }
            for name, manifest in (("broken", played.broken), ("fixed", played.fixed))
        },
        "seconds": played.seconds,
    }
