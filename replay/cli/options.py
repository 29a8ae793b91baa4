"""Arguments and options that several commands share, and how their help is laid out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
_SECONDS = {"s": 1, "m": 60, "h": 3600}

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Length(click.ParamType[float]):
    """A length of time, in seconds: a number, with s, m or h behind it."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        number, unit = (value[:-1], value[-1:]) if value[-1:] in _SECONDS else (value, "s")
        try:
            seconds = float(number) * _SECONDS[unit]
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is no length of time, such as 90s, 10m or 2h", param, ctx)
        return seconds


LENGTH = _Length()


def example(*lines: str) -> str:
    """The end of a command's help: lines that can be typed as they stand."""
    return "\n".join(("\b", "Example:", *(f"  {line}" for line in lines)))


def directory(name: str) -> Callable[[F], F]:
    """A workload or a run to read."""
    return click.argument(name, type=click.Path(path_type=Path), metavar=name.upper())


def out(what: str, shown: str) -> Callable[[F], F]:
    """The directory to write; what stands there of the same kind is replaced."""
    return click.option(
        "-o",
        "--out",
        required=True,
        type=click.Path(path_type=Path),
        metavar=shown,
        help=f"Directory to write the {what} to; an earlier {what} there is replaced.",
    )


def target(
    *, required: bool, otherwise: str = "Without one a private PostgreSQL is started for the run."
) -> Callable[[F], F]:
    """The staging database."""
    otherwise = "" if required else f" {otherwise}"
    return click.option(
        "--target",
        envvar="REPLAY_TARGET",
        show_envvar=True,
        required=required,
        metavar="DSN",
        help=f"Staging database, marked with replay mark-staging.{otherwise}",
    )


def seed(what: str) -> Callable[[F], F]:
    """A seed: the same one gives the same bytes."""
    return click.option(
        "--seed", default=0, show_default=True, metavar="N", help=f"Seed of {what}."
    )


as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout instead of text."
)


def above(least: float, *names: str, **more: Any) -> Callable[[F], F]:
    """A number above another; it has a default, and `more` of what click asks for."""
    of = click.FloatRange(min=least, min_open=True)
    return click.option(*names, show_default=True, type=of, **more)


objective = above(
    0,
    "--objective-ms",
    default=250.0,
    metavar="MS",
    help="The p95 from due that the service promises: what is above it is called broken.",
)

bind = click.option(
    "--bind",
    type=click.Choice(("generated", "identity")),
    default="generated",
    show_default=True,
    help="Values for the target's generated data, or as captured for a restored copy.",
)
