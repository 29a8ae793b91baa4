"""Captured requests as a load: each is a transaction of its own, whose values are bound like SQL's.

A value in a path or a query speaks of a row, as a rule: `/tasks/123` of the task 123. Which column that
is, is told by names (the word ahead of the value, the parameter's name) and types, and the binder
is asked for it in the only words that it knows: a statement that looks the value up. So a request asks
for a row that exists, and is as hot as it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import quote, unquote

from data_gen.profile import SchemaProfile, TableProfile
from replay.load.schedule import Values
from replay.load.shard import PlannedStatement, PlannedTransaction
from replay.outcome import http_code
from replay.requests import Request, Requests, Route, as_template
from replay.service import Service
from replay.workload import Manifest, Statement, Transaction, Workload

_READING = ("GET", "HEAD")
_NO_BODY = "requests that write: their bodies are not in the log"
_NOTHING = "SELECT $1"  # looks nothing up: the value stays as it is
_NUMBERS = ("int2", "int4", "int8", "numeric")
_TEXTS = ("text", "varchar", "bpchar", "citext")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Requests as transactions; a transaction's id is its request's."""

    workload: Workload
    requests: Mapping[int, Request]
    routes: Mapping[str, Route]

    def plan(
        self, due_us: int, transaction: Transaction, values: Values, service: Service
    ) -> PlannedTransaction:
        """The arrival of a request with bound values; or left out, with the reason."""
        request = self.requests[transaction.id]
        if request.method not in _READING:
            return PlannedTransaction(due_us=due_us, statements=(), left_out=_NO_BODY)
        bound = [value for statement in values for value in statement]
        target = service.base + filled(request.target, self.routes[request.route].route, bound)
        head = (
            f"{request.method} {target} HTTP/1.1\r\nHost: {service.named}\r\n"
            "User-Agent: staging-replay\r\nAccept: */*\r\n"
        )
        expected = http_code(request.status)
        route = self.routes[request.route]
        statement = PlannedStatement(
            template=route.id,
            sql=f"{route.method} {route.route}",
            prepared=None,
            values=(head.encode("latin-1", "replace"), request.session.encode()),
            expected_error=expected,
        )
        return PlannedTransaction(due_us=due_us, statements=(statement,))


def visits(requests: Requests, manifest: Manifest, profile: SchemaProfile | None) -> Visits:
    """All kept requests as a workload of their own."""
    routes = {route.id: route for route in requests.routes}
    columns = _Columns(profile)
    return Visits(
        workload=Workload(
            manifest=replace(
                manifest,
                begin=requests.log.begin,
                end=requests.log.end,
                slice_s=requests.log.slice_s,
                executions=requests.log.requests,
                transactions=requests.log.requests,
            ),
            templates=tuple(map(as_template, requests.routes)),
            transactions=tuple(
                _transaction(request, routes[request.route].route, columns)
                for request in requests.kept
            ),
        ),
        requests={request.id: request for request in requests.kept},
        routes=routes,
    )


def filled(target: str, route: str, values: Sequence[str | None]) -> str:
    """A target with other values, in the order of `named_values`."""
    path, mark, query = target.partition("?")
    given = iter(values)
    segments = [
        quote(next(given) or "", safe="") if name is not None else text
        for text, name in _segments(path, route)
    ]
    parts = []
    for part in query.split("&") if mark else ():
        name, equals, _ = part.partition("=")
        parts.append(f"{name}={quote(next(given) or '', safe='')}" if equals else part)
    return "/".join(segments) + mark + "&".join(parts)


def named_values(target: str, route: str) -> Iterator[tuple[str, str]]:
    """What is said of each value of a target, and the value: first the path's, then the query's."""
    path, mark, query = target.partition("?")
    for text, name in _segments(path, route):
        if name is not None:
            yield name, unquote(text)
    for part in query.split("&") if mark else ():
        name, equals, value = part.partition("=")
        if equals:
            yield name, unquote(value.replace("+", " "))


