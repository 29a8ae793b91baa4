"""A captured body's values, to be bound as a query's are, and the body with others in their place."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from replay import multipart

FORM = "application/x-www-form-urlencoded"


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def named_values(body: str, kind: str) -> Iterator[tuple[str, str]]:
    """What each value of a body is called, and the value, in order; JSON but for a form. Files have none."""
    if multipart.is_form(kind):
        for part in multipart.parts(body, kind):
            if part.file is None:
                yield part.name, part.content
    elif kind == FORM:
        yield from parse_qsl(body, keep_blank_values=True)
    else:
        yield from _leaves(_read(body), "")


def filled(body: str, kind: str, values: Sequence[str | None]) -> bytes:
    """The body with other values, in the order of `named_values`."""
    given = iter(values)
    if multipart.is_form(kind):
        made = (
            part if part.file is not None else replace(part, content=next(given) or "")
            for part in multipart.parts(body, kind)
        )
        return multipart.written(made).encode()
    if kind == FORM:
        pairs = parse_qsl(body, keep_blank_values=True)
        return urlencode([(name, next(given) or "") for name, _ in pairs]).encode()
    return "".join(_written(_read(body), given)).encode()


def _read(body: str) -> Any:
    return json.loads(body, parse_int=_Number, parse_float=_Number, parse_constant=_Number)


def _leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    elif isinstance(value, str):
        yield name, str(value)


def _written(value: Any, given: Iterator[str | None]) -> Iterator[str]:
    if isinstance(value, dict):
        for place, (key, inner) in enumerate(value.items()):
            yield f"{',' if place else '{'}{json.dumps(key)}:"
            yield from _written(inner, given)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield "," if place else "["
            yield from _written(inner, given)
        yield "]" if value else "[]"
    elif isinstance(value, _Number):
        yield next(given) or str(value)
    elif isinstance(value, str):
        told = next(given)
        yield json.dumps(value if told is None else told)
    else:
        yield json.dumps(value)
