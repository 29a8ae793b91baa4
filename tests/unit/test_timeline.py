"""A recording's times: pure arithmetic over captured transactions."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_schedule import statement, workload

from replay.errors import InputError
from replay.load import timeline
from replay.workload import Transaction, Workload

S = 1_000_000


def recording(*transactions: tuple[str, int, int], session_us: int | None = None) -> Workload:
    """(session, start in µs, duration in µs) of transactions of one statement each."""
    whole = workload()
    return replace(
        whole,
        manifest=replace(whole.manifest, everything=True),
        transactions=tuple(
            Transaction(
                id=number,
                session=session,
                start_us=start_us,
                weight=1.0,
                shape="",
                statements=(statement("a", duration_us=duration_us),),
                session_us=session_us,
            )
            for number, (session, start_us, duration_us) in enumerate(transactions)
        ),
    )


def dues(source: Workload, *, speed: float = 1.0, think: str = "scale") -> list[tuple[str, int]]:
    found = timeline.as_recorded(source, speed=speed, think=think)
    return [(due.transaction.session, due.due_us) for due in found]


TWO = recording(("a", 0, S), ("b", 2 * S, S), ("a", 4 * S, S), ("b", 10 * S, S))


@pytest.mark.parametrize(
    ("speed", "think", "expected", "why"),
    [
        (1, "scale", [0, 2, 4, 10], "as it was"),
        (2, "scale", [0, 1, 2, 5], "all of time twice as fast"),
        (0.25, "scale", [0, 8, 16, 40], "any fraction"),
        (2, "keep", [0, 1, 4, 9], "b begins at 1 and has its 8 s of thought"),
        (1, "none", [0, 1, 2, 3], "each after what production took for the one before"),
        (2, "none", [0, 1, 1, 2], "the server's own time is not ours to scale"),
    ],
)
def test_the_clients_time_is_scaled_kept_or_left_out(speed, think, expected, why):
    assert [due / S for _, due in dues(TWO, speed=speed, think=think)] == expected, why


@given(
    transactions=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 10**9), st.integers(0, 10**7)), max_size=20
    ),
    speed=st.floats(0.01, 100),
    think=st.sampled_from(timeline.THINK),
)
def test_due_times_never_fall_and_a_sessions_order_stays(transactions, speed, think):
    source = recording(*sorted(transactions, key=lambda row: row[1]))
    found = list(timeline.as_recorded(source, speed=speed, think=think))
    assert all(before.due_us <= after.due_us for before, after in pairwise(found))
    for session in "abc":
        ids = [d.transaction.id for d in found if d.transaction.session == session]
        assert ids == sorted(ids)
    length_us = timeline.length_s(1e3, speed, think) * 1e6
    if think != "none":
        assert all(due.due_us <= length_us for due in found)


@pytest.mark.parametrize(
    ("session_us", "connect_us"),
    [(None, 400_000), (-5 * S, 0), (200_000, 100_000)],
    ids=[
        "a tenth of a second ahead",
        "before the window: at its begin",
        "at its time, twice as fast",
    ],
)
def test_a_session_connects_when_it_did(session_us, connect_us):
    source = recording(("a", S, 10), session_us=session_us)
    (due,) = timeline.as_recorded(source, speed=2, think="scale")
    assert due.connect_us == connect_us


def test_a_sample_is_no_recording():
    with pytest.raises(InputError, match="capture the log again with --all"):
        dues(workload((1.0, "a")))


def test_what_the_server_did_not_log_is_no_recording():
    source = recording(("a", 0, 1))
    part = replace(source, transactions=(replace(source.transactions[0], logged=0.1),))
    with pytest.raises(InputError, match="logged only a part"):
        dues(part)
