"""The rules on recorded evidence: each fires on its own cause, and is silent where a detail is another."""

from dataclasses import replace

import pytest
from made_evidence import (
    BEGIN,
    BUMP,
    CHILD,
    COMMIT,
    DELETE,
    LOCK,
    NAP,
    NOTIFY,
    READ,
    SAVEPOINT,
    SQL,
    TAKE,
    UPSERT,
    Run,
)

from replay import finding as finding_kinds
from replay.diagnose import diagnose
from replay.diagnose.rules.blocking_maintenance import concurrently
from replay.workload import Conflict

ALTER = "ALTER TABLE tasks ADD COLUMN extra int"
BUILD = "CREATE INDEX tasks_state ON tasks (state)"
FREEZE = "autovacuum: VACUUM public.tasks (to prevent wraparound)"
TICKS = range(50, 1550, 100)


def rules(run, directory, **more):
    return [finding.rule for finding in diagnose(run.evidence(directory, **more))]


def ddl_queue(waiters=3, mode="AccessExclusiveLock"):
    """A long read, a DDL behind it, and readers behind that."""
    run = Run()
    run.transaction(1, 0, (NAP, 0, 1600))
    relation = {"lock": "relation", "relation": "public.tasks"}
    for at in TICKS:
        run.edge(
            at,
            90,
            1,
            wait=at,
            tag=NAP,
            mode=mode,
            waiter_template="",
            waiter_text=ALTER,
            **relation,
        )
        for waiter in range(2, 2 + waiters):
            run.edge(
                at,
                waiter,
                90,
                wait=at,
                tag="",
                blocker_text=ALTER,
                waiter_template=READ,
                mode="AccessShareLock",
                **relation,
            )
    for waiter in range(2, 2 + waiters):
        run.transaction(waiter, 0, (READ, 1, 1601))
    return run


def test_1_names_the_ddl_and_the_long_holder(tmp_path):
    (finding,) = diagnose(ddl_queue().evidence(tmp_path))
    assert finding.rule == 1
    assert [culprit.sql for culprit in finding.templates] == [ALTER, SQL[NAP]]
    assert finding.evidence["queued_behind_at_most"] == 3
    assert finding.blocked_s == pytest.approx(4 * 1.5)


@pytest.mark.parametrize(
    "run", [ddl_queue(waiters=1), ddl_queue(mode="ShareLock")], ids=["one behind", "weaker lock"]
)
def test_1_is_silent_where_nobody_queues_up_behind_an_exclusive_lock(tmp_path, run):
    assert 1 not in rules(run, tmp_path)


def behind(text, *, state="active", lock="relation", waiter=READ, seconds=15):
    """Two sessions behind one that is none of the replay's."""
    run = Run()
    for pid in (2, 3):
        run.transaction(pid, 0, (waiter, 1, 1601))
        for at in TICKS[:seconds]:
            run.edge(
                at,
                pid,
                90,
                wait=at,
                tag="",
                blocker_text=text,
                state=state,
                lock=lock,
                relation="public.tasks",
                waiter_template=waiter,
            )
    return run


def test_2_names_the_statement_and_its_harmless_form(tmp_path):
    (finding,) = diagnose(behind(BUILD).evidence(tmp_path))
    assert (finding.rule, finding.templates[0].sql) == (2, BUILD)
    assert finding.fixes[0].sql == "CREATE INDEX CONCURRENTLY tasks_state ON tasks (state)"


@pytest.mark.parametrize(
    ("sql", "harmless"),
    [
        ("create unique index i on t (a)", "create unique index CONCURRENTLY i on t (a)"),
        ("REINDEX (VERBOSE) TABLE t", "REINDEX (VERBOSE) TABLE CONCURRENTLY t"),
        ("REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW CONCURRENTLY v"),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", ""),
        ("ALTER TABLE t ADD COLUMN a int", ""),
        ("SELECT 1", ""),
    ],
)
def test_2_the_harmless_form_of_a_statement(sql, harmless):
    assert concurrently(sql) == harmless


