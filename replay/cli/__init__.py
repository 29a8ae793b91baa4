"""The `replay` command: which commands there are, and `main`, where their errors become exit codes.

A command's module is loaded when it is asked for, and imports the stages it needs when it runs, so
that `replay --help` is quick, and what one command needs costs no other.
"""

import atexit
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from replay import __version__
from replay.cli import faults
from replay.cli.options import CONTEXT, example
from replay.errors import InputError

COMMANDS = (
    "doctor",
    "profile",
    "snapshot",
    "capture",
    "merge",
    "inspect",
    "mark-staging",
    "generate",
    "verify",
    "audit",
    "run",
    "hunt",
    "report",
    "prove",
    "demo",
    "incident",
)


def command(name: str) -> click.Command:
    """One of the commands; its module is loaded."""
    module = import_module(f"replay.cli.{name.replace('-', '_')}")
    loaded: click.Command = module.command
    return loaded


class _Replay(click.Group):
    """The group of commands; loads the one that is asked for, and leaves a closed pipe to us, not to click."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [*COMMANDS, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return command(cmd_name) if cmd_name in COMMANDS else super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a full disk or a closed pipe is seen here, not at exit
        except BrokenPipeError:
            faults.silence_stdout()
            raise click.exceptions.Exit(faults.PIPE_CLOSED) from None
        return result


@click.group(
    cls=_Replay,
    name="replay",
    context_settings=CONTEXT,
    invoke_without_command=True,
    epilog=example("replay demo"),
)
@click.version_option(__version__, prog_name="replay")
@click.option("-v", "--verbose", is_flag=True, help="Tell more on stderr; tracebacks of errors.")
@click.pass_context
def group(context: click.Context, verbose: bool) -> None:
    """Find the next lock outage before its release.

    Capture what production's PostgreSQL ran, rebuild its data's shape without its data, replay it
    against staging, and name the statement that will stop it.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.WARNING,
        format="replay: %(levelname)s: %(message)s",
    )
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(InputError.exit_code)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code that says how it went."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Servers that we started are stopped on the way out, as after Ctrl-C; nohup stays in force.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    ended: list[int] = []
    atexit.register(_leave, ended)  # what others register later comes first
    code = status(arguments)
    gc.freeze()  # the end of the process is the end of all; nobody need look for circles
    ended.append(code)
    sys.exit(code)


def _leave(ended: Sequence[int]) -> None:
    """End the process as it stands: Python would take all that is in memory apart first."""
    if not ended:
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):  # for Python to tell
        return
    os._exit(ended[0])


def status(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; every error is told on stderr, and the exit code returned."""
    try:
        result = group.main(arguments, prog_name="replay", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001  nothing may leave with Python's own 1
        return faults.tell(error)
    return result if isinstance(result, int) else 0
