"""Paths and queries of kept requests, with tokens in the place of values."""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

from replay.capture.requests import shapes
from replay.capture.requests.kinds import WORD
from replay.capture.scrub import Scrubber

SECRET = re.compile(
    r"(?i)token|secret|passw|signature|^sig$|auth|api_?key|^key$|^code$|session|credential"
)
"""Names of parameters and fields whose values keep nothing."""
_NAME = re.compile(r"[A-Za-z_$@][\w.$:\[\]-]{0,63}")


def scrubbed(target: bytes, route: str, scrub: Scrubber) -> str:
    """A target with tokens in the place of values: those that the route names, and the query's."""
    path, rest = shapes.parts_of(target)
    asked = rest.partition("#")[0].removeprefix("?")
    made = path
    if path != route:
        made = "/".join(_segments(shapes.segments(path), shapes.segments(route), scrub))
    return made + (f"?{query(asked, scrub)}" if asked else "")


def _segments(parts: Sequence[str], route: Sequence[str], scrub: Scrubber) -> list[str]:
    """Segments of a path; beyond a route's last name, which may stand for several, all are values."""
    made = []
    open_end = route[-1].endswith("*}")
    for place, part in enumerate(parts):
        shown = route[min(place, len(route) - 1)] if open_end or place < len(route) else "{}"
        is_word = "{" not in shown and shapes.kind_of(part) == WORD
        made.append(part if is_word or shown == part else _value(part, scrub))
    return made


def is_name(text: str) -> bool:
    """Whether that is what somebody who writes a program calls a field; else it is a value."""
    return _NAME.fullmatch(text) is not None and shapes.kind_of(text) == WORD


def query(text: str, scrub: Scrubber) -> str:
    """A query, or a form: names stay, values become tokens."""
    made = []
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if not equals:  # may be a name, may be a value
            made.append(_named(part, scrub))
        elif SECRET.search(name):
            made.append(f"{_named(name, scrub)}={quote(scrub.secret(unquote(value)), safe='')}")
        else:
            made.append(f"{_named(name, scrub)}={_value(value, scrub)}")
    return "&".join(made)


def _named(name: str, scrub: Scrubber) -> str:
    return name if is_name(unquote(name)) else _value(name, scrub)


def _value(text: str, scrub: Scrubber) -> str:
    token = scrub.value(unquote(text.replace("+", " "))) or ""
    return token if token.isascii() and token.isalnum() else quote(token, safe="")