def test_3_names_the_freeze_and_not_the_ddl_behind_it(tmp_path):
    run = behind(FREEZE)
    (finding,) = diagnose(run.evidence(tmp_path))
    assert finding.rule == 3
    assert finding.fixes[0].sql == "VACUUM (FREEZE) public.tasks"
    assert 3 not in rules(behind("autovacuum: VACUUM public.tasks"), tmp_path)


def deleting(*, check_ms):
    """A delete whose children wait, and its plan with what the check took."""
    run = Run()
    run.transaction(1, 0, (DELETE, 0, 1600), (COMMIT, 1600, 1601))
    for pid in range(2, 6):
        run.transaction(pid, 0, (CHILD, 1, 1601))
        for at in TICKS:
            run.edge(
                at, pid, 1, wait=at, tag=DELETE, waiter_template=CHILD, relation="public.tasks"
            )
    plan = {
        "sql": SQL[DELETE],
        "how": "analyze",
        "error": "",
        "plan": [
            {
                "Plan": {"Node Type": "ModifyTable"},
                "Execution Time": 100.0,
                "Triggers": [
                    {"Constraint Name": "logs_task_id_fkey", "Time": check_ms, "Calls": 1}
                ],
            }
        ],
    }
    return run, {DELETE: plan}


def test_4_names_the_child_that_the_check_scans(tmp_path):
    run, plans = deleting(check_ms=95.0)
    (finding,) = diagnose(run.evidence(tmp_path, plans=plans))
    assert finding.rule == 4
    assert finding.relations == ("public.logs", "public.tasks")
    assert finding.fixes[0].sql == "CREATE INDEX CONCURRENTLY ON public.logs (task_id)"


def test_4_is_silent_where_the_check_is_quick(tmp_path):
    run, plans = deleting(check_ms=1.0)
    assert 4 not in rules(run, tmp_path, plans=plans)


def holding(pause, *, wait_on="transactionid"):
    """A transaction that bumps a counter, does something for so much of 1.6 s, and commits."""
    run = Run()
    busy = 1600 * (1 - pause)
    run.transaction(1, 0, (BUMP, 0, 1), (NAP, 1, 1 + busy), (COMMIT, 1599, 1600))
    for pid in (2, 3):
        run.transaction(pid, 0, (BUMP, 2, 1601))
        for at in TICKS:
            run.edge(at, pid, 1, wait=at, tag=NAP, state="idle in transaction", lock=wait_on)
    return run


@pytest.mark.parametrize(("pause", "fires"), [(0.9, True), (0.3, False)])
def test_6_asks_how_much_of_the_hold_the_client_spent(tmp_path, pause, fires):
    assert (6 in rules(holding(pause), tmp_path)) == fires
    assert 6 not in rules(holding(pause, wait_on="virtualxid"), tmp_path)


def racing(statement):
    """Sessions that insert and then work, one after the other."""
    run = Run()
    for number in range(8):
        begin = number * 190
        run.transaction(
            *(number + 1, 0, (statement, 0, begin + 1), (NAP, begin + 1, begin + 185)),
            (COMMIT, begin + 185, begin + 190),
        )
        for later in range(number + 2, 9):
            at = begin + 100
            run.edge(at, later, number + 1, wait=at, tag=NAP, waiter_template=statement)
    return run


def test_8_tells_a_race_for_a_key_from_a_hot_row(tmp_path):
    (finding,) = diagnose(racing(UPSERT).evidence(tmp_path))
    assert (finding.rule, finding.relations) == (8, ("public.counters",))
    assert finding.evidence["unique_keys"] == ["id"]
    assert 8 not in rules(racing(BUMP), tmp_path)


def deadlocking(*shape, log=True):
    run = Run()
    for pid in (1, 2):
        last = (shape[-1], 20, 400)
        run.transaction(
            pid, 0, *((name, 5 * n, 5 * n + 4) for n, name in enumerate(shape[:-1])), last,
            outcome="40P01" if pid == 1 else "ok",
        )  # fmt: skip
    if log:
        for pid, other in ((1, 2), (2, 1)):
            run.told(
                "deadlock",
                pid,
                shape[-1],
                at=400,
                mode="ShareLock",
                lock="transactionid",
                holders=str(other),
            )
    return run


