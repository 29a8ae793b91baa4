"""What a record's message says: a statement that ran, one that begins, or a duration alone.

The shapes are postgres.c's (check_log_duration, errdetail_params), alike in every log format. With
`log_statement` a statement's text comes at its start and its bare duration at its end.
"""

import re

_DURATION = "duration: "
_UNNAMED = "<unnamed>"
_PARAMETERS = re.compile(r"[Pp]arameters: (?=\$1 = )")
_PARAMETER = re.compile(r"\$(\d+) = (?:NULL|'((?:[^']|'')*)')(?:, )?")

# What a message is.
NOTHING = 0
RAN = 1  # a whole execution: duration, text
BEGINS = 2  # text without a duration: log_statement
ENDED = 3  # a bare duration, of the text before it
PREPARED = 4  # parse or bind: time of the execution to come

Said = tuple[int, int, str, str | None]
"""What it is, duration in µs, SQL text, name of the prepared statement (None: simple protocol)."""

_NOTHING: Said = (NOTHING, 0, "", None)


def said(message: str) -> Said:
    """What a LOG record's message says."""
    if message[:10] != _DURATION:
        return _beginning(message)
    end = message.find(" ms", 10)
    try:
        duration_us = int(message[10:end].replace(".", ""))  # always three decimals
    except ValueError:
        return _NOTHING
    start = end + 5
    what = message[start : start + 2]
    if what == "ex":  # execute
        return _execution(RAN, duration_us, message, start + 8)
    if what == "st":  # statement:
        return RAN, duration_us, message[start + 11 :], None
    if what in ("bi", "pa"):  # bind, parse
        return PREPARED, duration_us, "", None
    return _NOTHING if what else (ENDED, duration_us, "", None)  # "pl": auto_explain's plan


def bound(message: str) -> tuple[str | None, str]:
    """Name of the prepared statement and SQL text of a bind message; no text where it is none."""
    start = message.find(" ms  bind ")
    return (None, "") if start < 0 else _named(message, start + 10)


def parameters(text: str) -> dict[int, str | None]:
    """Values by number from a DETAIL or CONTEXT with `Parameters: $1 = '…', $2 = NULL`.

    Quotes are doubled, line breaks are raw. Empty where the text lists no parameters.
    """
    found = _PARAMETERS.search(text)
    values: dict[int, str | None] = {}
    position = found.end() if found else len(text)
    while one := _PARAMETER.match(text, position):
        value = one.group(2)
        values[int(one.group(1))] = None if value is None else value.replace("''", "'")
        position = one.end()
    return values


def _beginning(message: str) -> Said:
    if message.startswith("statement: "):
        return BEGINS, 0, message[11:], None
    if message.startswith("execute "):
        return _execution(BEGINS, 0, message, 8)
    return _NOTHING


def _execution(kind: int, duration_us: int, message: str, start: int) -> Said:
    if message.startswith("fetch from ", start):
        return _NOTHING  # of an execution that is known already
    name, text = _named(message, start)
    return kind, duration_us, text, name


def _named(message: str, start: int) -> tuple[str, str]:
    """Name and text of `NAME: text` or `NAME/PORTAL: text`."""
    end = message.find(": ", start)
    name = message[start:end]
    if name == _UNNAMED:
        return "", message[end + 2 :]
    return name.partition("/")[0], message[end + 2 :]
