"""A service by chance, with the truth of it: which request ran which transaction."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from made_lines import csv_line

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
# By route: share of requests, mean ms, and the statements of each transaction that it runs.
ROUTES = {
    ("GET", "/tasks/{}"): (0.6, 8, [["SELECT a FROM tasks WHERE id = {}"]]),
    ("POST", "/tasks"): (
        *(0.2, 20),
        [["BEGIN", "INSERT INTO tasks VALUES ({})", "UPDATE projects SET n = {}", "COMMIT"]],
    ),
    ("GET", "/projects/{}/all"): (
        *(0.195, 60),
        [["SELECT b FROM projects WHERE id = {}"], ["SELECT c FROM tasks WHERE project = {}"]],
    ),
    ("DELETE", "/projects/{}"): (0.005, 40, [["DELETE FROM tasks WHERE project = {}"]]),
}
JOB = "SELECT job FROM queue WHERE at < {}"


@dataclass
class Service:
    """Its logs, and by method, path and statement's beginning how often it ran."""

    requests: list[str] = field(default_factory=list)
    lines: list[tuple[datetime, bytes]] = field(default_factory=list)
    ran: Counter = field(default_factory=Counter)

    def sql(self) -> bytes:
        return b"".join(line for _, line in sorted(self.lines, key=lambda pair: pair[0]))


def service(count: int, *, per_s: float, told: str = "", seed: int = 3, host: int = 0) -> Service:
    """Requests of a Poisson process; `told` says how statements name theirs: trace, id, name, route."""
    rng = np.random.default_rng(seed)
    made = Service()
    at = BEGIN
    line: Counter = Counter()
    free: list[datetime] = []  # until when each session of the pool is busy
    for _ in range(count):
        at += timedelta(seconds=float(rng.exponential(1 / per_s)))
        method, path = list(ROUTES)[rng.choice(4, p=[share for share, _, _ in ROUTES.values()])]
        _, mean_ms, transactions = ROUTES[method, path]
        trace, own = (rng.bytes(16).hex() for _ in range(2))
        took = timedelta(milliseconds=2 + float(rng.exponential(mean_ms)))
        inside = sorted(rng.uniform(0.1, 0.9, len(transactions)))
        for share, statements in zip(inside, transactions, strict=True):
            begun = at + took * float(share)
            place = next((n for n, since in enumerate(free) if since < begun), len(free))
            free[place : place + 1] = [begun + took]
            session = place + 100 * host
            for step, sql in enumerate(statements):
                made.ran[method, path, sql.split("{")[0].lower()] += 1
                when = begun + took * 0.02 * step
                _log(made, line, session, when, sql, told, trace, own, path)
        target = path.format(rng.integers(1, 10**6))
        made.requests.append(_request(method, target, at, took, trace, own, told))
    for _ in range(count // 10):  # nobody's request
        when = BEGIN + (at - BEGIN) * float(rng.uniform())
        _log(made, line, 99 + 100 * host, when, JOB, "", "", "", "")
    return made


def _log(made, line, session, at, sql, told, trace, own, path) -> None:
    line[session] += 1
    comment = {
        "trace": f" /*db_driver='psycopg',traceparent='00-{trace}-{'cd' * 8}-01'*/",
        "id": f" /* request_id: {own} */",
        # As Django has it: no slash at its begin.
        "route": f" /*route='{path.strip('/').replace('{}', '%3Cint%3Aid%3E')}/'*/",
    }.get(told, "")
    ended = at + timedelta(milliseconds=0.2)
    text = sql.format(line[session] * 1009 % 9973) + comment
    made.lines.append(
        (
            ended,
            csv_line(
                timestamp=f"{ended:%Y-%m-%d %H:%M:%S}.{ended.microsecond // 1000:03} UTC",
                session_id=f"69a42c40.{session + 16:x}",
                pid=str(session + 16),
                line_num=str(line[session]),
                application_name=f"web-{own}" if told == "name" else "api",
                message=f"duration: 0.200 ms  statement: {text}",
            ),
        )
    )


def _request(method, target, at, took, trace, own, told) -> str:
    named = {"http_traceparent": f"00-{trace}-{'ab' * 8}-01", "request_id": own} if told else {}
    ended = round((at + took).timestamp(), 3)
    return json.dumps(
        {
            "msec": f"{ended:.3f}",
            "request_method": method,
            "request_uri": target,
            "status": "200",
            "request_time": f"{took.total_seconds():.3f}",
        }
        | named
    )
