"""Slots by code: rows that are over go where others leave room, and no slot is taken twice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_gen.runs import Runs, Spare, Turns


def slots(total, rows):
    """The slot of every row, and the code of every slot, where code c has so many of each."""
    codes = np.arange(len(total))
    runs = Runs.of(np.cumsum(total) - total, codes, int(np.sum(total)))
    spare = Spare.of(runs, codes, np.array(rows))
    ones, none = np.ones_like(codes), np.zeros_like(codes)
    first, size = runs.of_codes(codes)
    cells = np.stack((none, np.maximum(rows, 1), ones, none, first, size, spare.before), axis=1)
    cell = np.repeat(codes, rows)
    within = np.concatenate([np.arange(n) for n in rows])
    found = Turns(cells, runs, spare).slots(cell, within)
    return found, np.repeat(codes, total)[found], cell


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 60)), min_size=1, max_size=12))
def test_rows_take_every_slot_before_they_take_one_twice(sizes):
    total, rows = map(np.array, zip(*sizes, strict=True))
    found, codes, wanted = slots(total, rows)
    assert len(set(found.tolist())) == min(rows.sum(), total.sum())
    if rows.sum() <= total.sum():  # only those that are over have another code's slot
        assert (codes != wanted).sum() == np.maximum(rows - total, 0).sum()
