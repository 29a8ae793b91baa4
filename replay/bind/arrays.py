"""Arrays in PostgreSQL's text form, element by element (manual, 8.15.6 "Array Input and Output")."""

import re
from collections.abc import Callable

_ELEMENT = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^{},"]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN = re.compile(r"[\w.:+-]+")


def elements(text: str) -> tuple[str, ...]:
    """The elements of an array, NULL left out."""
    values = (_value(found) for found in _ELEMENT.finditer(text))
    return tuple(value for value in values if value is not None)


def in_array(text: str, bound: Callable[[str], str]) -> str:
    """The array with each element but NULL replaced by what it is bound to."""

    def element(found: re.Match[str]) -> str:
        value = _value(found)
        return found[0] if value is None else _quoted(bound(value))

    return _ELEMENT.sub(element, text)


def _value(found: re.Match[str]) -> str | None:
    plain = found["plain"]
    if plain is None:
        return _ESCAPED.sub(r"\1", found["quoted"])
    return None if plain.strip().upper() == "NULL" else plain.strip()


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.upper() != "NULL":
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
