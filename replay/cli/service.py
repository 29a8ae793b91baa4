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


def _found(_ctx: click.Context, _param: click.Parameter, given: str) -> str:
    """The login's file by its whole path: who logs in runs elsewhere."""
    place, _, function = given.rpartition(":")
    if not given:
        return ""
    file = Path(place if place.endswith(".py") else f"{place.replace('.', '/')}.py")
    if not place or not function or (place.endswith(".py") and not file.is_file()):
        raise click.BadParameter(f"{given!r} is not MODULE:FUNCTION or FILE.py:FUNCTION")
    return f"{file.absolute()}:{function}" if file.is_file() else given


_OPTIONS = (
    click.option(
        "--service",
        default="",
        metavar="URL",
        help="Send the captured requests (capture --http) to the service before the target, "
        "http://HOST:PORT, in the place of its statements: GET and HEAD alone, a cookie jar and a "
        "connection for each captured session. The service must be this machine's, or answer /.well-known/replay-staging.",
    ),
    click.option(
        "--allow-writes",
        is_flag=True,
        help="With --service: send what writes, too: with the body of the log, or one that --openapi "
        "tells; else the statements that the request ran are replayed in its stead.",
    ),
    click.option(
        "--leave-out",
        multiple=True,
        metavar="ROUTE",
        help="With --service: a route that is not sent, as 'POST /payments/{id}', or a path alone: what must "
        "not happen on staging, or makes no sense there; `writes` is all but GET and HEAD. The run is judged "
        "without it, and says so. May be repeated.",
    ),
    click.option(
        "--login",
        default="",
        callback=_found,
        metavar="MODULE:FUNCTION",
        help="With --service: a Python function, of a module or a file.py, that is called for each captured "
        "session with its number and a client to send requests with; the headers that it returns, and the "
        "cookies that it got, go with all of the session's requests.",
    ),
    click.option(
        "--csrf",
        multiple=True,
        metavar="NAME",
        help="With --service: a field of forms that holds the token against forgery, or HEADER=COOKIE, "
        "beside those of the usual frameworks; it is filled with the session's own. May be repeated.",
    ),
    click.option(
        "--fresh",
        multiple=True,
        metavar="NAME",
        help="With --service: a header (with a dash in its name) or a field of bodies that gets a new key "
        "with every request, beside Idempotency-Key. May be repeated.",
    ),
    click.option(
        "--ca",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        callback=_as_text,
        metavar="FILE",
        help="With --service https://…: certificates that sign the service's.",
    ),
    click.option(
        "--insecure", is_flag=True, help="With --service https://…: take any certificate."
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
