"""The statements that a request ran, to be replayed in its stead where nobody knows its body.

From the links of the capture: a request's own transactions, or those of another request of its route. They
run on connections of the replay's own beside the service, one after the other as they did.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import cycle
from typing import Any

from replay.conduct.met import ran_by
from replay.load import schedule
from replay.load.planned import PlannedTransaction
from replay.requests import Link, Request
from replay.workload import Transaction

Bind = Callable[[Transaction], schedule.Values]


class Instead:
    """Transactions by request, with what binds their values."""

    def __init__(
        self,
        links: Iterable[Link],
        requests: Iterable[Request],
        transactions: Iterable[Transaction],
        bind: Bind,
    ) -> None:
        self._bind = bind
        self._of = ran_by(links, transactions)
        routes: dict[str, list[int]] = defaultdict(list)
        for request in requests:
            if request.id in self._of:
                routes[request.route].append(request.id)
        self._others = {route: cycle(found) for route, found in routes.items()}

    def knows(self, route: str) -> bool:
        """Whether any request of that route is linked with what it ran."""
        return route in self._others

    def plan(
        self, due_us: int, request: Request, more: Mapping[str, Any]
    ) -> PlannedTransaction | None:
        """What the request ran, as one arrival; None where nobody knows it."""
        ran = self._of.get(request.id)
        if not ran and request.route in self._others:
            ran = self._of[next(self._others[request.route])]
        if not ran:
            return None
        gaps = more.get("gaps", 1.0)
        session = more.get("session", "")
        whole: PlannedTransaction | None = None
        ended_us = 0
        for one in ran:
            part = schedule.plan(due_us, one, self._bind(one), gaps=gaps)
            if part.left_out:
                return part
            if whole is None:
                whole = part
            else:
                gap_us = round(max(one.start_us - ended_us, 0) * gaps)
                first = replace(part.statements[0], gap_us=gap_us)
                whole = replace(whole, statements=(*whole.statements, first, *part.statements[1:]))
            last = one.statements[-1]
            ended_us = one.start_us + last.offset_us + last.duration_us
        assert whole is not None
        return replace(
            whole,
            aside=True,
            # A connection of its own: the session's other one goes to the service.
            session=f"{session} aside" if session else "",
            connect_us=more.get("connect_us", 0),
        )
