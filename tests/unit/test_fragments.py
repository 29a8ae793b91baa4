"""A sample of transactions beside what is logged in any case: no call weighs twice."""

from collections import Counter

import pytest
from made_log import Log

from replay.capture import Options, capture
from replay.sql.fingerprint import fingerprint
from replay.workload import Workload

SETTINGS = {"log_min_duration_statement": "250ms", "log_transaction_sample_rate": "0.1"}
TRANSACTIONS, OUTSIDE = 400, 40
QUICK, SLOW, FAILS = "UPDATE a SET n = 1", "UPDATE b SET n = 1", "INSERT INTO c VALUES (1)"


def read(log: Log, path, **options: object) -> Workload:
    chosen = Options(settings=SETTINGS, per_stratum=1000, **options)
    return capture([log.write(path)], asked=None, key=b"k", options=chosen).workload


def estimates(workload: Workload) -> dict[str, float]:
    found: Counter[str] = Counter()
    for transaction in workload.transactions:
        for statement in transaction.statements:
            found[statement.template] += transaction.weight
        for template in transaction.untold:
            found[template] += transaction.weight
    return dict(found)


@pytest.mark.parametrize("outside", [0, OUTSIDE])
def test_parts_of_transactions_that_were_not_drawn_weigh_once(tmp_path, outside):
    log = Log()
    for n in range(TRANSACTIONS):
        drawn = n % 10 == 0
        if drawn:
            log.ran("BEGIN")
            log.ran(QUICK)
        log.ran(SLOW, ms=300)
        log.failed(FAILS, "23505")
        if drawn:
            log.ran("ROLLBACK")
    for n in range(outside):
        log.ran(SLOW, ms=400)
        log.failed(FAILS, "23505")
        if n % 10 == 0:
            log.ran(QUICK)
    workload = read(log, tmp_path / "server.json")
    calls = dict.fromkeys((QUICK, SLOW, FAILS), TRANSACTIONS + outside)
    expected = {fingerprint(sql).id: count for sql, count in calls.items()}
    found = estimates(workload)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=0.02)


def test_what_runs_outside_alone_stands_for_itself(tmp_path):
    log = Log()
    for _ in range(OUTSIDE):
        log.ran(SLOW, ms=300)
        log.failed(FAILS, "23505")
    weights = {t.weight for t in read(log, tmp_path / "server.json").transactions}
    assert weights == {1.0}
