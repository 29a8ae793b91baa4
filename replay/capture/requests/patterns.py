"""Routes that somebody names: an OpenAPI document's paths, and the user's own file of patterns.

A pattern is a path in which `{name}` stands for one segment and `{name*}`, at its end, for all that
follow; a method ahead of it limits it to that. Of those that fit the one with the fewest names is taken, and
of several such the first: so a small file ahead of a document corrects it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from replay import documents
from replay.capture.requests.shapes import segments
from replay.errors import InputError

_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
_NAME = re.compile(r"\{[^{}/]*\}")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Pattern:
    """One named route."""

    method: str  # empty: any
    route: str  # as given
    regex: re.Pattern[str]

    def fits(self, method: str, path: str) -> bool:
        """Whether a request is of this route."""
        return self.method in ("", method) and self.regex.fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Patterns:
    """All named routes, the plainest first."""

    patterns: tuple[Pattern, ...] = ()

    def route(self, method: str, path: str) -> str:
        """The named route of a request; empty where none fits."""
        return next((p.route for p in self.patterns if p.fits(method, path)), "")

    @property
    def words(self) -> tuple[str, ...]:
        """Segments of the patterns that are no names, whatever they look like."""
        return tuple(
            {
                word
                for pattern in self.patterns
                for word in segments(pattern.route)
                if not _NAME.search(word)
            }
        )


def read(*files: Path) -> Patterns:
    """The patterns of files: each OpenAPI (JSON or YAML), or a route a line.

    Raises InputError for a file that cannot be read, and for a line that is no route.
    """
    return Patterns(_sorted([pattern for file in files for pattern in _of(file)]))


def _of(file: Path) -> list[Pattern]:
    if file.suffix.lower() in (".json", ".yaml", ".yml"):
        return _of_openapi(file)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}; name a file of routes") from error
    return _of_lines(file, text)


def _of_lines(file: Path, text: str) -> list[Pattern]:
    patterns = []
    for number, line in enumerate(text.splitlines(), 1):
        told = line.partition("#")[0].split()
        if not told:
            continue
        method = told[0].upper() if len(told) == 2 else ""
        if len(told) > 2 or (method and method not in _METHODS) or not told[-1].startswith("/"):
            raise InputError(
                f"{file}:{number}: {line.strip()[:_SHOWN]!r} is no route; write `/users/{{id}}`, or "
                "`GET /users/{id}`"
            )
        patterns.append(_pattern(method, told[-1]))
    return patterns


def _of_openapi(file: Path) -> list[Pattern]:
    document = documents.read_given(file)
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict):
        raise InputError(f"{file}: has no `paths`; name an OpenAPI document, or a file of routes")
    base = documents.base_of(document)
    return [
        _pattern(method.upper(), base + path)
        for path, operations in paths.items()
        for method in (operations if isinstance(operations, dict) else {})
        if method.upper() in _METHODS
    ]


def _pattern(method: str, route: str) -> Pattern:
    source = ""
    at = 0
    for name in _NAME.finditer(route):
        source += re.escape(route[at : name.start()])
        source += ".*" if name[0].endswith("*}") else "[^/]+"
        at = name.end()
    return Pattern(method, route, re.compile(source + re.escape(route[at:])))


def _sorted(patterns: list[Pattern]) -> tuple[Pattern, ...]:
    return tuple(sorted(patterns, key=lambda pattern: len(_NAME.findall(pattern.route))))
