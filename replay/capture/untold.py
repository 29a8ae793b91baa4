"""Statements that a log counts without telling all that they need to run again."""

import re
from collections.abc import Iterable

from replay.workload import Template

_UNTOLD = (
    (re.compile(r"copy\b"), "COPY", "its data stands in no log"),
    (
        re.compile(r"(?:prepare(?! transaction)|execute)\b"),
        "PREPARE and EXECUTE",
        "a session's own statements are not in another's",
    ),
)


def notes(templates: Iterable[Template]) -> tuple[str, ...]:
    """What a reader of the workload should know of them."""
    templates = tuple(templates)
    found = []
    for begins, what, why in _UNTOLD:
        calls = sum(t.calls for t in templates if begins.match(t.sql))
        if calls:
            found.append(
                f"{calls} calls of {what} are counted, but no transaction with one is replayed: {why}"
            )
    return tuple(found)
