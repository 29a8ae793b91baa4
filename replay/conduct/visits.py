"""Captured requests as a load: each is a transaction of its own, whose values are bound like SQL's.

The binder is asked for a value in the only words that it knows: a statement that looks the value up.
So a request asks for a row that exists, and is as hot as it was. Which column that is, the statements tell
that the route ran, or else the names of path and parameters.

What writes is sent where that is allowed, with the body that the log has, or one that an OpenAPI
document describes; where neither has one, a transaction that the route ran is replayed in its stead.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from data_gen.profile import SchemaProfile
from replay.conduct import bodies, targets
from replay.conduct.columns import NOTHING, Columns
from replay.conduct.instead import Instead
from replay.conduct.lanes import lanes
from replay.conduct.met import Place, met, places
from replay.conduct.openapi import OpenApi
from replay.conduct.seconds import spread
from replay.errors import InputError
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.schedule import Values
from replay.outcome import LEFT_OUT_ASKED, http_code
from replay.requests import Link, Request, Requests, Route, as_template, is_called
from replay.service import Service
from replay.workload import Manifest, Statement, Transaction, Workload

READING = ("GET", "HEAD")
_BODILESS = (*READING, "OPTIONS", "DELETE", "TRACE")
# How a request was planned.
AS_CAPTURED = "as captured"
WITH_BODY = "with the body of the log"
MADE_BODY = "with a body made by the OpenAPI document"
BY_SQL = "by the statements that they ran, in their stead"
WRITES = (
    "requests other than GET and HEAD: --allow-writes sends them, --leave-out writes has the run judged "
    "without them"
)
ALL_WRITES = "writes"  # of --leave-out: every route but those that read
NO_BODY = "requests of which neither body (of the log, by --openapi) nor statements are known"

Body = tuple[str, bytes]  # media type, content


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Requests as transactions; a transaction's id is its request's."""

    workload: Workload
    requests: Mapping[int, Request]
    routes: Mapping[str, Route]
    service: Service
    links: tuple[Link, ...] = ()
    allow_writes: bool = False
    leave_out: frozenset[str] = frozenset()  # routes, by id
    openapi: OpenApi | None = None
    special: Mapping[str, str] = field(default_factory=dict)  # fields filled when sent, and marks
    instead: Instead | None = None  # what requests without a body ran
    lanes: Mapping[int, int] = field(default_factory=dict)  # of a recording: see lanes
    per_client: int = 1  # requests of a session, on average
    planned: Counter[str] = field(default_factory=Counter)  # requests by how they were planned

    def plan(
        self, due_us: int, transaction: Transaction, values: Values, more: Mapping[str, Any]
    ) -> PlannedTransaction:
        """The arrival of a request with bound values; or left out, with the reason.

        `more` has its session, and when that connects, where it is one of a recording.
        """
        request = self.requests[transaction.id]
        lane = self.lanes.get(request.id, 0)
        if lane and more.get("session"):
            more = {**more, "session": f"{request.session} {lane}", "connect_us": due_us}
        bound = [value for statement in values for value in statement]
        if request.route in self.leave_out:
            return PlannedTransaction(due_us=due_us, statements=(), left_out=LEFT_OUT_ASKED)
        if request.method not in READING and not self.allow_writes:
            return PlannedTransaction(due_us=due_us, statements=(), left_out=WRITES)
        how, body = self._body(request, bound)
        if body is None:
            return self._instead(due_us, request, more)
        self.planned[how] += 1
        route = self.routes[request.route]
        statement = PlannedStatement(
            template=route.id,
            sql=f"{route.method} {route.route}",
            prepared=None,
            values=(
                self._head(request, bound, body[0]),
                request.session.encode(),
                None if request.method in READING else body[1],
            ),
            expected_error=http_code(request.status),
        )
        return PlannedTransaction(
            due_us=due_us,
            statements=(statement,),
            session=more.get("session", ""),
            connect_us=more.get("connect_us", 0),
            client=request.session,
        )

    def has_body(self, request: Request) -> bool:
        """Whether a request can be sent: its body is known, or it has none."""
        if request.body is not None or request.method in _BODILESS:
            return True
        route = self.routes[request.route].route
        return self.openapi is not None and self.openapi.knows(request.method, route)

    def _instead(
        self, due_us: int, request: Request, more: Mapping[str, Any]
    ) -> PlannedTransaction:
        """What the request ran, where that is known; else it is left out."""
        found = self.instead.plan(due_us, request, more) if self.instead is not None else None
        if found is None:
            return PlannedTransaction(due_us=due_us, statements=(), left_out=NO_BODY)
        self.planned[BY_SQL] += not found.left_out
        return found

    def _head(self, request: Request, bound: Sequence[str | None], kind: str) -> bytes:
        """Request line and headers, but for what is known when it is sent."""
        target = self.service.base + targets.filled(
            request.target, self.routes[request.route].route, bound
        )
        lines = [
            f"{request.method} {target} HTTP/1.1",
            f"Host: {self.service.named}",
            "User-Agent: staging-replay",
        ]
        lines += request.headers.splitlines()
        if kind:
            lines.append(f"Content-Type: {kind}")
        if self.service.tls is not None and request.method not in READING:
            lines.append(f"Referer: {self.service.url}")  # which Django asks for
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")

    def _body(self, request: Request, bound: Sequence[str | None]) -> tuple[str, Body | None]:
        """How a request's body came about, and the body; None where nobody knows it."""
        if request.body is not None:
            named = list(bodies.named_values(request.body, request.content_type))
            given = [
                self.special.get(name, value)
                for (name, _), value in zip(named, bound[len(bound) - len(named) :], strict=True)
            ]
            content = bodies.filled(request.body, request.content_type, given)
            return WITH_BODY, (request.content_type, content)
        if request.method in _BODILESS:
            return AS_CAPTURED, ("", b"")
        if self.openapi is not None:
            made = self.openapi.body(request.method, self.routes[request.route].route)
            if made is not None:
                return MADE_BODY if made[0] else AS_CAPTURED, made
        return NO_BODY, None