def test_9_tells_an_upgrade_from_two_orders(tmp_path):
    (upgrade, *_) = diagnose(deadlocking(CHILD, LOCK).evidence(tmp_path))
    assert upgrade.rule == 9
    assert upgrade.evidence["lock_upgrade"] == "public.tasks"
    (orders, *_) = diagnose(deadlocking(BUMP, LOCK).evidence(tmp_path))
    assert orders.evidence["lock_upgrade"] == ""
    assert orders.evidence["told_by_the_log"]


def test_9_needs_no_log(tmp_path):
    (finding, *_) = diagnose(deadlocking(CHILD, LOCK, log=False).evidence(tmp_path))
    assert (finding.rule, finding.evidence["deadlocks"]) == (9, 1)
    assert not finding.evidence["told_by_the_log"]


def test_9_is_found_in_a_run_that_held_its_objective_but_not_where_production_had_it(tmp_path):
    run = deadlocking(CHILD, LOCK)
    assert rules(run, tmp_path, healthy=True) == [9]
    assert rules(run, tmp_path, healthy=True, errors={LOCK: "40P01"}) == []


def leaking(*, over):
    """A session that takes an advisory lock, and goes on to other things, or does not."""
    run = Run()
    run.transaction(1, 0, (TAKE, 0, 5), *([] if over else [(NAP, 5, 1600)]))
    if over:
        run.transaction(1, 500, (READ, 500, 501))
        run.transaction(1, 900, (READ, 900, 1600))
    for pid in (2, 3):
        run.transaction(pid, 0, (TAKE, 10, 1601))
        for at in TICKS:
            run.edge(
                at,
                pid,
                1,
                wait=at,
                tag=READ if over else NAP,
                lock="advisory",
                relation="",
                key="0 7 1",
                waiter_template=TAKE,
            )
    return run


def test_10_asks_whether_the_lock_outlived_its_transaction(tmp_path):
    (finding,) = diagnose(leaking(over=True).evidence(tmp_path))
    assert (finding.rule, finding.templates[0].id) == (10, TAKE)
    assert finding.evidence["keys"] == ["0 7 1"]
    assert 10 not in rules(leaking(over=False), tmp_path)


@pytest.mark.parametrize(("key", "fires"), [("pg_database 0", True), ("pg_class 16384", False)])
def test_11_asks_which_object_is_waited_for(tmp_path, key, fires):
    run = Run()
    run.transaction(1, 0, (NOTIFY, 0, 1), (COMMIT, 1, 1600))
    for pid in (2, 3):
        run.transaction(pid, 0, (NOTIFY, 0, 1), (COMMIT, 1, 1601))
        for at in TICKS:
            run.edge(
                at,
                pid,
                1,
                wait=at,
                tag=COMMIT,
                lock="object",
                relation="",
                key=key,
                waiter_template=COMMIT,
            )
    found = diagnose(run.evidence(tmp_path))
    assert (11 in [finding.rule for finding in found]) == fires
    if fires:
        assert [culprit.id for culprit in found[0].templates] == [NOTIFY]


def test_12_names_who_is_older(tmp_path):
    text = "CREATE INDEX CONCURRENTLY i ON tasks (state)"
    run = Run()
    run.transaction(1, 0, (NAP, 0, 1600))
    for at in TICKS:
        run.edge(
            at,
            90,
            1,
            wait=at,
            tag=NAP,
            lock="virtualxid",
            relation="",
            waiter_template="",
            waiter_text=text,
        )
    (finding,) = diagnose(run.evidence(tmp_path))
    assert (finding.rule, finding.templates[0].sql) == (12, text)
    assert finding.templates[1].id == NAP


