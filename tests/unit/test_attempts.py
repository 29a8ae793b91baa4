"""A run's attempts as columns: sorted, however they came and in however many blocks."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from replay import runtables
from replay.diagnose.stored import stored

rows = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(0, 5), st.sampled_from("abcd"), st.sampled_from(["ok", "E1"])
    ),
    unique_by=lambda row: row[:2],
    max_size=30,
)


def block(found):
    return pa.Table.from_pylist(
        [
            {
                "arrival": arrival,
                "ordinal": ordinal,
                "template": template,
                "session": 1,
                "worker": 0,
                "pid": 100 + arrival,
                "due_us": 10**12 + arrival,
                "began_us": -1,
                "ended_us": 10**12 + ordinal,
                "lag_us": 3,
                "outcome": outcome,
                "rows": 1,
            }
            for arrival, ordinal, template, outcome in found
        ],
        schema=runtables.ATTEMPTS,
    )


@given(rows, st.integers(1, 10))
def test_blocks_are_one_table_in_order(found, size):
    blocks = [block(found[at : at + size]) for at in range(0, len(found), size)]
    attempts = stored(lambda: blocks)
    expected = sorted(found)
    assert attempts.arrival.tolist() == [arrival for arrival, *_ in expected]
    assert attempts.ended_us.tolist() == [10**12 + ordinal for _, ordinal, *_ in expected]
    assert [attempts.names[code] for code in attempts.template] == [row[2] for row in expected]
    assert [attempts.outcomes[code] for code in attempts.outcome] == [row[3] for row in expected]
    assert attempts.names == tuple(dict.fromkeys(row[2] for row in expected))
    assert np.array_equal(attempts.pid - 100, attempts.arrival)
