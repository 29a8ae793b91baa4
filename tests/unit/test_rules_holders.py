"""Rules on recorded evidence where who holds the lock is not who was seen to run, or no client at all."""

from dataclasses import replace

import pytest
from made_evidence import (
    CHILD,
    COMMIT,
    DELETE,
    LOCK_TABLE,
    LOGS,
    NAP,
    READ,
    SQL,
    UPSERT,
    WRITE_SCAN,
    Run,
    plan,
)

from data_gen.profile import IndexProfile
from replay.diagnose import diagnose
from replay.diagnose.rules.foreign_key_scan import unindexed
from replay.migration import Migration, MigrationStatement
from replay.sql.fingerprint import fingerprint

TICKS = range(50, 1550, 100)
ALTER = "ALTER TABLE tasks ADD COLUMN extra int"
BACKFILL = "UPDATE tasks SET extra = 1"
BUILD = "CREATE INDEX tasks_state ON tasks (state)"


def waiting(root, *, waiter=READ, lock="relation", relation="public.tasks", **edge):
    """A run in which two sessions wait 1.6 s for the root's, of whose statements (template, from, to)."""
    run = Run()
    if root:
        run.transaction(1, 0, *root)
    for pid in (2, 3):
        run.transaction(pid, 0, (waiter, 1, 1601))
        for at in TICKS:
            run.edge(
                *(at, pid, 1),
                wait=at,
                waiter_template=waiter,
                lock=lock,
                relation=relation,
                **{"tag": root[-1][0] if root else "", **edge},
            )
    return run


def of_rule(number, run, directory, **more):
    """The finding of a rule, or None."""
    found = diagnose(run.evidence(directory, **more))
    return next((finding for finding in found if finding.rule == number), None)


def test_1_writers_queue_up_behind_a_build_that_itself_waits(tmp_path):
    run = Run()
    run.transaction(1, 0, (WRITE_SCAN, 0, 1600))
    table = {"lock": "relation", "relation": "public.tasks"}
    for at in TICKS:
        own = {"waiter_template": "", "waiter_text": BUILD, "mode": "ShareLock"}
        run.edge(at, 90, 1, wait=at, tag=WRITE_SCAN, **own, **table)
        for pid in (2, 3):
            behind = {"waiter_template": CHILD, "blocker_text": BUILD, "mode": "RowExclusiveLock"}
            run.edge(at, pid, 90, wait=at, tag="", **behind, **table)
    found = of_rule(1, run, tmp_path)
    assert [culprit.sql for culprit in found.templates] == [BUILD, SQL[WRITE_SCAN]]
    assert found.evidence["queued_behind_at_most"] == 2


def test_2_what_only_reads_is_no_maintenance(tmp_path):
    run = waiting((), blocker_text="SELECT count(*) FROM tasks")
    assert of_rule(2, run, tmp_path) is None


def test_2_a_lock_of_the_whole_table_lasts_as_long_as_its_transaction(tmp_path):
    root = ((LOCK_TABLE, 0, 1), (NAP, 1, 1599), (COMMIT, 1599, 1600))
    found = of_rule(2, waiting(root), tmp_path)
    assert [culprit.id for culprit in found.templates] == [LOCK_TABLE, NAP]
    assert "until its transaction ends" in found.summary
    assert "commit it by itself" in found.fixes[0].why


def test_2_a_client_that_pauses_behind_such_a_lock_is_rule_6(tmp_path):
    root = ((LOCK_TABLE, 0, 1), (COMMIT, 1599, 1600))
    run = waiting(root, state="idle in transaction", tag=NAP)
    assert of_rule(6, run, tmp_path) is not None


