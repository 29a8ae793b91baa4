"""Which part of production's logs a capture takes, and what it must know of the server that wrote them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from replay.capture import Options

F = TypeVar("F", bound=Callable[..., Any])
_OPEN = "-"


def _window(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, str] | None
) -> tuple[datetime | None, datetime | None]:
    begin, end = (_moment(text) for text in value or (_OPEN, _OPEN))
    if begin is not None and end is not None and begin >= end:
        raise click.BadParameter("its end does not come after its begin")
    return begin, end


def _moment(text: str) -> datetime | None:
    if text == _OPEN:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no moment; write 2026-03-01T12:00 or '2026-03-01 12:00:30+01:00'"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _settings(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    if not value:
        return {}
    from replay.capture.sampling import NAMES

    known = (*NAMES, "log_timezone")
    settings: dict[str, str] = {}
    for one in value:
        name, equals, text = (part.strip() for part in one.partition("="))
        if not equals:
            raise click.BadParameter(f"{one!r}: write it as log_statement_sample_rate=0.1")
        if name not in known:
            raise click.BadParameter(f"{name!r} means nothing to a capture; {', '.join(known)} do")
        settings[name] = text.strip("'")
    return settings


def options(command: F) -> F:
    """The options; `chosen` takes their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--window",
        nargs=2,
        callback=_window,
        metavar="BEGIN END",
        help="Transactions that began in this time: ISO moments, in UTC unless they name an offset; "
        "- leaves a side open.",
    ),
    click.option(
        "--database",
        multiple=True,
        metavar="NAME",
        help="Statements of this database; several times for several.  [default: that of --stats]",
    ),
    click.option(
        "--user", multiple=True, metavar="NAME", help="Statements of this user; repeatable."
    ),
    click.option(
        "--application",
        multiple=True,
        metavar="NAME",
        help="Statements of sessions with this application_name; repeatable.",
    ),
    click.option(
        "--prefix",
        metavar="PREFIX",
        help="log_line_prefix of a stderr log.  [default: as --stats says, or found in the log]",
    ),
    click.option(
        "--setting",
        multiple=True,
        callback=_settings,
        metavar="NAME=VALUE",
        help="A setting of the server that wrote the log, where --stats cannot tell: "
        "log_transaction_sample_rate=0.05, log_min_duration_statement=250ms, "
        "log_timezone=Europe/Berlin; repeatable. Weights are corrected for what was not logged.",
    ),
)


def chosen(
    *,
    window: tuple[datetime | None, datetime | None],
    database: tuple[str, ...],
    user: tuple[str, ...],
    application: tuple[str, ...],
    prefix: str | None,
    setting: dict[str, str],
    **others: Any,
) -> "Options":
    """What a capture is to take; `others` are those of its options that need no translation."""
    from replay.capture import Filters, Options

    begin, end = window
    settings = {**setting, **({"log_line_prefix": prefix} if prefix is not None else {})}
    return Options(
        filters=Filters(databases=database, users=user, applications=application),
        begin=begin,
        end=end,
        settings=settings,
        **others,
    )
