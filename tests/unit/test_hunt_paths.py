"""From kept transactions to paths, their row locks, and deadlocks that need no running."""

import dataclasses

import pytest
from made_hunt import hunted_schema, transaction, workload

from replay.conduct import amplify
from replay.conduct.amplify import Amplify
from replay.hunt import deadlocks, paths
from replay.hunt.company import failures_along
from replay.hunt.deadlocks import INVERSION, UNSORTED, UPGRADE
from replay.hunt.footprint import Footprints
from replay.hunt.model import KEY_SHARE, NO_KEY_UPDATE, SHARE, UPDATE
from replay.hunt.solo import Solo
from replay.sql.fingerprint import fingerprint
from replay.sql.slots import render

BUMP = "UPDATE counter SET n = n + 1 WHERE id = {}"
POST = "INSERT INTO message (incident_id) VALUES ({})"
LOCK = "SELECT messages FROM incident WHERE id = {} FOR UPDATE"
COUNT = "UPDATE incident SET messages = messages + 1 WHERE id = {}"


def locks(*sqls):
    return Footprints(hunted_schema()).of(transaction(1, *sqls))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (BUMP.format(7), [("public.counter", "id", "7", NO_KEY_UPDATE)]),
        ("UPDATE counter SET id = 8 WHERE id = 7", [("public.counter", "id", "7", UPDATE)]),
        ("DELETE FROM counter WHERE id IN (7, 8)", [("public.counter", "id", t, UPDATE) for t in "78"]),
        ("UPDATE ord SET state = 1 WHERE ext_id = 'x'", [("public.ord", "ext_id", "x", NO_KEY_UPDATE)]),
        (POST.format(3), [("public.incident", "id", "3", KEY_SHARE)]),
        (LOCK.format(3), [("public.incident", "id", "3", UPDATE)]),
        ("SELECT n FROM counter WHERE id = 1 FOR SHARE", [("public.counter", "id", "1", SHARE)]),
        ("SELECT n FROM counter WHERE id = 1", []),
        ("SELECT n FROM counter WHERE id = 1 FOR UPDATE SKIP LOCKED", []),
        (
            "INSERT INTO counter (id, n) VALUES (7, 1) ON CONFLICT (id) DO UPDATE SET n = 2",
            [("public.counter", "id", "7", NO_KEY_UPDATE)],
        ),
        ("INSERT INTO counter (id, n) VALUES (7, 1)", []),
        ("not sql at all", []),
    ],
)  # fmt: skip
def test_row_locks_are_read_off_the_statement(sql, expected):
    found = [(lock.table, lock.column, lock.token, lock.mode) for lock in locks(sql)]
    assert found == expected


def kinds(**kept):
    prints = Footprints(hunted_schema())
    found = deadlocks.candidates(
        {name: [prints.of(transaction(n, *one)) for n, one in enumerate(many)] for name, many in kept.items()}
    )  # fmt: skip
    return [(one.kind, one.paths) for one in found]


def test_a_child_and_then_its_parent_is_a_lock_upgrade():
    assert kinds(post=[(POST.format(3), LOCK.format(3))]) == [(UPGRADE, ("post",))]
    assert kinds(post=[(LOCK.format(3), POST.format(3))]) == []
    assert kinds(post=[(POST.format(3), LOCK.format(4))]) == []
    # what a foreign key shares, a counter's update does not exclude
    assert kinds(post=[(POST.format(3), COUNT.format(3))]) == []


def test_rows_in_no_fixed_order_can_deadlock_with_their_like():
    both = [(BUMP.format(1), BUMP.format(2)), (BUMP.format(5), BUMP.format(4))]
    assert kinds(move=both) == [(UNSORTED, ("move",))]
    assert kinds(move=[both[0], both[0]]) == []


def test_two_paths_that_lock_two_tables_the_other_way_round():
    one = [(BUMP.format(1), COUNT.format(2))]
    other = [(COUNT.format(2), BUMP.format(1))]
    assert kinds(a=one, b=other) == [(INVERSION, ("a", "b"))]
    assert kinds(a=one, b=one) == []
    assert kinds(a=one, b=[(POST.format(2), "SELECT 1")]) == []