@pytest.mark.parametrize(
    ("label", "template", "rule"),
    [
        ("Lock: extend", CHILD, 13),
        ("LWLock: BufferContent", CHILD, 13),
        ("LWLock: BufferContent", READ, None),
        ("LWLock: MultiXactOffsetSLRU", CHILD, 16),
        ("LWLock: MultiXactMemberBuffer", LOCK, 16),
        ("LWLock: ProcArray", CHILD, None),
    ],
)
def test_13_and_16_are_told_by_what_the_sessions_wait_for(tmp_path, label, template, rule):
    run = Run()
    for pid in range(1, 5):
        run.waited(template, label, 4.0, pid=pid)
    found = rules(run, tmp_path)
    assert [number for number in found if number] == ([rule] if rule else [])


@pytest.mark.parametrize(("slow", "fires"), [(40, True), (0, False)])
def test_14_needs_locks_past_the_fast_path(tmp_path, slow, fires):
    run = Run()
    run.transaction(1, 0, (READ, 0, 10))
    for pid in range(1, 5):
        run.waited(READ, "LWLock: LockManager", 3.0, pid=pid)
    plan = {"sql": SQL[READ], "how": "analyze", "error": "", "locks": 56, "slow_locks": slow,
            "plan": [{"Plan": {"Node Type": "Append"}, "Execution Time": 1.0}]}  # fmt: skip
    assert (14 in rules(run, tmp_path, plans={READ: plan})) == fires


@pytest.mark.parametrize(
    ("savepoints", "hits", "fires"), [(90, 900, True), (20, 900, False), (90, 9, False)]
)
def test_15_needs_both_savepoints_and_look_ups(tmp_path, savepoints, hits, fires):
    run = Run()
    marks = [(SAVEPOINT, n, n + 0.5) for n in range(savepoints)]
    run.transaction(1, 0, *marks, (NAP, 100, 900), (COMMIT, 900, 901))
    run.counted("slru", "subtransaction", blks_hit=hits)
    assert (15 in rules(run, tmp_path)) == fires


def slowing(*, factor, dead, xmin):
    run = Run()
    for number in range(90):
        took = 10 + 10 * (factor - 1) * number / 90
        run.transaction(1, number * 100, (LOCK, number * 100, number * 100 + took))
    run.counted("table", "public.tasks", n_dead_tup=dead, n_live_tup=40)
    run.waited("", "idle in transaction", 9.0, pid=90, text="SELECT report", xmin=xmin, age=1)
    return run


@pytest.mark.parametrize(
    ("factor", "dead", "xmin", "fires"),
    [
        (8, 50_000, 5000, True),
        (1, 50_000, 5000, False),
        (8, 100, 5000, False),
        (8, 50_000, -1, False),
    ],
    ids=["all", "steady", "no dead rows", "no snapshot"],
)
def test_17_needs_growth_dead_rows_and_a_snapshot(tmp_path, factor, dead, xmin, fires):
    found = diagnose(slowing(factor=factor, dead=dead, xmin=xmin).evidence(tmp_path))
    assert (17 in [finding.rule for finding in found]) == fires
    if fires:
        assert found[0].templates[0].id == LOCK
        assert found[0].templates[1].sql == "SELECT report"


def nth(later_ms, generic, generic_ms):
    """Four sessions whose first five executions take 20 ms each; by the generic plan one takes `generic_ms`."""
    run = Run()
    for pid in range(1, 5):
        for number in range(30):
            begin = number * 300 + pid
            took = 20 if number < 5 else later_ms
            run.transaction(pid, begin, (READ, begin, begin + took))
    node = {"Node Type": "Index Scan", "Index Name": "by_time"}
    plan = {"sql": SQL[READ], "how": "analyze", "error": "", "plan": [{"Plan": node, "Execution Time": 20.0}],
            "generic": [{"Plan": {**node, "Index Name": generic}, "Execution Time": generic_ms}]}  # fmt: skip
    return run, {READ: plan}


