"""Percentiles that are counted are numpy's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.percentiles import percentiles

PERCENTS = (0, 5, 50, 95, 99, 100)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@given(st.lists(floats, min_size=1, max_size=50), st.integers(1, 7))
def test_they_are_those_of_all_values_together(drawn: list[float], size: int) -> None:
    values = np.array(drawn, dtype=np.float32)
    found = percentiles(lambda: np.array_split(values, size), PERCENTS)
    exact = np.percentile(values.astype(np.float64), PERCENTS)
    assert found == pytest.approx(exact.tolist(), rel=1e-9, abs=1e-9)


def test_of_nothing_they_are_nought() -> None:
    assert percentiles(list, (50, 95)) == (0.0, 0.0)
