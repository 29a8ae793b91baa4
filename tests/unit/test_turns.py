"""Tables that several processes make: in order, as one process makes them, and begun before they are asked for."""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made_command import is_alive, until

from replay import columnar
from replay.capture.kept import cuts
from replay.capture.turns import Turns
from replay.schemas import STATEMENT_SCHEMA, TRANSACTION_SCHEMA

CUTS = [(begin, begin + 10) for begin in range(0, 90, 10)]


class Learned:
    """Which cuts were made, by which process; tells others of those."""

    def __init__(self) -> None:
        self.by: dict[int, int] = {}
        self._told = 0

    def news(self) -> bytes:
        new = [*self.by.items()][self._told :]
        self._told = len(self.by)
        return repr(new).encode()

    def learn(self, news: bytes) -> None:
        self.by.update(eval(news))


def making(learned: Learned, left: Path) -> Callable[[int, int], tuple[pa.RecordBatch, ...]]:
    """Makes tables that tell their cut, and leaves a file that tells who made them."""

    def make(begin: int, end: int) -> tuple[pa.RecordBatch, ...]:
        learned.by[begin] = os.getpid()
        (left / str(begin)).write_text(str(os.getpid()))
        rows = [{"id": number} for number in range(begin, end)]
        parts = [{"transaction": number} for number in range(begin, end) for _ in range(2)]
        return (
            pa.RecordBatch.from_pylist(rows, TRANSACTION_SCHEMA),
            pa.RecordBatch.from_pylist(parts, STATEMENT_SCHEMA),
        )

    return make


def turns(left: Path, cuts: Sequence[tuple[int, int]], jobs: int) -> tuple[Turns, Learned]:
    learned = Learned()
    return Turns(making(learned, left), cuts, jobs, learned), learned


def test_tables_come_in_order_whoever_makes_them_and_as_often_as_they_are_asked_for(tmp_path):
    alone = list(turns(tmp_path, CUTS, 1)[0].batches())
    assert [batch[0].column("id")[0].as_py() for batch in alone] == [begin for begin, _ in CUTS]
    for jobs in (2, 3, 20):
        together, learned = turns(tmp_path, CUTS, jobs)
        assert list(together.batches()) == alone
        assert len(learned.by) == len(CUTS)
        assert len({*learned.by.values()} - {os.getpid()}) in range(1, jobs)
        assert list(together.batches()) == alone


def test_helpers_begin_before_anybody_asks_and_end_when_nobody_does(tmp_path):
    begun, learned = turns(tmp_path, CUTS, 2)
    until((tmp_path / "10").exists)
    helper = int((tmp_path / "0").read_text())
    assert helper != os.getpid()
    assert is_alive(helper)
    assert not learned.by
    del begun
    until(lambda: not is_alive(helper))


def test_of_the_last_cuts_none_is_laid_up_for_a_helper(tmp_path):
    learned = Learned()
    make = making(learned, tmp_path)

    def first_waits(begin: int, end: int) -> tuple[pa.RecordBatch, ...]:
        if not begin:
            until((tmp_path / "10").exists)
        return make(begin, end)

    assert len(list(Turns(first_waits, CUTS[:2], 2, learned).batches())) == 2
    assert learned.by[10] == os.getpid() != learned.by[0]


@pytest.mark.parametrize("count", [0, 1, 1024, 5000, 13_312, 13_313, 40_000])
def test_batches_are_whole_and_the_last_ones_short(count):
    found = list(cuts(np.full(count, 500)))
    assert all(end == begin for (_, end), (begin, _) in pairwise(found))
    sizes = [end - begin for begin, end in found]
    assert sum(sizes) == count
    assert max(sizes, default=0) == min(count, 1024 if count <= 13_312 else columnar.TRANSACTIONS)
    assert all(size <= 1024 for size in sizes[-4:])