def release(*texts):
    """A migration of these statements, each half a second."""
    return Migration(
        file="release.sql",
        at_s=0.0,
        repeat=1,
        rounds=(),
        statements=tuple(
            MigrationStatement(
                round=1,
                line=number + 1,
                sql=text,
                template=fingerprint(text).id,
                began_s=number / 2,
                ended_s=number / 2 + 0.5,
                outcome="ok",
            )
            for number, text in enumerate(texts)
        ),
    )


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (("BEGIN", ALTER, BACKFILL, "COMMIT"), [ALTER, BACKFILL]),
        ((ALTER, BACKFILL), []),
        (("BEGIN", ALTER, "COMMIT", BACKFILL), []),
    ],
    ids=["one transaction", "none", "another"],
)
def test_2_a_release_that_fills_behind_its_ddl(tmp_path, texts, named):
    run = waiting((), tag=fingerprint(BACKFILL).id)
    found = of_rule(2, run, tmp_path, migration=release(*texts))
    assert [culprit.sql for culprit in (found.templates if found else ())] == named


@pytest.mark.parametrize(("rows", "fires"), [(5000, True), (3, False)])
def test_2_one_statement_that_writes_very_many_rows(tmp_path, rows, fires):
    run = waiting(((DELETE, 0, 1600),), waiter=DELETE, lock="transactionid", relation="")
    plans = {DELETE: plan(DELETE, read=rows, kept=rows, ms=1500.0, write=True)}
    found = of_rule(2, run, tmp_path, plans=plans)
    assert (found is not None) == fires
    if found:
        assert found.summary.startswith(
            "DELETE FROM tasks WHERE id = $1 holds rows of public.tasks"
        )
        assert "a transaction" in found.fixes[0].why


def test_2_a_backfill_that_is_none_of_the_replays(tmp_path):
    found = of_rule(2, waiting((), blocker_text=BACKFILL, lock="transactionid"), tmp_path)
    assert found.templates[0].sql == BACKFILL
    idle = waiting((), blocker_text=BACKFILL, lock="transactionid", state="idle in transaction")
    assert of_rule(2, idle, tmp_path) is None
    assert of_rule(6, idle, tmp_path) is not None


def test_5_needs_a_plan_that_is_wasteful(tmp_path):
    root = ((WRITE_SCAN, 0, 1599), (COMMIT, 1599, 1600))
    run = waiting(root, lock="transactionid")
    wasteful = plan(WRITE_SCAN, read=1_200_000, kept=4, ms=1500.0, write=True)
    assert of_rule(5, run, tmp_path, plans={WRITE_SCAN: wasteful}) is not None
    thrifty = plan(WRITE_SCAN, read=40, kept=4, ms=1500.0, write=True)
    assert of_rule(5, run, tmp_path, plans={WRITE_SCAN: thrifty}) is None


def test_6_a_prepared_transaction_that_nobody_ends(tmp_path):
    found = of_rule(6, waiting((), state="prepared", lock="transactionid"), tmp_path)
    assert found.summary.startswith("a prepared transaction sits idle for 100%")
    assert "ROLLBACK PREPARED" in found.fixes[0].why
    assert found.fixes[0].change is None


@pytest.mark.parametrize(
    ("relation", "fires"), [("public.counters", True), ("public.tasks", False)]
)
def test_8_an_insert_that_waits_for_its_parent_is_no_race_for_a_key(tmp_path, relation, fires):
    root = ((UPSERT, 0, 1), (NAP, 1, 1600))
    run = waiting(root, waiter=UPSERT, lock="transactionid", relation=relation)
    assert (of_rule(8, run, tmp_path) is not None) == fires


@pytest.mark.parametrize(
    ("text", "lock"),
    [
        ("CREATE INDEX i ON tasks (state)", "virtualxid"),
        ("REINDEX TABLE CONCURRENTLY t", "relation"),
    ],
)
def test_12_is_silent_where_no_build_waits_for_a_snapshot(tmp_path, text, lock):
    run = waiting(((NAP, 0, 1600),), waiter="", waiter_text=text, lock=lock)
    assert of_rule(12, run, tmp_path) is None


