"""Close the books over what no record speaks of: arrivals that never came due, or were cut off.

A run that is stopped, or whose worker is killed, has planned transactions without a record, or with
records of which none is the last. Here they get one, so that planned = started + skipped holds.
Records come a block at a time, and so do arrivals: what is kept of them is a byte each, on disk.
"""

from collections.abc import Iterator

import numpy as np

from replay.load.record import BLOCK, CODE_CANCELLED, CODE_END, CODE_OK, DTYPE, EXPECTED, FINAL
from replay.load.shard import Index

_BEGUN, _CLOSED, _AS_CAPTURED, _WRONG = 1, 2, 4, 8


def keep_expected(seen: np.ndarray) -> np.ndarray:
    """Of what was seen of all arrivals, in its place: which failed only as they did in production."""
    for begin in range(0, len(seen), BLOCK):
        some = seen[begin : begin + BLOCK]
        some[:] = some & (_AS_CAPTURED | _WRONG) == _AS_CAPTURED
    return seen.view(np.bool_)


class Settlement:
    """What the records of one worker say of its arrivals, and the records that they lack."""

    def __init__(
        self, arrivals: np.ndarray, index: Index, worker: int, origin_ns: int, seen: np.ndarray
    ) -> None:
        """`seen` has a byte for each arrival, 0 for this worker's."""
        self._arrivals = arrivals
        self._worker = worker
        self._origin_ns = origin_ns
        self._seen = seen
        self._last: dict[int, np.void] = {}  # of each arrival that is begun and not over
        position = {template: n for n, template in enumerate(index.templates)}
        self._shapes = [[position[template] for template in shape] for shape in index.shapes]
        self._first = np.array([shape[0] for shape in self._shapes], dtype=np.int32)

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

    def planned(self, until_us: int | None) -> int:
        """How many arrivals the worker had, or had until then."""
        return sum(len(numbers) for numbers in self._mine(until_us))

    def lacking(
        self, until_us: int | None = None, stopped_us: int | None = None
    ) -> Iterator[np.ndarray]:
        """A last record for each of the worker's arrivals, until then, that has none.

        What was due has waited for a session until the worker stopped.
        """
        if self._last:
            yield self._cancelled(np.array(list(self._last.values()), dtype=DTYPE))
        for numbers in self._mine(until_us):
            never = numbers[self._seen[numbers] == 0]
            if len(never):
                yield self._skipped(never, stopped_us or 0)

    def _mine(self, until_us: int | None) -> Iterator[np.ndarray]:
        for begin in range(0, len(self._arrivals), BLOCK):
            some = self._arrivals[begin : begin + BLOCK]
            mine = some["worker"] == self._worker
            if until_us is not None:
                # What was taken up is its own, whenever it was due.
                mine &= (some["due_us"] <= until_us) | (self._seen[begin : begin + BLOCK] != 0)
            yield begin + np.flatnonzero(mine)

    def _mark(self, numbers: np.ndarray, what: int) -> None:
        self._seen[numbers] |= what

    def _skipped(self, numbers: np.ndarray, stopped_us: int) -> np.ndarray:
        rows = _last_records(numbers)
        some = self._arrivals[numbers]
        rows["outcome"] = CODE_END
        rows["template"] = self._first[some["shape"]]
        rows["due"] = some["due_us"] * 1000 + self._origin_ns
        rows["ended"] = np.maximum(some["due_us"], stopped_us) * 1000 + self._origin_ns
        return rows

    def _cancelled(self, last: np.ndarray) -> np.ndarray:
        rows = _last_records(last["arrival"])
        rows["ordinal"] = last["ordinal"] + 1
        rows["outcome"] = CODE_CANCELLED
        shapes = [self._shapes[shape] for shape in self._arrivals["shape"][last["arrival"]]]
        rows["template"] = [
            shape[ordinal % len(shape)]  # which counts on over retries
            for shape, ordinal in zip(shapes, rows["ordinal"].tolist(), strict=True)
        ]
        rows["session"], rows["pid"] = last["session"], last["pid"]
        rows["due"] = rows["ended"] = last["ended"]
        return rows


def _last_records(numbers: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(numbers), dtype=DTYPE)
    rows["arrival"] = numbers
    rows["flags"] = FINAL
    rows["session"] = rows["began"] = rows["rows"] = -1
    return rows
