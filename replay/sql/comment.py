"""What a statement's comment says of where it comes from: sqlcommenter's, and marginalia's.

sqlcommenter (Django, SQLAlchemy, Rails) writes `/*route='…',traceparent='…'*/` behind a statement, or
`controller='…',action='…'`; marginalia `/*controller:…,action:…*/`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from urllib.parse import unquote

MARKS = (b"route='", b"controller")
"""What a text that names a route holds, one of them."""
_ROUTE = re.compile(rb"/\*[^*]{0,400}?\broute='([^'*]{1,200})'")
_ACTION = re.compile(
    rb"/\*[^*]{0,400}?\bcontroller(?:='|:)([\w:/.%-]{1,100})'?[^*]{0,400}?\baction(?:='|:)([\w.%-]{1,100})"
)
_WRITING = frozenset(("insert", "update", "delete", "merge"))
# A value's place in a path, as frameworks and we write it: (?P<id>[0-9]+), <int:id>, {id}, :id.
_VALUE = re.compile(r"\((?:\?P<\w+>)?[^()?][^()]*\)|<[^<>/]*>|\{[^{}/]*\}|(?<=/):\w+")
_FORMAT = re.compile(r"\(\.:\w+\)$")  # Rails': may be there


def route_of(text: bytes) -> str:
    """The route that a statement's comment names; empty where it names none."""
    told = _ROUTE.search(text)
    if told is not None:
        return unquote(told[1].decode("utf-8", "replace").replace("%%", "%"))
    told = _ACTION.search(text)
    if told is None:
        return ""
    return "#".join(unquote(part.decode("utf-8", "replace")) for part in told.groups())


def shape_of(route: str) -> str:
    """A route without the names of its values, by which two spellings of one route are equal.

    Django writes one without its first slash, or as a regular expression from `^` to `$`.
    """
    text = _FORMAT.sub("", route.removeprefix("^").removesuffix("$"))
    return "/" + _VALUE.sub("{}", text).strip("/?")


def spelling(requests: Iterable[str]) -> Callable[[str, str], str]:
    """How requests (`GET /tasks/{int}`) spell a route that the comment of a kind of statement names.

    What writes is no GET's. As the comment has it where none is of that path, or several may be.
    """
    spelt: dict[str, list[str]] = defaultdict(list)
    for request in requests:
        spelt[shape_of(request.partition(" ")[2])].append(request)

    def shown(route: str, kind: str) -> str:
        found = spelt.get(shape_of(route), [])
        if kind in _WRITING:
            found = [one for one in found if not one.startswith(("GET ", "HEAD "))]
        return found[0] if len(found) == 1 else route

    return shown
