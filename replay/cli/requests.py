"""Options of `replay capture` that tell of requests."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from replay.capture.requests.stage import RequestOptions

F = TypeVar("F", bound=Callable[..., Any])


def options(command: F) -> F:
    """The options; `chosen` takes their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--http",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="LOG",
        help="An access log of the service before the database: nginx, Apache, HAProxy, Envoy, Caddy, ALB, "
        "HAR or GoReplay, packed or plain; a file, a directory or a quoted pattern; repeatable. Alone, "
        "without a LOG and --stats, it makes a workload of requests.",
    ),
    click.option(
        "--http-format",
        default="",
        metavar="FORMAT",
        help="log_format (nginx) or LogFormat (Apache) of --http, where it is none of the usual.",
    ),
    click.option(
        "--routes",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Routes of the service: a file with one `GET /users/{id}` a line, or its OpenAPI document "
        "(.json, .yaml); repeatable, the first goes before the others. Without it routes are made of the "
        "paths.",
    ),
)


def chosen(
    http: tuple[Path, ...], http_format: str, routes: tuple[Path, ...], **shared: Any
) -> "tuple[tuple[Path, ...], RequestOptions] | None":
    """The request logs and what to take of them; None where none is named."""
    if not http:
        if http_format or routes:
            raise click.UsageError("--http-format and --routes tell of --http LOG: name one")
        return None
    from replay.capture.requests.stage import RequestOptions

    begin, end = shared.pop("window")
    return http, RequestOptions(format=http_format, routes=routes, begin=begin, end=end, **shared)
