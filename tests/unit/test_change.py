"""Fixes in the application as changes of kept transactions: order, pauses, locks, what is left out."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from made_manifest import manifest_of
from made_tables import column, schema, table

from replay import finding
from replay.conduct.change import InOrder, changed, count
from replay.finding import Change
from replay.made import Made
from replay.sql.fingerprint import fingerprint
from replay.workload import Statement, Template, Transaction, Workload

TABLES = schema(
    table("account", 100, column("id"), column("n"), keys=[("id",)]),
    table("zone", 100, column("id"), column("n"), keys=[("id",)]),
)
READ = "SELECT n FROM account WHERE id = $1"
WRITE = "UPDATE account SET n = n + 1 WHERE id = $1"
ZONE = "UPDATE zone SET n = n + 1 WHERE id = $1"
LOCK = "SELECT n FROM account WHERE id = $1 FOR UPDATE"
MILLI = 1000


def ran(sql, *values, pause=0, error=""):
    """(statement that took 1 ms, the client's pause before it)."""
    told = Statement(
        template=fingerprint(sql).id,
        sql=sql,
        slots="p" * len(values),
        values=values,
        prepared="s1" if values else None,
        offset_us=0,
        duration_us=MILLI,
        error=error,
    )
    return told, pause * MILLI


def unit(*told, ident=0, session="s", start=0):
    at, statements = 0, []
    for statement, pause in told:
        at += pause
        statements.append(replace(statement, offset_us=at))
        at += statement.duration_us
    return Transaction(
        id=ident,
        session=session,
        start_us=start,
        weight=1.0,
        shape="",
        statements=tuple(statements),
    )


def workload(*transactions):
    found = {s.template: fingerprint(s.sql) for one in transactions for s in one.statements}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    manifest = manifest_of(now)
    templates = [
        Template(
            id=one.id, sql=one.sql, kind=one.kind, tables=one.tables, calls=1, errors=0, total_ms=1
        )
        for one in found.values()
    ]
    return Workload(manifest=manifest, templates=templates, transactions=transactions)


def change(kind, *statements):
    return Change(kind=kind, templates=tuple(fingerprint(sql).id for sql in statements))


def made(kind, transaction, *statements):
    """(SQL, ms since the begin) of the changed transaction's statements."""
    (one,) = changed(workload(transaction), [change(kind, *statements)]).transactions
    return [(s.sql, s.offset_us // MILLI) for s in one.statements]


def test_what_is_contended_comes_last_and_the_clients_pauses_stay_where_they_were():
    told = unit(ran("BEGIN"), ran(WRITE, "1"), ran(READ, "2", pause=20), ran("COMMIT", pause=5))
    assert made(finding.LAST, told, WRITE) == [("BEGIN", 0), (READ, 1), (WRITE, 22), ("COMMIT", 28)]


def test_what_is_locked_later_is_locked_first():
    told = unit(ran("BEGIN"), ran(ZONE, "1"), ran(LOCK, "2", pause=12), ran("COMMIT"))
    assert made(finding.FIRST, told, LOCK) == [("BEGIN", 0), (LOCK, 1), (ZONE, 14), ("COMMIT", 15)]


def test_a_transaction_that_writes_loses_its_pauses_and_one_that_reads_its_frame():
    writes = unit(ran("BEGIN"), ran(READ, "1"), ran(WRITE, "1", pause=500), ran("COMMIT", pause=9))
    assert [at for _, at in made(finding.SHORTER, writes, WRITE)] == [0, 1, 2, 3]
    reads = unit(ran("BEGIN"), ran(READ, "1"), ran(READ, "2", pause=500), ran("COMMIT"))
    assert made(finding.SHORTER, reads, READ) == [(READ, 1), (READ, 502)]
    locks = unit(ran("BEGIN"), ran(LOCK, "1"), ran(READ, "2", pause=500), ran("COMMIT"))
    assert made(finding.SHORTER, locks, READ)[0] == ("BEGIN", 0), "a lock needs its transaction"
    alone = unit(ran(READ, "1"))
    assert count(workload(alone), change(finding.SHORTER, READ)) == 0


def test_an_advisory_lock_ends_with_the_transaction_of_what_it_guarded():
    lock, unlock = "SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock(7)"
    units = [
        unit(ran(lock), ident=0),
        unit(ran(READ, "9"), ident=1, session="another", start=1 * MILLI),
        unit(ran(WRITE, "1"), ident=2, start=2 * MILLI),
        unit(ran(unlock), ident=3, start=4 * MILLI),
        unit(ran(READ, "1"), ident=4, start=9 * MILLI),
    ]
    found = changed(workload(*units), [change(finding.TRANSACTION_LOCK, lock)]).transactions
    assert [one.id for one in found] == [0, 1, 4]
    assert [(s.sql, s.offset_us // MILLI) for s in found[0].statements] == [
        ("BEGIN", 0),
        ("SELECT pg_advisory_xact_lock(7)", 0),
        (WRITE, 2),
        ("COMMIT", 5),
    ]
    unkept = changed(workload(*units[:3]), [change(finding.TRANSACTION_LOCK, lock)]).transactions
    assert [len(one.statements) for one in unkept] == [1, 1, 1]
    assert unkept[0].statements[0].sql == "SELECT pg_advisory_xact_lock(7)"


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT id FROM q LIMIT 1 FOR UPDATE", "SELECT id FROM q LIMIT 1 FOR UPDATE SKIP LOCKED"),
        (
            "DELETE FROM q WHERE id IN (SELECT id FROM q LIMIT 1 for no key update)",
            "DELETE FROM q WHERE id IN (SELECT id FROM q LIMIT 1 for no key update SKIP LOCKED)",
        ),
        ("SELECT id FROM q FOR UPDATE NOWAIT", None),
        ("SELECT id FROM q FOR UPDATE SKIP LOCKED", None),
        ("SELECT id FROM q FOR SHARE", None),
    ],
)
def test_workers_pass_over_what_others_have_locked(sql, wanted):
    told = unit(ran(sql))
    assert made(finding.SKIP_LOCKED, told, sql) == [(wanted or sql, 0)]
    assert count(workload(told), change(finding.SKIP_LOCKED, sql)) == (1 if wanted else 0)


def test_savepoints_go_with_what_failed_behind_them():
    told = unit(
        ran("BEGIN"),
        ran("SAVEPOINT a"),
        ran(ZONE, "1", error="23505"),
        ran("ROLLBACK TO SAVEPOINT a"),
        ran("RELEASE SAVEPOINT a"),
        ran(WRITE, "1"),
        ran("COMMIT"),
    )
    assert [sql for sql, _ in made(finding.NO_SAVEPOINTS, told, WRITE)] == [
        "BEGIN",
        WRITE,
        "COMMIT",
    ]


def test_without_a_change_nothing_is_read():
    made = replace(workload(), transactions=Made(1, lambda: iter([pytest.fail("was read")])))
    assert changed(made, ()) is made


def test_what_is_left_out_is_not_sent():
    told = unit(ran("BEGIN"), ran(WRITE, "1"), ran("NOTIFY done"), ran("COMMIT"))
    assert [sql for sql, _ in made(finding.WITHOUT, told, "NOTIFY done")] == [
        "BEGIN",
        WRITE,
        "COMMIT",
    ]


def test_locks_are_taken_in_the_order_of_tables_and_keys():
    wanted = change(finding.IN_ORDER, WRITE, ZONE)
    order = InOrder([wanted], TABLES)
    told = unit(
        ran("BEGIN"),
        ran(ZONE, "1"),
        ran(WRITE, "10"),
        ran(READ, "5"),
        ran(WRITE, "9"),
        ran("COMMIT"),
    )
    sorted_one, values = order.sorted(told, tuple(s.values for s in told.statements))
    assert [(s.sql, v) for s, v in zip(sorted_one.statements, values, strict=True)][1:5] == [
        (WRITE, ("9",)),
        (WRITE, ("10",)),
        (READ, ("5",)),
        (ZONE, ("1",)),
    ]
    again, _ = order.sorted(sorted_one, values)
    assert again is sorted_one
    assert count(workload(told), wanted) == 1
    assert count(workload(unit(ran(WRITE, "1"))), wanted) == 0
