"""What the samples tell of a service's sessions, and of the wait for its pool."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from made_evidence import BUMP, SQL, WRITE_SCAN

from replay import runtables
from replay.diagnose import failures, inferred, served
from replay.diagnose.stored import stored
from replay.requests import REQUEST
from replay.sql.fingerprint import fingerprint
from replay.workload import Statement, Template, Transaction

TICK_US = 100_000
ROUTE = "a" * 16


def template(name, sql, kind="select"):
    return Template(id=name, sql=sql, kind=kind, tables=(), calls=1, errors=0, total_ms=1.0)


TEMPLATES = (
    *(template(f.id, f.sql, f.kind) for f in map(fingerprint, SQL.values())),
    template(ROUTE, "DELETE /workers/{worker_id}", REQUEST),
    template("b" * 16, "GET /workers/{worker_id}", REQUEST),
)


def who(template, text):
    return template or text


def samples(*rows):
    """Of (tick, pid, text, running, statement's age in ticks, transaction's)."""
    table = pa.Table.from_pylist(
        [
            {
                "at_us": tick * TICK_US,
                "pid": pid,
                "state": "active" if running else "idle in transaction",
                "wait_type": "",
                "wait": "",
                "template": "",
                "transaction_age_us": int(opened * TICK_US),
                "query_age_us": int(age * TICK_US),
                "text": text,
                "xmin_age": -1,
            }
            for tick, pid, text, running, age, opened in rows
        ],
        schema=runtables.SAMPLES,
    )
    return served.named(table, TEMPLATES)


def requests(*rows):
    """Of (due, answered), in ticks."""
    return stored(lambda: [asked_table(*rows)])


def asked_table(*rows):
    """The same as they stand in a run."""
    return pa.Table.from_pylist(
        [
            {
                "arrival": number,
                "ordinal": 0,
                "template": ROUTE,
                "session": 0,
                "worker": 0,
                "pid": 0,
                "due_us": int(due * TICK_US),
                "lag_us": 0,
                "began_us": int(due * TICK_US),
                "ended_us": int(end * TICK_US),
                "outcome": "ok",
                "rows": -1,
            }
            for number, (due, end) in enumerate(rows)
        ],
        schema=runtables.ATTEMPTS,
    )


def test_statements_are_told_from_their_begin_to_the_last_look():
    """One transaction of two statements, and one that came after it on the same session."""
    bump, scan, comment = SQL[BUMP], SQL[WRITE_SCAN], " /*route='%2Fworkers%2F%3Cworker%3E'*/"
    seen = samples(
        (10, 7, bump + comment, True, 0.5, 1),
        (11, 7, bump + comment, False, 1.5, 2),
        (12, 7, scan + comment, True, 0.2, 3),
        (13, 7, scan, True, 1.2, 4),
        (30, 7, bump, True, 0.5, 1),
    )
    ran = inferred.statements(seen, who, TICK_US / 1e6)
    names = [ran.names[code] for code in ran.template]
    assert names == [fingerprint(sql).id for sql in (bump, scan, bump)]
    assert ran.arrival.tolist() == [0, 0, 1]
    assert ran.began_us.tolist() == [950_000, 1_180_000, 2_950_000]
    assert ran.ended_us.tolist() == [1_050_000, 1_350_000, 3_050_000]
    assert served.routes(seen, TEMPLATES) == {
        fingerprint(bump).id: ("DELETE /workers/{worker_id}",),
        fingerprint(scan).id: ("DELETE /workers/{worker_id}",),
    }


def test_a_text_that_the_server_cut_off_is_known_by_its_beginning():
    seen = samples(
        (1, 7, SQL[WRITE_SCAN][:-6], True, 1, 1), (1, 8, "UPDATE elsewhere SET a = 1", True, 1, 1)
    )
    assert seen["template"].to_pylist() == [fingerprint(SQL[WRITE_SCAN]).id, ""]


def test_requests_beyond_the_busy_sessions_wait_for_the_pool():
    """Four sessions scan while ten requests are under way: six of these wait, for the scans."""
    ticks = range(10, 20)
    seen = samples(
        *((t, pid, SQL[WRITE_SCAN], True, t - 10, t - 10) for t in ticks for pid in range(4))
    )
    ran = inferred.statements(seen, who, TICK_US / 1e6)
    asked = requests(*[(10, 20)] * 10)
    moments = np.arange(10, 20) * TICK_US
    queue = served.charge(asked, ran, moments, {})
    assert queue.total_s == pytest.approx(10 * 1.0 * 0.6, rel=0.05)
    assert queue.demand_s == {fingerprint(SQL[WRITE_SCAN]).id: pytest.approx(queue.total_s)}
    behind = {(int(at), 0): "culprit" for at in moments}
    held = served.charge(asked, ran, moments, behind)
    assert held.locks_s["culprit"] == pytest.approx(queue.total_s / 4)


def test_what_a_service_refuses_here_alone_is_a_failure_and_being_busy_is_none():
    """Production had some 404; 503 is the pool's word, and the rules of the pool say whose doing it was."""
    route = replace(TEMPLATES[-2], error_states=(("H0404", 2),))
    outcomes = ["http 404"] * 3 + ["http 500"] * 2 + ["http 503"] * 4 + ["ok"]
    table = asked_table(*[(n, n + 1) for n in range(10)])
    at = table.schema.get_field_index("outcome")
    outcome = pa.array(outcomes).cast(table.schema.field(at).type)
    found = failures.find(
        stored(lambda: [table.set_column(at, table.schema.field(at), outcome)]),
        SimpleNamespace(transactions=(), templates=(route,)),
        (),
    )
    assert found.counts == {(ROUTE, "http 500"): 2}
    assert (found.transactions_share, found.not_ok_share) == (0.2, pytest.approx(2 / 6))


def test_where_few_sessions_are_busy_nothing_waits_for_them():
    """The service itself is slow: one statement runs, and ten requests are under way."""
    seen = samples(*((t, 1, SQL[BUMP], True, 0.1, 0.1) for t in range(10, 20)))
    ran = inferred.statements(seen, who, TICK_US / 1e6)
    queue = served.charge(requests(*[(10, 20)] * 10), ran, np.arange(10, 20) * TICK_US, {})
    assert queue.total_s == 0.0
    assert not queue.demand_s


def test_a_pause_is_the_clients_only_where_production_had_it():
    def transaction(pause_us):
        one = {"sql": "", "slots": "", "values": (), "prepared": None, "duration_us": 1000}
        return Transaction(
            id=0,
            session="s",
            start_us=0,
            weight=1.0,
            shape="",
            statements=(
                Statement(template=f"first{pause_us}", offset_us=0, **one),
                Statement(template=f"last{pause_us}", offset_us=1000 + pause_us, **one),
            ),
        )

    found = served.paused([transaction(2000), transaction(90_000)])
    assert found == {"first90000", "last90000"}