def test_templates_that_share_their_transactions_are_one_path():
    rare = "UPDATE ord SET state = 1 WHERE ext_id = 'x'"
    found = paths.groups(
        workload(
            transaction(1, "BEGIN", BUMP.format(1), rare, "COMMIT", weight=2.0),
            transaction(2, BUMP.format(2), weight=100.0),
            rare=[rare],
        )
    )
    shown = [[template.id for template in group.templates] for group in found]
    assert shown == [[fingerprint(rare).id], [fingerprint(BUMP.format(1)).id]]
    assert found[0].rate == pytest.approx(0.2)
    assert found[0].peak == pytest.approx(1.0)  # two calls, a second each in its slice
    assert [t.id for t in found[1].samples] == [2, 1]  # the heaviest first


def test_upkeep_is_no_path():
    found = paths.groups(workload(transaction(1, "ANALYZE"), transaction(2, BUMP.format(1))))
    assert [group.templates[0].kind for group in found] == ["update"]


def at(start_s, number, sql, *, error="", **more):
    """A transaction of one statement that began then, and took a millisecond."""
    made = transaction(number, sql, **more)
    (statement,) = made.statements
    failed = dataclasses.replace(statement, error=error)
    return dataclasses.replace(made, start_us=round(start_s * 1e6), statements=(failed,))


def test_failures_along_are_those_that_come_with_it_and_with_nothing_else():
    deletes = [
        at(2, 1, "DELETE FROM incident WHERE id = 1"),
        at(7, 2, "DELETE FROM incident WHERE id = 2"),
    ]
    with_it = [at(start, n, POST.format(n), error="23503") for n, start in enumerate((2, 2, 7), 10)]
    apart = [at(start, n, POST.format(n), error="23503") for n, start in enumerate((1, 5), 20)]
    served = [at(n / 10, n, COUNT.format(n)) for n in range(30, 60)]
    everyone = [*deletes, *with_it, *apart, *served]
    assert failures_along(deletes, everyone, 10.0) == pytest.approx(1.5, rel=0.02)
    assert failures_along(deletes, [*deletes, *with_it[1:], *apart], 10.0) == 0  # too few to tell
    assert failures_along(served, everyone, 10.0) == 0  # they fail with or without it
    waited = [at(start, n, COUNT.format(n)) for n, start in enumerate((2, 3, 3.2, 4, 6), 70)]
    assert failures_along(waited, everyone, 10.0) == 0  # it was there once, as others were
    found = paths.groups(workload(*everyone))
    assert {g.templates[0].kind: g.fails > 0 for g in found} == {
        "delete": True,
        "insert": False,
        "update": False,
    }


def solo(number, *statements_s, gaps_s=None, **more):
    return Solo(
        transaction=number,
        statements_s=statements_s,
        gaps_s=gaps_s or (0.0,) * len(statements_s),
        cpu_share=more.pop("cpu_share", 1.0),
        **more,
    )


def test_a_profile_knows_for_how_long_each_lock_is_held():
    one = transaction(1, BUMP.format(1), "SELECT 1", weight=5.0)
    found = workload(one, *(transaction(n, COUNT.format(n)) for n in range(2, 7)))
    prints = Footprints(hunted_schema())
    groups = paths.groups(found)
    profiled = paths.profiled(
        groups,
        {1: solo(1, 0.01, 0.03, gaps_s=(0.0, 0.02), locks=(("table public.counter", "RowExclusiveLock"),)),
         **{n: solo(n, 0.001) for n in range(2, 7)}},
        {t.id: prints.of(t) for t in found.transactions},
    )  # fmt: skip
    bump = next(p for p in profiled if fingerprint(BUMP.format(1)).id in p.templates)
    row, table = bump.holds
    assert row.target == "row of public.counter by id"
    assert row.hold_s == pytest.approx(0.06)  # the statement, the pause, the next one
    assert row.share == pytest.approx(1.0)
    assert table.hold_s == pytest.approx(0.06)
    assert bump.gap_s == pytest.approx(0.02)
    count = next(p for p in profiled if fingerprint(COUNT.format(1)).id in p.templates)
    assert count.holds[0].share == pytest.approx(1 / 5, rel=0.2)  # five different rows


