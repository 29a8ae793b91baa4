"""A request's path and query: what their values are called, and the same with others in their place."""

from collections.abc import Iterator, Sequence
from urllib.parse import quote, unquote

_KINDS = frozenset(
    ("int", "uuid", "hex", "date", "email", "id", "name")
)  # names that capture gives


def filled(target: str, route: str, values: Sequence[str | None]) -> str:
    """A target with other values, in the order of `named_values`."""
    path, mark, query = target.partition("?")
    given = iter(values)
    segments = [
        quote(next(given) or "", safe="") if names else text
        for text, names in _segments(path, route)
    ]
    parts = []
    for part in query.split("&") if mark else ():
        name, equals, _ = part.partition("=")
        parts.append(f"{name}={quote(next(given) or '', safe='')}" if equals else part)
    return "/".join(segments) + mark + "&".join(parts)


def named_values(target: str, route: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """What each value of a target is called, and the value: first the path's, then the query's."""
    path, mark, query = target.partition("?")
    for text, names in _segments(path, route):
        if names:
            yield names, unquote(text)
    for part in query.split("&") if mark else ():
        name, equals, value = part.partition("=")
        if equals:
            yield (name,), unquote(value.replace("+", " "))


def _segments(path: str, route: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A path's segments, and what those that are values are called: by their name, by the word ahead."""
    shown = route.split("/")
    word = ""
    for place, text in enumerate(path.split("/")):
        pattern = shown[min(place, len(shown) - 1)]
        if "{" in pattern:
            name = pattern.partition("{")[2].partition("}")[0].rstrip("*")
            yield text, (word,) if name in _KINDS else (name, word)
        else:
            yield text, ()
            word = text
