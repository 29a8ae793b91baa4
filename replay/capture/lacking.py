"""Part of a log is asked for: its records must tell what they are part of, and some must be of it."""

from collections.abc import Collection, Mapping, Sequence

from replay.capture.captured import Filters
from replay.capture.formats.columns import ESCAPES
from replay.capture.formats.opened import OPEN
from replay.capture.inputs import Input
from replay.errors import InputError

_SHOWN = 5  # names


def require_told(inputs: Sequence[Input], filters: Filters) -> None:
    """See to it that all inputs tell what is asked for.

    Raises InputError for the first that does not: to take none of its statements, or all of them,
    would both be wrong without a word.
    """
    for what in filters.asked():
        for one in inputs:
            if what in one.format.lacks:
                raise InputError(_untold(one, what))


def _untold(one: Input, what: str) -> str:
    ways = [
        f"put %{ESCAPES[what]} into log_line_prefix and log again",
        f"capture without --{what}",
    ]
    if OPEN in one.format.name:
        ways.insert(0, f"if it stands where {OPEN} is, name the whole prefix with --prefix")
    return (
        f"{one.name}: {one.format.name} does not tell the {what} of --{what}; {', or '.join(ways)}"
    )


def none_of_them(filters: Filters, others: Mapping[str, Collection[str]]) -> str:
    """That no statement is one of those asked for, and whose the log has; empty where that is not why."""
    told = []
    for what, names in filters.asked().items():
        there = sorted(name for name in others.get(what, ()) if name)
        if there:
            more = f" and {len(there) - _SHOWN} more" * (len(there) > _SHOWN)
            told.append(
                f"no statement of {what} {_listed(names)}: the log has {_listed(there)}{more}"
            )
    return "; ".join(told)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN]))
