"""Exact figures of every execution, sampled or not: calls, errors, times, histograms, slices.

Counted by numpy, a block at a time. All is kept by variant (a template under one query_id), and
summed by template at the end.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np

from replay.capture.concurrency import Concurrency
from replay.capture.counts import Counts, Numbers
from replay.capture.executions import HAS_FAILED, UNTIMED, Executions
from replay.capture.kernels import Hashes, Ints, Number, compiled
from replay.capture.priority import mix

SLICES_AT_MOST = 128
_VARIANTS = 1000  # of one template: temporary tables have a new query_id in every session
_NEVER = np.iinfo(np.int64).max
_BUCKET_BITS = 10  # of a histogram's bucket
_SLICE_BITS = 38  # of a slice's number since 1970: seconds until the year 9999
_STATE_BITS = 20  # of an SQLSTATE's number


@dataclass(slots=True)
class Figures:
    """What is known exactly of one template."""

    calls: int = 0
    errors: int = 0
    untimed: int = 0  # calls of which the log tells no duration
    total_us: int = 0
    first_us: int = _NEVER
    last_us: int = -1
    histogram: Counter[int] = field(default_factory=Counter)  # bucket -> calls
    slices: Counter[int] = field(default_factory=Counter)  # number since 1970 -> calls
    query_ids: Counter[int] = field(default_factory=Counter)  # -> calls
    states: Counter[int] = field(default_factory=Counter)  # number of the SQLSTATE -> errors


class Tally:
    """Counts executions; `take` is called once for each."""

    def __init__(self) -> None:
        self._variants = array("q"), array("q")  # template, query_id
        self._variants_of: Counter[int] = Counter()  # templates
        self._sums: Ints = np.zeros((4, 0), np.int64)  # calls, errors, untimed, total µs
        self._first: Ints = np.empty(0, np.int64)
        self._last: Ints = np.empty(0, np.int64)
        self._numbers = Numbers()  # of the variants
        self._histogram, self._slices, self._states = Counts(), Counts(), Counts()
        self._concurrency = Concurrency()
        self.slice_s = 1  # a power of two
        self.executions = 0
        self.begun = 0  # those that did not fail: none means that the server does not log them
        self.timed = 0  # with a duration
        self.begin_us = _NEVER
        self.end_us = 0

    def take(self, found: Executions) -> None:
        """Count executions."""
        if not len(found):
            return
        start_us, duration_us = found.start_us, found.duration_us
        failed, untimed = duration_us == HAS_FAILED, duration_us == UNTIMED
        timed = ~(failed | untimed)
        took_us = np.where(timed, duration_us, 0)
        self.executions += len(found)
        self.begun += int((~failed).sum())
        self.timed += int(timed.sum())
        # Errors are logged at all times: only other lines tell that statements were.
        told = start_us[~failed]
        if told.size:
            self.begin_us = min(self.begin_us, int(told.min()))
            self.end_us = max(self.end_us, int((start_us + took_us)[~failed].max()))
        self._concurrency.add(start_us, start_us + took_us)
        variant = self._variant(found.template, found.query_id)
        buckets, slices = self._sum(variant, start_us, duration_us)
        self._histogram.add(buckets[timed])
        self._slices.add(slices)
        self._states.add(variant[failed] << _STATE_BITS | found.state[failed])
        self._coarsen()

    def peak_concurrency(self) -> int:
        """Statements in flight at once, at most."""
        return self._concurrency.peak()

    def by_template(self, templates: int) -> "Tallied":
        """Figures by template number."""
        count = len(self._variants[0])
        owner = np.frombuffer(self._variants[0], np.int64) if count else np.empty(0, np.int64)
        query_id = np.frombuffer(self._variants[1], np.int64) if count else owner
        sums = np.zeros((4, templates), np.int64)
        first, last = np.full(templates, _NEVER), np.full(templates, -1)
        for row in range(len(sums)):
            np.add.at(sums[row], owner, self._sums[row, :count])
        np.minimum.at(first, owner, self._first[:count])
        np.maximum.at(last, owner, self._last[:count])
        named = query_id != 0
        return Tallied(
            np.concatenate((sums, [first], [last])),
            [
                _Grouped.of(self._histogram, _BUCKET_BITS, owner),
                _Grouped.of(self._slices, _SLICE_BITS, owner),
                _Grouped.of(self._states, _STATE_BITS, owner),
                _Grouped(owner[named], query_id[named], self._sums[0, :count][named]),
            ],
        )

    def _variant(self, template: Ints, query_id: Ints) -> Ints:
        """Numbers of the variants; past a thousand of one template they are one."""
        keys = _keys(template, query_id)
        numbers = self._numbers.of(keys)
        unknown = np.flatnonzero(numbers < 0)
        if unknown.size:
            new, first, places = np.unique(keys[unknown], return_index=True, return_inverse=True)
            rows = unknown[first]
            pairs = zip(template[rows].tolist(), query_id[rows].tolist(), strict=True)
            found = np.array([self._new_variant(*pair) for pair in pairs], np.int64)
            self._numbers.put(new, found)
            numbers[unknown] = found[places]
        return numbers

    def _new_variant(self, template: int, query_id: int) -> int:
        if self._variants_of[template] >= _VARIANTS:
            rest = _keys(np.array([template]), np.array([0]))
            number = int(self._numbers.of(rest)[0])
            if number >= 0:
                return number
            if query_id:
                number = self._new_variant(template, 0)
                self._numbers.put(rest, np.array([number]))
                return number
        self._variants_of[template] += 1
        for column, value in zip(self._variants, (template, query_id), strict=True):
            column.append(value)
        return len(self._variants[0]) - 1

    def _sum(self, variant: Ints, start_us: Ints, duration_us: Ints) -> tuple[Ints, Ints]:
        """Add to the variants' figures; gives the keys of buckets and slices."""
        more = len(self._variants[0]) - self._first.size
        if more > 0:
            more = max(more, self._first.size // 4)
            self._sums = np.pad(self._sums, ((0, 0), (0, more)))
            self._first = np.pad(self._first, (0, more), constant_values=_NEVER)
            self._last = np.pad(self._last, (0, more), constant_values=-1)
        buckets, slices = np.empty_like(variant), np.empty_like(variant)
        figures = self._sums, self._first, self._last
        _sum(variant, start_us, duration_us, *figures, self.slice_s, buckets, slices)
        return buckets, slices

    def _coarsen(self) -> None:
        """Double the slices' width while the window has too many of them."""
        width_s = slice_width(self.begin_us, self.end_us, self.slice_s)
        while self.slice_s < width_s:
            self.slice_s *= 2
            keys, low = self._slices.held(), (1 << _SLICE_BITS) - 1
            self._slices = self._slices.moved((keys & ~low) | (keys & low) >> 1)


def slices_between(begin_us: int, end_us: int, slice_s: int) -> int:
    """How many slices a window touches; slices begin with multiples of their width since 1970."""
    width_us = slice_s * 1_000_000
    return max(end_us // width_us - begin_us // width_us + 1, 0)


def slice_width(begin_us: int, end_us: int, least_s: int) -> int:
    """The width of slices, in seconds, at which a window has not too many."""
    while slices_between(begin_us, end_us, least_s) > SLICES_AT_MOST:
        least_s *= 2
    return least_s


def _keys(template: Ints, query_id: Ints) -> Hashes:
    return mix(mix(query_id.astype(np.uint64)) + template.astype(np.uint64))


class _Grouped:
    """Counts by template and key, those of a template together."""

    def __init__(self, template: Ints, keys: Ints, counts: Ints) -> None:
        order = np.lexsort((keys, template))
        template, keys = template[order], keys[order]
        first = np.ones(keys.size, np.bool_)
        first[1:] = (template[1:] != template[:-1]) | (keys[1:] != keys[:-1])
        begins = np.flatnonzero(first)
        self._keys, owners = keys[begins], template[begins]
        last = int(owners[-1]) if owners.size else -1
        self._bounds = np.searchsorted(owners, np.arange(last + 2))  # by template
        self._counts = np.add.reduceat(counts[order], begins) if begins.size else begins

    @classmethod
    def of(cls, counts: Counts, bits: int, owner: Ints) -> "_Grouped":
        """Of counts by variant and key; `owner` gives the variants' templates."""
        keys, found = counts.arrays()
        return cls(owner[keys >> bits], keys & ((1 << bits) - 1), found)

    def __getitem__(self, template: int) -> Counter[int]:
        """The counts of a template by key."""
        found: Counter[int] = Counter()
        if template + 1 >= self._bounds.size:
            return found
        begin, end = self._bounds[template : template + 2].tolist()
        pairs = zip(self._keys[begin:end].tolist(), self._counts[begin:end].tolist(), strict=True)
        dict.update(found, pairs)
        return found


class Tallied(Sequence[Figures]):
    """Figures by template number, made when they are looked at."""

    def __init__(self, sums: Ints, grouped: list[_Grouped]) -> None:
        self._sums = sums
        self._grouped = grouped

    @property
    def calls(self) -> Ints:
        """By template number."""
        calls: Ints = self._sums[0]
        return calls

    def __len__(self) -> int:
        """How many templates."""
        return int(self._sums.shape[1])

    @overload
    def __getitem__(self, number: int) -> Figures: ...

    @overload
    def __getitem__(self, number: slice) -> list[Figures]: ...

    def __getitem__(self, number: int | slice) -> Figures | list[Figures]:
        """The figures of a template, or of several."""
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        if not 0 <= number < len(self):
            raise IndexError(number)
        calls, errors, untimed, total_us, first_us, last_us = self._sums[:, number].tolist()
        histogram, slices, states, query_ids = (grouped[number] for grouped in self._grouped)
        return Figures(
            calls=calls,
            errors=errors,
            untimed=untimed,
            total_us=total_us,
            first_us=first_us,
            last_us=last_us,
            histogram=histogram,
            slices=slices,
            query_ids=query_ids,
            states=states,
        )


@compiled
def _sum(
    variant: Ints,
    start_us: Ints,
    duration_us: Ints,
    sums: Ints,
    first: Ints,
    last: Ints,
    slice_s: Number,
    buckets: Ints,
    slices: Ints,
) -> None:
    """Add to the variants' calls, errors, untimed calls and times; and their first and last starts."""
    for row in range(variant.size):
        of, took_us = variant[row], duration_us[row]
        sums[0, of] += 1
        if took_us == HAS_FAILED:
            sums[1, of] += 1
        elif took_us == UNTIMED:
            sums[2, of] += 1
        else:
            sums[3, of] += took_us
        first[of] = min(first[of], start_us[row])
        last[of] = max(last[of], start_us[row])
        slices[row] = of << _SLICE_BITS | start_us[row] // 1_000_000 // slice_s
        buckets[row] = of << _BUCKET_BITS | bucket_of(took_us)


@compiled
def bucket_of(duration_us: Number) -> Number:
    """`replay.workload.duration_bucket` of a duration."""
    value = max(duration_us, 1)
    whole = 0
    while value >> (whole + 1):
        whole += 1
    return whole * 8 + ((value << 3) >> whole) - 8
