"""Options of `replay run` that tell of the service before the target."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def options(command: F) -> F:
    """The options; their names are those of RunOptions."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _as_text(_ctx: click.Context, _param: click.Parameter, given: Path | None) -> str:
    return str(given.absolute()) if given else ""


_OPTIONS = (
    click.option(
        "--service",
        default="",
        metavar="URL",
        help="Send the captured requests (capture --http) to the service before the target, "
        "http://HOST:PORT, in the place of its statements: GET and HEAD alone, a cookie jar for each "
        "captured session. The service must be this machine's, or answer /.well-known/replay-staging.",
    ),
    click.option(
        "--allow-writes",
        is_flag=True,
        help="With --service: send what writes, too: with the body of the log, or one that --openapi "
        "tells.",
    ),
    click.option(
        "--openapi",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        callback=_as_text,
        metavar="FILE",
        help="With --allow-writes: the service's OpenAPI document (.json, .yaml). Bodies that the log "
        "has not are made by it, of values that the target's rows hold.",
    ),
)
