"""From one sample's backends to blocking edges, and rows to tables."""

import time

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from replay import runtables
from replay.watch import looking
from replay.watch.buffer import Columns
from replay.watch.locks import _walked, edges
from replay.watch.looking import Waiting, Words, _Told


def seen(pid, *, on=(), lock="", relation="public.t"):
    return Waiting(pid, on, lock, "", relation, 0)


def pairs(*backends):
    return {(waiter.pid, blocker) for waiter, blocker in edges(backends)}


def test_a_queue_for_a_row_waits_for_the_transaction_that_changed_it():
    assert pairs(
        seen(2, on=[1], lock="transactionid"),
        seen(3, on=[2], lock="tuple"),
        seen(4, on=[2, 3], lock="tuple"),
    ) == {(2, 1), (3, 1), (4, 1)}


def test_a_chain_over_other_locks_stays_a_chain():
    assert pairs(
        seen(2, on=[1], lock="relation"),
        seen(3, on=[2], lock="transactionid"),
        seen(4, on=[3], lock="tuple", relation="public.other"),
    ) == {(2, 1), (3, 2), (4, 3)}


def test_repeated_blockers_and_workers_of_one_leader_are_one_edge():
    assert pairs(seen(2, on=[1, 1], lock="relation"), seen(2, on=[1], lock="relation")) == {(2, 1)}


def test_a_prepared_transaction_blocks_as_pid_0():
    assert pairs(seen(2, on=[0], lock="transactionid")) == {(2, 0)}


@given(
    st.dictionaries(
        st.integers(1, 9),
        st.tuples(
            st.lists(st.integers(0, 9), min_size=1, max_size=6),
            st.sampled_from(["tuple", "transactionid", "relation"]),
            st.sampled_from(["public.t", "public.u"]),
        ),
        max_size=8,
    )
)
def test_a_long_queue_is_told_as_if_each_were_walked_alone(waits):
    told = {
        pid: seen(pid, on=[one for one in on if one != pid], lock=lock, relation=relation)
        for pid, (on, lock, relation) in waits.items()
    }
    assert pairs(*told.values()) == {
        (pid, blocker) for pid, one in told.items() for blocker in _walked(one, told) - {pid}
    }


def test_a_queue_of_hundreds_costs_little():
    queue = [seen(2, on=[1], lock="transactionid")]
    queue += [seen(pid, on=list(range(2, pid)), lock="tuple") for pid in range(3, 400)]
    began = time.thread_time()
    assert len(list(edges(queue))) == 398
    assert time.thread_time() - began < 0.5, "walked one by one it takes half a minute"


def test_a_deadlock_ends():
    assert pairs(
        seen(1, on=[2], lock="tuple"), seen(2, on=[1], lock="tuple"), seen(3, on=[1], lock="tuple")
    ) <= {(1, 2), (2, 1), (3, 1), (3, 2)}


def told(kind, state, wait_type, wait, statement):
    return f"{kind}\x1f{state}\x1f{wait_type}\x1f{wait}\x1f{statement}"


def test_a_sessions_words_are_taken_apart():
    words = _Told()
    assert words[
        told("client backend", "active", "IO", "WALSync", "/*replay:0123456789abcdef*/")
    ] == Words("active", "IO", "WalSync", "0123456789abcdef", "")
    text = "/*replay:0123456789abcdef*/ SELECT '\x1f'"
    assert words[told("client backend", "active", "", "", f"\x1e{text}")] == Words(
        "active", "", "", "0123456789abcdef", text
    )
    assert not words.unlisted
    assert not words.locked


def test_who_is_no_busy_client_and_who_waits_for_a_lock_is_known_by_its_words():
    words = _Told()
    worker = told("parallel worker", "active", "Lock", "relation", "\x1eSELECT 1")
    background = told("autovacuum launcher", "", "IPC", "MessageQueueReceive", "")
    idle = told("client backend", "idle", "", "", "COMMIT")
    unsafe = told("client backend", "active", "IPC", "SafeSnapshot", "\x1eSELECT 1")
    assert words[background].state == "autovacuum launcher"
    for one in (worker, idle, unsafe):
        assert words[one]
    assert words.unlisted == {worker, background, idle}
    assert words.locked == {worker, unsafe}


def test_statements_with_values_in_them_are_forgotten_in_time(monkeypatch):
    monkeypatch.setattr(looking, "_TOLD", 10)
    words = _Told()
    for number in range(100):
        words.tidy()
        assert words[told("parallel worker", "active", "Lock", "relation", f"\x1eSELECT {number}")]
        assert len(words) == len(words.unlisted) == len(words.locked) <= 11


def test_rows_become_a_table_from_the_origin_on():
    rows = Columns(runtables.BLOCKING)
    rows.extend(
        [(900, 2, 1, "a", "b", "active", "tuple", "ExclusiveLock", "public.t", 5, *[""] * 3)]
    )
    rows.extend(
        [(1500, 2, 1, "a", "", "active", "tuple", "ExclusiveLock", "public.t", 600, *[""] * 3)]
    )
    table = rows.table(origin=1000)
    assert table.schema == runtables.BLOCKING
    assert table.num_rows == 1
    assert table.to_pylist()[0]["at_us"] == 500
    assert table.to_pylist()[0]["blocker_template"] == ""
    assert pa.types.is_dictionary(table.schema.field("relation").type)
