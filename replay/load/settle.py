"""Close the books over what no record speaks of: arrivals that never came due, or were cut off.

A run that is stopped, or whose worker is killed, has planned transactions without a record, or with
records of which none is the last. Here they get one, so that planned = started + skipped holds.
Records come a block at a time: what is kept of them is a few bytes an arrival.
"""

from collections.abc import Iterator

import numpy as np

from replay.load.record import BLOCK, CODE_CANCELLED, CODE_END, CODE_OK, DTYPE, EXPECTED, FINAL
from replay.load.shard import Index

_BEGUN, _CLOSED, _AS_CAPTURED, _WRONG = 1, 2, 4, 8


class Settlement:
    """What the records of one worker say of its arrivals, and the records that they lack."""

    def __init__(self, arrivals: np.ndarray, index: Index, worker: int, origin_ns: int) -> None:
        self._arrivals = arrivals
        self._index = index
        self._worker = worker
        self._origin_ns = origin_ns
        self._seen = np.zeros(len(arrivals), dtype=np.uint8)
        self._last: dict[int, np.void] = {}  # of each arrival that is begun and not over

    def add(self, records: np.ndarray) -> None:
        """Take note of a block of records, in the order in which they were written."""
        number, flags = records["arrival"], records["flags"]
        wrong = records["outcome"] != CODE_OK
        as_captured = flags & EXPECTED != 0
        self._mark(number, _BEGUN)
        self._mark(number[flags & FINAL != 0], _CLOSED)
        self._mark(number[wrong & as_captured], _AS_CAPTURED)
        self._mark(number[wrong & ~as_captured], _WRONG)
        for record in records[self._seen[number] & _CLOSED == 0]:
            self._last[int(record["arrival"])] = record
        over = [known for known in self._last if self._seen[known] & _CLOSED]
        for known in over:
            del self._last[known]

    def expected(self) -> frozenset[int]:
        """Arrivals that failed only as they did in production."""
        only = self._seen & (_AS_CAPTURED | _WRONG) == _AS_CAPTURED
        return frozenset(np.flatnonzero(only).tolist())

    def planned(self, until_us: int | None) -> int:
        """How many arrivals the worker had, or had until then."""
        return int(self._mine(until_us).sum())

    def lacking(
        self, until_us: int | None = None, stopped_us: int | None = None
    ) -> Iterator[np.ndarray]:
        """A last record for each of the worker's arrivals, until then, that has none.

        What was due has waited for a session until the worker stopped.
        """
        if self._last:
            yield self._cancelled(np.array(list(self._last.values()), dtype=DTYPE))
        never = np.flatnonzero(self._mine(until_us) & (self._seen == 0))
        for begin in range(0, len(never), BLOCK):
            yield self._skipped(never[begin : begin + BLOCK], stopped_us or 0)

    def _mine(self, until_us: int | None) -> np.ndarray:
        mine: np.ndarray = self._arrivals["worker"] == self._worker
        if until_us is not None:
            # What was taken up is its own, whenever it was due.
            mine = mine & ((self._arrivals["due_us"] <= until_us) | (self._seen != 0))
        return mine

    def _mark(self, numbers: np.ndarray, what: int) -> None:
        self._seen[numbers] |= what

    def _skipped(self, numbers: np.ndarray, stopped_us: int) -> np.ndarray:
        rows = self._rows(numbers, np.zeros(len(numbers), dtype=np.int64))
        rows["outcome"] = CODE_END
        due_us = self._arrivals["due_us"][numbers]
        rows["due"] = due_us * 1000 + self._origin_ns
        rows["ended"] = np.maximum(due_us, stopped_us) * 1000 + self._origin_ns
        return rows

    def _cancelled(self, last: np.ndarray) -> np.ndarray:
        rows = self._rows(last["arrival"], last["ordinal"] + 1)
        rows["outcome"] = CODE_CANCELLED
        rows["session"], rows["pid"] = last["session"], last["pid"]
        rows["due"] = rows["ended"] = last["ended"]
        return rows

    def _rows(self, numbers: np.ndarray, ordinals: np.ndarray) -> np.ndarray:
        position = {template: n for n, template in enumerate(self._index.templates)}
        rows = np.zeros(len(numbers), dtype=DTYPE)
        rows["arrival"] = numbers
        rows["ordinal"] = ordinals
        rows["flags"] = FINAL
        rows["session"] = rows["began"] = rows["rows"] = -1
        shapes = self._arrivals["shape"][numbers]
        rows["template"] = [
            position[self._index.shapes[shape][ordinal % len(self._index.shapes[shape])]]
            for shape, ordinal in zip(shapes, ordinals, strict=True)  # which counts on over retries
        ]
        return rows