def visits(
    requests: Requests,
    manifest: Manifest,
    profile: SchemaProfile | None,
    service: Service,
    *,
    allow_writes: bool = False,
    leave_out: Sequence[str] = (),
    openapi: OpenApi | None = None,
    special: Mapping[str, str] = MappingProxyType({}),
    ran: Iterable[Transaction] = (),
) -> Visits:
    """All kept requests as a workload of their own; `ran` are the transactions that they are linked to.

    Raises InputError where `leave_out` names a route that there is not.
    """
    routes = {route.id: route for route in requests.routes}
    columns = Columns(profile)

    def named(request: Request) -> Iterable[tuple[tuple[str, ...], str]]:
        return _named(request, routes[request.route].route)

    everything = len(requests.kept) == requests.log.requests
    kept = spread(requests.kept) if everything else requests.kept
    known = met(kept, requests.links, ran, profile, named)
    return Visits(
        workload=Workload(
            manifest=replace(
                manifest,
                begin=requests.log.begin,
                end=requests.log.end,
                everything=everything,
                slice_s=requests.log.slice_s,
                executions=requests.log.requests,
                transactions=requests.log.requests,
            ),
            templates=tuple(map(as_template, requests.routes)),
            transactions=tuple(
                _transaction(request, named(request), columns, known) for request in kept
            ),
        ),
        requests={request.id: request for request in kept},
        routes=routes,
        service=service,
        allow_writes=allow_writes,
        leave_out=frozenset(_called(requests.routes, leave_out)),
        openapi=openapi,
        special=special,
        links=requests.links,
        lanes=lanes(kept) if everything else {},
        per_client=math.ceil(requests.log.requests / max(requests.log.sessions, 1)),
    )


def _called(routes: Sequence[Route], names: Iterable[str]) -> Iterator[str]:
    """Ids of the routes with these names."""
    for name in names:
        if name == ALL_WRITES:
            yield from (route.id for route in routes if route.method not in READING)
            continue
        found = [route.id for route in routes if is_called(as_template(route), name)]
        if not found:
            raise InputError(
                f"--leave-out {name}: no such route in the workload; replay inspect --routes lists them"
            )
        yield from found


def _transaction(
    request: Request,
    named: Iterable[tuple[tuple[str, ...], str]],
    columns: Columns,
    known: Mapping[Place, str],
) -> Transaction:
    """`known` are the statements of places whose column is known; else names tell it."""

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

    absent = request.status == HTTPStatus.NOT_FOUND  # what was not there is not looked up
    return Transaction(
        id=request.id,
        session=request.session,
        start_us=request.start_us,
        weight=request.weight,
        shape=request.route,
        statements=tuple(
            asked(
                NOTHING if absent else known.get(place) or columns.looking_up(place[1], value),
                value,
            )
            for place, value in places(request.route, named)
        )
        or (asked("SELECT"),),
    )


def _named(request: Request, route: str) -> Iterable[tuple[tuple[str, ...], str]]:
    """All named values of a request: of its path, its query and its body."""
    yield from targets.named_values(request.target, route)
    if request.body is not None:
        for name, value in bodies.named_values(request.body, request.content_type):
            yield (name,), value
