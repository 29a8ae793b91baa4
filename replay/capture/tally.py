"""Exact figures of every execution, sampled or not: calls, errors, times, histograms, slices.

Executions are buffered and counted by numpy in blocks. All is kept by variant (a template under one
query_id), and summed by template at the end.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from replay.capture.concurrency import Concurrency

_BLOCK = 3 * 65_536
_BINS_AT_MOST = 1024
_SLICES = 60
_NEVER = np.iinfo(np.int64).max

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Figures:
    """What is known exactly of one template."""

    calls: int = 0
    errors: int = 0
    total_us: int = 0
    first_us: int = _NEVER
    last_us: int = -1
    histogram: Counter[int] = field(default_factory=Counter)  # bucket -> calls
    bins: Counter[int] = field(default_factory=Counter)  # time bin -> calls
    query_ids: Counter[int] = field(default_factory=Counter)


class Tally:
    """Counts executions; `add` is called once for each."""

    def __init__(self) -> None:
        self._buffer: list[int] = []
        self._sums: Ints = np.zeros((3, 0), np.int64)  # calls, errors, total µs by variant
        self._first: Ints = np.empty(0, np.int64)
        self._last: Ints = np.empty(0, np.int64)
        self._histogram: Counter[tuple[int, int]] = Counter()
        self._bins: Counter[tuple[int, int]] = Counter()
        self._bin_s = 1
        self._concurrency = Concurrency()
        self.begin_us = _NEVER
        self.end_us = 0

    def add(self, variant: int, start_us: int, duration_us: int) -> None:
        """Count an execution; a negative duration says that it failed."""
        self._buffer += (variant, start_us, duration_us)
        if len(self._buffer) >= _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Count what is buffered."""
        if not self._buffer:
            return
        variant, start_us, duration_us = np.array(self._buffer, np.int64).reshape(-1, 3).T
        self._buffer = []
        failed = duration_us < 0
        took_us = np.where(failed, 0, duration_us)
        # Errors are logged at all times: only a duration tells that statements were.
        timed = start_us[~failed]
        if timed.size:
            self.begin_us = min(self.begin_us, int(timed.min()))
            self.end_us = max(self.end_us, int((start_us + took_us)[~failed].max()))
        self._concurrency.add(start_us, start_us + took_us)
        self._sum(variant, start_us, failed, took_us)
        done = ~failed
        _count(self._histogram, variant[done], duration_buckets(took_us[done]))
        _count(self._bins, variant, start_us // 1_000_000 // self._bin_s)
        self._coarsen()

    def peak_concurrency(self) -> int:
        """Statements in flight at once, at most."""
        self.flush()
        return self._concurrency.peak()

    def slice_s(self) -> int:
        """Width of a slice: a sixtieth of the window, in whole bins, 1 s at least."""
        window_s = (self.end_us - self.begin_us) / 1e6
        return max(1, math.ceil(window_s / _SLICES / self._bin_s)) * self._bin_s

    def slices(self, bins: Counter[int]) -> tuple[tuple[int, int], ...]:
        """Calls by slice; slices begin with the whole second in which the window begins."""
        origin_s, width_s = self.begin_us // 1_000_000, self.slice_s()
        calls: Counter[int] = Counter()
        for number, count in bins.items():
            calls[max(0, (number * self._bin_s - origin_s) // width_s)] += count
        return tuple(sorted(calls.items()))

    def by_template(self, variants: Sequence[tuple[int, int]], templates: int) -> list[Figures]:
        """Figures by template number; `variants` are (template number, query_id)."""
        self.flush()
        figures = [Figures() for _ in range(templates)]
        for variant in range(self._sums.shape[1]):
            template, query_id = variants[variant]
            of = figures[template]
            calls, errors, total_us = map(int, self._sums[:, variant])
            of.calls += calls
            of.errors += errors
            of.total_us += total_us
            of.first_us = min(of.first_us, int(self._first[variant]))
            of.last_us = max(of.last_us, int(self._last[variant]))
            if query_id:
                of.query_ids[query_id] += calls
        for (variant, bucket), calls in self._histogram.items():
            figures[variants[variant][0]].histogram[bucket] += calls
        for (variant, number), calls in self._bins.items():
            figures[variants[variant][0]].bins[number] += calls
        return figures

    def _sum(
        self, variant: Ints, start_us: Ints, failed: npt.NDArray[np.bool_], took_us: Ints
    ) -> None:
        more = int(variant.max()) + 1 - self._first.size
        if more > 0:
            self._sums = np.pad(self._sums, ((0, 0), (0, more)))
            self._first = np.pad(self._first, (0, more), constant_values=_NEVER)
            self._last = np.pad(self._last, (0, more), constant_values=-1)
        size = self._first.size
        self._sums[0] += np.bincount(variant, minlength=size)
        self._sums[1] += np.bincount(variant[failed], minlength=size)
        np.add.at(self._sums[2], variant, took_us)
        np.minimum.at(self._first, variant, start_us)
        np.maximum.at(self._last, variant, start_us)

    def _coarsen(self) -> None:
        """Double the bins' width while the window has too many of them."""
        while (
            self.begin_us < _NEVER
            and (self.end_us - self.begin_us) / 1e6 / self._bin_s > _BINS_AT_MOST
        ):
            self._bin_s *= 2
            halved: Counter[tuple[int, int]] = Counter()
            for (variant, number), calls in self._bins.items():
                halved[variant, number // 2] += calls
            self._bins = halved


def duration_buckets(durations_us: Ints) -> Ints:
    """`replay.workload.duration_bucket` of every duration."""
    values = np.maximum(durations_us, 1)
    whole = (np.frexp(values.astype(np.float64))[1] - 1).astype(np.int64)
    return whole * 8 + ((values << 3) >> whole) - 8


def _count(counts: Counter[tuple[int, int]], variant: Ints, key: Ints) -> None:
    pairs, calls = np.unique((variant << 34) | key, return_counts=True)
    for pair, more in zip(pairs.tolist(), calls.tolist(), strict=True):
        counts[pair >> 34, pair & ((1 << 34) - 1)] += more