def test_demand_is_the_server_s_work_without_the_round_trip():
    assert solo(1, 0.010, 0.0005, trip_s=0.0004).demand_s == pytest.approx(0.0096 + 0.0001)
    assert solo(1, 0.020, cpu_share=0.1).demand_s == pytest.approx(0.002)
    assert solo(1, 0.020, cpu_share=0.1).elapsed_s == pytest.approx(0.020)


def arrivals_of(*numbers):
    return [(number * 1000, transaction(number, BUMP.format(number))) for number in numbers]


BUMPS = (fingerprint(BUMP.format(1)).id,)


def test_held_back_arrivals_come_on_one_tick_and_none_is_lost():
    other = (2500, transaction(99, "SELECT 1"))
    planned = sorted([*arrivals_of(1, 2, 3, 4, 5), other], key=lambda arrival: arrival[0])
    found = list(amplify.arrivals(planned, Amplify(templates=BUMPS, simultaneous=3)))
    assert [(due, one.id) for due, one in found] == [
        (2500, 99), (3000, 1), (3000, 2), (3000, 3), (5000, 4), (5000, 5),
    ]  # fmt: skip


def test_only_the_client_s_pauses_are_stretched():
    one = transaction(1, BUMP.format(1), "SELECT 1", "SELECT 2", gaps_ms=(0, 10, 4))
    ((_, found),) = amplify.arrivals([(0, one)], Amplify(templates=BUMPS, pauses=5.0))
    ends = [0, *(s.offset_us + s.duration_us for s in found.statements)]
    gaps = [s.offset_us - end for s, end in zip(found.statements, ends, strict=False)]
    assert gaps == [0, 50_000, 20_000]


def lengthened(sql, *copies):
    """Text and values with lists as long as all copies'; each copy is the statement with other values."""
    one = transaction(1, sql)
    bound = [tuple(s.values for s in transaction(1, copy).statements) for copy in (sql, *copies)]
    found, values = amplify.lengthened(one, bound)
    return render(found.statements[0].sql, found.statements[0].slots, values[0])[0]


def test_in_lists_and_rows_of_values_grow_and_other_values_stay():
    assert lengthened(
        "DELETE FROM t WHERE a = 9 AND id IN (1, 2)", "DELETE FROM t WHERE a = 8 AND id IN (3, 4)"
    ) == "delete from t where a = 9 and id in (1, 2, 3, 4)"  # fmt: skip
    assert lengthened(
        "INSERT INTO t VALUES (1, now(), 'a'), (2, now(), 'b')",
        "INSERT INTO t VALUES (3, now(), 'c'), (4, now(), 'd')",
        "INSERT INTO t VALUES (5, now(), 'e'), (6, now(), 'f')",
    ).endswith("(5, now(), 'e'), (6, now(), 'f')")
    assert (
        lengthened("SELECT 1 WHERE 2 IN (3)", "SELECT 5 WHERE 6 IN (7)")
        == "select 1 where 2 in (3)"
    )


def test_arrays_are_joined_each_element_once():
    one = transaction(1, "SELECT 1 WHERE id = ANY('{1,2}')")
    copies = [((None, "{1,2}"),), ((None, "{2,3}"),)]
    assert amplify.lengthened(one, copies)[1] == ((None, "{1,2,3}"),)
    quoted = [((None, '{"a,b"}'),), ((None, '{"c"}'),)]
    assert amplify.lengthened(one, quoted)[1] == ((None, '{"a,b"}'),)


def test_a_list_is_seen_wherever_it_stands():
    def seen(sql):
        return amplify.has_list(transaction(1, sql).statements[0])

    assert seen("SELECT 1 WHERE id = ANY('{1,2}')")
    assert seen("SELECT 1 WHERE id IN (1, 2)")
    assert seen("INSERT INTO t (a, b) VALUES (1, 2), (3, 4)")
    assert not seen("INSERT INTO t (a, b) VALUES (1, 2)")
    assert not seen("SELECT 1 WHERE id IN (SELECT 1)")