@pytest.mark.parametrize(
    ("last_ms", "before", "fires"),
    [(80, "by_time", True), (80, "by_tenant", False), (2, "by_time", False)],
    ids=["both", "the same plan", "no slower"],
)
def test_18_other_statistics_need_another_plan_and_growth(tmp_path, last_ms, before, fires):
    run = Run()
    for number in range(90):
        took = 2 if number < 45 else last_ms
        run.transaction(1, number * 100, (READ, number * 100, number * 100 + took))
    node = {"Node Type": "Index Scan", "Index Name": "by_tenant"}
    entry = {
        "sql": SQL[READ],
        "how": "analyze",
        "error": "",
        "plan": [{"Plan": node, "Execution Time": float(last_ms)}],
        "before": [{"Plan": {**node, "Index Name": before}}],
    }
    found = of_rule(18, run, tmp_path, plans={READ: entry})
    assert (found is not None) == fires
    if found:
        assert found.evidence["kind"] == "other statistics"
        assert found.fixes[0].sql.startswith("ANALYZE")


def test_20_queries_that_recovery_cancelled(tmp_path):
    run = Run()
    run.transaction(1, 0, (READ, 0, 400), outcome="40001")
    assert of_rule(20, run, tmp_path) is None
    run.counted("conflict", "shop", confl_lock=3, confl_snapshot=0)
    assert "3 queries were cancelled" in of_rule(20, run, tmp_path).summary


def test_what_nobody_explains_names_the_root_its_transaction_and_when(tmp_path):
    root = ((WRITE_SCAN, 0, 2), (COMMIT, 2, 1600))
    (found,) = diagnose(waiting(root, lock="transactionid").evidence(tmp_path))
    (longest,) = found.evidence["longest"]
    assert found.name == "unexplained"
    assert (longest["template"], longest["transaction"]) == (COMMIT, [WRITE_SCAN, COMMIT])
    assert (longest["relation"], longest["sessions"], longest["depth"]) == ("public.tasks", 2, 1)
    assert (longest["from_s"], longest["to_s"]) == (0.05, 1.45)


@pytest.mark.parametrize(
    ("columns", "more", "served"),
    [
        (("task_id",), "", True),
        (("task_id", "at"), "", True),
        (("at", "task_id"), "", False),
        (("",), "", False),
        (("task_id",), " WHERE (task_id IS NOT NULL)", True),
        (("task_id",), " WHERE (at IS NOT NULL)", False),
        (("task_id",), " WHERE (state = 'new'::text)", False),
    ],
)
def test_which_index_serves_the_check_of_a_foreign_key(columns, more, served):
    index = IndexProfile(
        name="there",
        definition=f"CREATE INDEX there ON public.logs USING btree (…){more}",
        columns=columns,
        unique=False,
        valid=True,
        bytes=1,
    )
    assert list(unindexed([replace(LOGS, indexes=(index,))])) == (
        [] if served else [(replace(LOGS, indexes=(index,)), LOGS.foreign_keys[0])]
    )
    coarse = replace(index, definition=index.definition.replace("btree", "brin"))
    invalid = replace(index, valid=False)
    assert list(unindexed([replace(LOGS, indexes=(coarse, invalid))]))


def test_a_chain_is_told_by_what_its_root_holds(tmp_path):
    run = Run()
    run.transaction(1, 0, (WRITE_SCAN, 0, 2), (COMMIT, 1600, 1601))
    run.transaction(2, 0, (UPSERT, 0, 1), (WRITE_SCAN, 1, 1602))
    for at in TICKS:
        run.edge(at, 2, 1, wait=at, tag=COMMIT, waiter_template=WRITE_SCAN, relation="public.tasks")
        for pid in (3, 4, 5):
            run.edge(at, pid, 2, wait=at, tag=WRITE_SCAN)
    found = of_rule(6, run, tmp_path)
    assert found.relations == ("public.tasks",)
    assert (found.evidence["sessions_blocked_at_most"], found.evidence["depth"]) == (4, 2)
