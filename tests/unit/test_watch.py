"""From one sample's backends to blocking edges, and rows to tables."""

import pyarrow as pa

from replay import rundir
from replay.watch.buffer import Columns
from replay.watch.locks import Seen, edges


def seen(pid, *, on=(), lock="", relation="public.t", state="active"):
    return Seen(
        pid=pid,
        state=state,
        template=f"{pid:016x}",
        transaction_age_us=0,
        blockers=on,
        lock_type=lock,
        mode="",
        relation=relation,
        wait_us=0,
    )


def pairs(*backends):
    return {(waiter.pid, blocker) for waiter, blocker, _ in edges(backends)}


def test_a_queue_for_a_row_waits_for_the_transaction_that_changed_it():
    assert pairs(
        seen(1, state="idle in transaction"),
        seen(2, on=[1], lock="transactionid"),
        seen(3, on=[2], lock="tuple"),
        seen(4, on=[2, 3], lock="tuple"),
    ) == {(2, 1), (3, 1), (4, 1)}


def test_a_chain_over_other_locks_stays_a_chain():
    assert pairs(
        seen(1),
        seen(2, on=[1], lock="relation"),
        seen(3, on=[2], lock="transactionid"),
        seen(4, on=[3], lock="tuple", relation="public.other"),
    ) == {(2, 1), (3, 2), (4, 3)}


def test_repeated_blockers_and_workers_of_one_leader_are_one_edge():
    assert pairs(
        seen(1), seen(2, on=[1, 1], lock="relation"), seen(2, on=[1], lock="relation")
    ) == {(2, 1)}


def test_a_prepared_transaction_blocks_as_pid_0_and_was_not_seen():
    ((waiter, blocker, who),) = edges([seen(2, on=[0], lock="transactionid")])
    assert (waiter.pid, blocker, who) == (2, 0, None)


def test_a_deadlock_ends():
    assert pairs(
        seen(1, on=[2], lock="tuple"), seen(2, on=[1], lock="tuple"), seen(3, on=[1], lock="tuple")
    ) <= {(1, 2), (2, 1), (3, 1), (3, 2)}


def test_rows_become_a_table_from_the_origin_on():
    rows = Columns(rundir.BLOCKING)
    rows.extend(
        [(900, 2, 1, "a", "b", "active", "tuple", "ExclusiveLock", "public.t", 5, *[""] * 3)]
    )
    rows.extend(
        [(1500, 2, 1, "a", "", "active", "tuple", "ExclusiveLock", "public.t", 600, *[""] * 3)]
    )
    table = rows.table(origin=1000)
    assert table.schema == rundir.BLOCKING
    assert table.num_rows == 1
    assert table.to_pylist()[0]["at_us"] == 500
    assert table.to_pylist()[0]["blocker_template"] == ""
    assert pa.types.is_dictionary(table.schema.field("relation").type)