def _segments(path: str, route: str) -> Iterator[tuple[str, str | None]]:
    """A path's segments, and for those that are values the word ahead of them."""
    shown = route.split("/")
    word = ""
    for place, text in enumerate(path.split("/")):
        pattern = shown[min(place, len(shown) - 1)]
        if "{" in pattern:
            yield text, word
        else:
            yield text, None
            word = text


def _transaction(request: Request, route: str, columns: "_Columns") -> Transaction:
    def asked(sql: str, *values: str) -> Statement:
        return Statement(
            template=request.route,
            sql=sql,
            slots="p" * len(values),
            values=values,
            prepared=None,
            offset_us=0,
            duration_us=max(request.duration_us, 0),
            error=http_code(request.status),
        )

    named = list(named_values(request.target, route))
    absent = request.status == HTTPStatus.NOT_FOUND  # what was not there is not looked up
    return Transaction(
        id=request.id,
        session=request.session,
        start_us=request.start_us,
        weight=request.weight,
        shape=request.route,
        statements=tuple(
            asked(_NOTHING if absent else columns.looking_up(*one), one[1]) for one in named
        )
        or (asked("SELECT"),),
    )


class _Columns:
    """Which column a named value speaks of."""

    def __init__(self, profile: SchemaProfile | None) -> None:
        self._tables: dict[str, TableProfile] = {}
        self._owners: dict[str, list[TableProfile]] = {}
        for table in profile.tables if profile else ():
            self._tables.setdefault(table.name.lower(), table)
            for column in table.columns:
                self._owners.setdefault(column.name.lower(), []).append(table)

    def looking_up(self, name: str, value: str) -> str:
        """A statement that looks a value up; one that means nothing where nobody knows the column."""
        found = self._of_table(name, value) or self._of_column(name, value)
        if found is None:
            return _NOTHING
        table, column = found
        return f"SELECT FROM {_quoted(table.schema)}.{_quoted(table.name)} WHERE {_quoted(column)} = $1"

    def _of_table(self, name: str, value: str) -> tuple[TableProfile, str] | None:
        """`tasks`, ahead of a value: the key of the table that is called so."""
        for spelling in _spellings(name):
            table = self._tables.get(spelling)
            key = _key(table, value) if table is not None else None
            if table is not None and key is not None:
                return table, key
        return None

    def _of_column(self, name: str, value: str) -> tuple[TableProfile, str] | None:
        """`worker`, a parameter: the column called so, or worker_id."""
        for spelling in (name.lower(), f"{name.lower()}_id"):
            for table in self._owners.get(spelling, ()):
                column = next(c for c in table.columns if c.name.lower() == spelling)
                if _may_hold(column.base_type, value):
                    return table, column.name
        return None


def _spellings(name: str) -> Iterator[str]:
    """A table's name as a path or a parameter may say it: plural, singular, with `_id`."""
    word = name.lower().replace("-", "_").removesuffix("_id")
    yield from (word, f"{word}s", f"{word}es", word.removesuffix("s"), word.removesuffix("es"))
    if word.endswith("ies"):
        yield f"{word.removesuffix('ies')}y"
    if word.endswith("y"):
        yield f"{word.removesuffix('y')}ies"


def _key(table: TableProfile, value: str) -> str | None:
    """The column of a table that alone tells its rows and can hold that value, the primary key first."""
    types = {column.name: column.base_type for column in table.columns}
    keys = sorted((c for c in table.constraints if c.kind in "pu"), key=lambda key: key.kind)
    alone = [key.columns[0] for key in keys if len(key.columns) == 1]
    return next((name for name in alone if _may_hold(types.get(name, ""), value)), None)


def _may_hold(base_type: str, value: str) -> bool:
    if value.lstrip("-").isdecimal():
        return base_type in _NUMBERS
    is_uuid = len(value) == 36 and value.count("-") == 4
    return base_type == "uuid" if is_uuid else base_type in _TEXTS


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