@pytest.mark.parametrize(
    ("later_ms", "generic", "generic_ms", "fires"),
    [
        (200, "by_tenant", 200.0, True),
        (20, "by_tenant", 200.0, False),
        (200, "by_time", 200.0, False),
        (40, "by_tenant", 120.0, True),
        (40, "by_tenant", 40.0, False),
    ],
    ids=["both", "no jump", "the same plan", "half a jump, a slow plan", "half a jump alone"],
)
def test_18_needs_a_jump_and_another_plan(tmp_path, later_ms, generic, generic_ms, fires):
    run, plans = nth(later_ms, generic, generic_ms)
    assert (18 in rules(run, tmp_path, plans=plans)) == fires


def test_20_is_told_by_recovery_in_the_way(tmp_path):
    run = behind("", state="startup")
    (finding,) = diagnose(run.evidence(tmp_path))
    assert (finding.rule, finding.relations) == (20, ("public.tasks",))
    assert 20 not in rules(behind("", state="active"), tmp_path)


def test_a_burst_in_a_good_run_is_explained_by_the_rule_that_fires(tmp_path):
    run = ddl_queue()
    for number in range(600):
        run.transaction(20, 1700 + number * 10, (READ, 1700 + number * 10, 1701 + number * 10))
    for number in range(20):
        run.transaction(21 + number, number * 20, (READ, number * 20, 1600))
    evidence = run.evidence(tmp_path, healthy=True)
    assert [(burst.from_s, burst.to_s) for burst in evidence.bursts] == [(0, 1)]
    assert [finding.rule for finding in diagnose(evidence)] == [1]


def test_bad_seconds_that_nothing_explains_are_told_in_a_good_run(tmp_path):
    run = Run()
    for second in range(10):
        took = 700 if second in (4, 5, 6) else 5
        for number in range(20):
            begin = second * 1000 + number * 10
            run.transaction(number, begin, (READ, begin, begin + took))
    (finding,) = diagnose(run.evidence(tmp_path, healthy=True))
    assert (finding.rule, finding.name) == (0, "unexplained burst")
    assert [burst["from_s"] for burst in finding.evidence["bursts"]] == [4]


def test_what_production_told_of_the_same_statements_stands_beside(tmp_path):
    seen = Conflict(
        kind="waiting",
        template=BUMP,
        peers=(),
        lock="ShareLock",
        on="transaction",
        relation="counters",
        count=7,
        total_ms=9000.0,
        longest_ms=2100.0,
        most_queued=3,
        first_seen=BEGIN,
        last_seen=BEGIN,
    )
    others = (seen, replace(seen, template=READ, count=90))
    (finding,) = diagnose(holding(0.9).evidence(tmp_path, conflicts=others))
    assert finding.evidence["in_production"] == {"waiting": 7, "longest_ms": 2100.0}


def test_the_row_is_told_by_the_log_where_the_samples_do_not(tmp_path):
    run = holding(0.9)
    run.told("waiting", 2, BUMP, at=210, lock="transactionid", key="(3,7)")
    (finding,) = diagnose(run.evidence(tmp_path))
    assert finding.evidence["locked_at"] == []  # the other waiter's is not known to be the same
    run.told("waiting", 3, BUMP, at=211, lock="transactionid", key="(3,7)")
    (finding,) = diagnose(run.evidence(tmp_path))
    assert finding.evidence["locked_at"] == ["(3,7)"]


@pytest.mark.parametrize(
    ("run", "kind", "templates"),
    [
        (holding(0.9), finding_kinds.SHORTER, (BUMP, NAP)),
        (racing(UPSERT), finding_kinds.LAST, (UPSERT,)),
        (racing(BUMP), finding_kinds.LAST, (BUMP,)),
        (deadlocking(CHILD, LOCK), finding_kinds.FIRST, (LOCK,)),
        (deadlocking(BUMP, LOCK), finding_kinds.IN_ORDER, (BUMP, LOCK)),
        (leaking(over=True), finding_kinds.TRANSACTION_LOCK, (TAKE,)),
    ],
    ids=["6", "8", "7", "9 upgrade", "9 orders", "10"],
)
def test_a_fix_in_the_application_names_what_a_replay_can_change(tmp_path, run, kind, templates):
    (found, *_) = diagnose(run.evidence(tmp_path))
    change = found.fixes[0].change
    assert (change.kind, change.templates) == (kind, templates)
