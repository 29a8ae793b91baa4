"""`replay doctor`: what capture would get from a server, at what cost, and what to change."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output
from replay.documents import JSON_VERSION

if TYPE_CHECKING:
    from replay.capture.doctor import Checkup


@click.command(
    name="doctor",
    short_help="Say what capture needs from a server.",
    context_settings=options.CONTEXT,
    epilog=options.example('replay doctor "$REPLAY_SOURCE"'),
)
@click.argument("dsn", envvar="REPLAY_SOURCE", metavar="DSN")
@options.as_json
def command(dsn: str, as_json: bool) -> None:
    """Look at the production server DSN (or REPLAY_SOURCE), read only.

    Tells what capture would get with the settings as they are, what that costs the server, and the
    exact SQL to change it; nothing is changed. The exit code is 0 whatever was found.
    """
    from replay.capture.doctor import advise, examine
    from replay.capture.formats import OF_SERVERS

    checkup = advise(examine(dsn), OF_SERVERS)
    if as_json:
        output.print_document(_document(checkup))
    else:
        _write(checkup)


def _document(checkup: "Checkup") -> dict[str, Any]:
    from replay.capture.doctor.advice import COSTS

    return {
        "version": JSON_VERSION,
        "works": checkup.works,
        "logs": checkup.logs,
        "share": checkup.share,
        "statements_per_s": checkup.statements_per_s,
        "log_bytes_per_h": checkup.log_bytes_per_h,
        "log_bytes_per_h_at_5_percent": checkup.sampled_bytes_per_h,
        "findings": [asdict(finding) for finding in checkup.findings],
        "changes": list(checkup.changes),
        "costs": [
            {"setting": setting, "cpu_us": cpu_us, "more": more} for setting, cpu_us, more in COSTS
        ],
        "facts": asdict(checkup.facts),
    }


def _write(checkup: "Checkup") -> None:
    from replay.capture.doctor.advice import COSTS
    from replay.capture.doctor.finding import GOOD

    console = output.stdout()

    def tell(line: str = "", style: str = "") -> None:
        console.print(line, style=style, markup=False, soft_wrap=True)

    tell(checkup.facts.place)
    for finding in checkup.findings:
        mark = " " if finding.level == GOOD else "!"
        style = {"less": "yellow", "missing": "red"}.get(finding.level, "")
        tell(f"{mark} {finding.topic:<24}  {finding.says}", style)
    would = "would work" if checkup.works else "would not work"
    tell(f"\nWith the settings as they are a capture from the log {would}.", "bold")
    tell(
        f"{checkup.statements_per_s:,.1f} statements/s: up to {_size(checkup.log_bytes_per_h)} of "
        f"log an hour as it is set, {_size(checkup.sampled_bytes_per_h)} with 5 % of transactions"
    )
    tell("\nCPU µs of backend and log writer per transaction of a prepared point read:")
    for setting, cpu_us, more in COSTS:
        tell(f"  {setting:<28}{cpu_us:>6}  {more:>6}")
    if checkup.changes:
        tell("\nTo change it, as a superuser:\n")
        for line in checkup.changes:
            tell(line)


def _size(count: float) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
