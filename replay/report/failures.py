"""What the server refused, by SQLSTATE and template, or by status and route, the most first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from replay.outcome import REFUSAL, RETRIED_AFTER, error_name
from replay.report.latency import TemplateLatency
from replay.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Statements of one template that were refused for one reason."""

    sqlstate: str  # after "retried:" where its transaction was begun again; or `http 500`
    template: str
    sql: str  # canonical text; empty where nobody knows it
    count: int
    expected: bool  # production had this error of the template too

    @property
    def name(self) -> str:
        """What PostgreSQL or HTTP calls it: deadlock detected, Not Found; empty where it has no name."""
        from psycopg import errors  # noqa: PLC0415 - a run without failures needs no driver

        kind, _, status = self.sqlstate.rpartition(" ")
        if kind:
            return HTTPStatus(int(status)).phrase if int(status) in set(HTTPStatus) else ""
        try:
            words = errors.lookup(self.sqlstate.removeprefix(RETRIED_AFTER)).__name__
        except KeyError:
            return ""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words).lower()


def by_sqlstate(
    templates: Sequence[TemplateLatency], workload: Workload | None
) -> tuple[Failure, ...]:
    """Failures, those first that production did not have; none is expected without a workload."""
    expected = {
        (template.id, error_name(state))
        for template in (workload.templates if workload else ())
        for state, _ in template.error_states
    }
    found = (
        Failure(
            sqlstate=name,
            template=row.id,
            sql=row.sql,
            count=count,
            expected=(row.id, name) in expected,
        )
        for row in templates
        for name, count in row.errors.items()
        if REFUSAL.fullmatch(name.removeprefix(RETRIED_AFTER))
    )
    return tuple(sorted(found, key=lambda one: (one.expected, -one.count)))
