"""Bodies of kept requests: what form they have stays, what values they hold becomes tokens.

JSON and forms, with files or without, alone have a form that can be told; of all else nothing is kept, and of
a file nothing but its kind and about how long it is.
"""

import json
from collections.abc import Iterator
from pathlib import PurePath

from replay import multipart
from replay.capture.requests.targets import SECRET, is_name, query
from replay.capture.scrub import Scrubber

FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_SUFFIX = 6  # characters of a file's name that say what it is, at most, with the point
_FIRST_OF_JSON = (b"{", b"[")


class _Number(str):
    """A number as it is written, so that it gets the token that SQL's text of it gets."""

    __slots__ = ()


def media_type(content_type: bytes) -> str:
    """A content type without its parameters."""
    return content_type.decode("utf-8", "replace").partition(";")[0].strip().lower()


def scrubbed_body(body: bytes, content_type: bytes, scrub: Scrubber) -> tuple[str, str | None]:
    """The media type, and the body with tokens for values; None for one that is none, or of another.

    That of a form with files has the boundary that its parts now have.
    """
    if not content_type and not body:
        return "", None
    kind, told = media_type(content_type), content_type.decode("utf-8", "replace")
    if not multipart.is_form(told):
        return kind, _scrubbed(body, kind, scrub)
    try:
        parts = multipart.parts(body.decode("utf-8", "replace"), told)
    except ValueError:  # not what it says it is
        return kind, None
    made = multipart.written(_part(one, scrub) for one in parts)
    return multipart.CONTENT_TYPE, made


def _part(part: multipart.Part, scrub: Scrubber) -> multipart.Part:
    name = part.name if is_name(part.name) else scrub.value(part.name) or ""
    if part.file is None:
        as_json = _scrubbed(part.content.encode(), part.kind, scrub) if part.kind == _JSON else None
        content = as_json if as_json is not None else _token(part.content, scrub, part.name)
        return multipart.Part(name=name, content=content, kind=part.kind)
    file = PurePath(part.file)
    stem = scrub.value(file.stem) or ""
    suffix = file.suffix if file.suffix[1:].isalnum() and len(file.suffix) <= _SUFFIX else ""
    content = multipart.filler(part.content)
    return multipart.Part(name=name, content=content, file=stem + suffix, kind=part.kind)


def _scrubbed(body: bytes, kind: str, scrub: Scrubber) -> str | None:
    text = body.strip()
    is_json = kind == _JSON or kind.endswith("+json") or (not kind and text[:1] in _FIRST_OF_JSON)
    try:
        if not text or not (is_json or kind == FORM):
            return None
        if kind == FORM:
            return query(text.decode(), scrub)
        found = json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
        return "".join(_written(found, scrub, ""))
    except (ValueError, RecursionError):  # not what it says it is
        return None


def _written(value: object, scrub: Scrubber, name: str) -> Iterator[str]:
    """JSON of a value below a name."""
    if isinstance(value, dict):
        for place, (key, inner) in enumerate(value.items()):
            shown = key if is_name(key) else scrub.value(key)
            yield f"{',' if place else '{'}{json.dumps(shown)}:"
            yield from _written(inner, scrub, key)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield "," if place else "["
            yield from _written(inner, scrub, name)
        yield "]" if value else "[]"
    elif isinstance(value, _Number):
        yield _number(value, scrub, name)
    elif isinstance(value, str):
        yield json.dumps(_token(value, scrub, name))
    else:
        yield json.dumps(value)


def _number(value: _Number, scrub: Scrubber, name: str) -> str:
    """A number's token, a number too unless it is a secret's."""
    token = _token(str(value), scrub, name)
    try:
        float(token)
    except ValueError:
        return json.dumps(token)
    return token.lstrip("0") or "0" if token.isdecimal() else token


def _token(value: str, scrub: Scrubber, name: str) -> str:
    return scrub.secret(value) if SECRET.search(name) else scrub.value(value) or ""
