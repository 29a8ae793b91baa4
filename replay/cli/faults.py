"""How an error is told: one clear line on stderr, and the exit code that says whose fault it is."""

import errno
import logging
import os
import sys
import traceback

import click

from replay.errors import (
    INTERRUPTED_EXIT_CODE,
    EnvironmentFaultError,
    InputError,
    ReplayError,
)

PIPE_CLOSED = 141  # 128 + SIGPIPE, as a shell reports it of any program
OUR_FAULT = 70  # EX_SOFTWARE: never 1, which is a failing gate's
_FULL = {errno.ENOSPC, errno.EDQUOT}

log = logging.getLogger(__name__)


def tell(error: BaseException) -> int:
    """Print what an error has to say and return its exit code; a fault of ours comes in full."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else OUR_FAULT
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        _line("replay: interrupted")
        return INTERRUPTED_EXIT_CODE
    known = _known(error)
    if known is None:
        traceback.print_exception(error, file=sys.stderr)
        _line("replay: error: this is a fault of the program itself, please report it")
        return OUR_FAULT
    log.debug("where it was raised:", exc_info=error)
    message, code = known
    _line(f"replay: error: {' '.join(message.split())}")
    return code


def silence_stdout() -> None:
    """Let the interpreter flush into nothing: whoever read our output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _known(error: BaseException) -> tuple[str, int] | None:
    if isinstance(error, ReplayError):
        return str(error), error.exit_code
    if isinstance(error, click.UsageError):
        asked = error.ctx.command_path if error.ctx else "replay"
        return f"{error.format_message()} (see {asked} --help)", InputError.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), InputError.exit_code
    if isinstance(error, OSError):
        return _of_system(error), EnvironmentFaultError.exit_code
    if _is_of_driver(error):
        return f"PostgreSQL: {error}", EnvironmentFaultError.exit_code
    return None


def _of_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return f"{where}the disk is full; free some space and run the command again"
    return f"{where}{error.strerror or error}"


def _is_of_driver(error: BaseException) -> bool:
    """Whether psycopg raised it; a driver that was never imported raised nothing."""
    driver = sys.modules.get("psycopg")
    return driver is not None and isinstance(error, driver.Error)


def _line(text: str) -> None:
    # The progress bar may have left the cursor within a line.
    print(text, file=sys.stderr, flush=True)
