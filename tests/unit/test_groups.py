"""Figures of many groups, and of what overlaps in time, are the same as with all values in memory."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay import ondisk, rundir, runtables
from replay.errors import EnvironmentFaultError
from replay.groups import Groups
from replay.report import inflight
from replay.report.attempts import Attempts


@pytest.mark.parametrize("block", [4, 1 << 16])
def test_groups_have_their_own_percentiles(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(ondisk, "BLOCK", block)
    rng = np.random.default_rng(1)
    of, values = rng.integers(0, 3, 500), rng.lognormal(3, 2, 500).astype(np.float32)
    of[of == 1] = 2
    found = Groups(np.array([500, 10, 500]))
    for begin in range(0, 500, 77):
        found.add(of[begin : begin + 77], values[begin : begin + 77])
    for group in (0, 2):
        mine = values[of == group].astype(np.float64)
        assert found.count(group) == len(mine)
        assert found.highest(group) == mine.max()
        exact = np.percentile(mine, (50, 95, 100)).tolist()
        assert found.percentiles(group, (50, 95, 100)) == pytest.approx(exact)
    assert (found.count(1), found.highest(1), found.percentiles(1, (50,))) == (0, 0.0, (0.0,))


def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFaultError, match="no room to add up"):
        ondisk.zeros(tmp_path, 1 << 58, np.int64)


spans = st.tuples(st.integers(0, 3 * inflight._WIDEST_US), st.integers(0, 5_000_000))


@given(st.lists(spans, min_size=1, max_size=30), st.sampled_from([2, 8, 1 << 16]))
def test_statements_in_flight_are_those_of_a_sweep(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int]], in_a_slice: int
) -> None:
    run = tmp_path_factory.mktemp("run")
    rows = [
        {
            **dict.fromkeys(runtables.ATTEMPTS.names, 0),
            "arrival": number,
            "template": "a",
            "began_us": began_us,
            "ended_us": began_us + took_us,
            "outcome": "ok",
        }
        for number, (began_us, took_us) in enumerate(drawn)
    ]
    rundir.write_table(run, "attempts", pa.Table.from_pylist(rows, runtables.ATTEMPTS))
    attempts = Attempts(run)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inflight, "_MOMENTS", in_a_slice)
        found = inflight.InFlight(attempts, attempts.among(lambda _: True))
        assert found.total_us == sum(took_us for _, took_us in drawn)
        # Whoever begins when another ends meets it.
        most = max(sum(began <= at <= began + took for began, took in drawn) for at, _ in drawn)
        assert found.peak() == most
