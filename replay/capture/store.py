"""The records of units that may be kept: in memory, and in a vault when there are many."""

from array import array
from collections.abc import Sequence

import numpy as np

from replay.capture.kernels import Bytes, Ints, as_bytes
from replay.capture.memory import give_back, resident
from replay.capture.stored import Batch, joined, part_of
from replay.capture.units import Units
from replay.capture.vault import Vault
from replay.capture.words import stands_in

_IN_MEMORY_AT_MOST = 80 << 20  # bytes, and of the whole process
_RESIDENT_AT_MOST = 400 << 20
_LOOSE_AT_LEAST = 20_000  # units
_LOOSE_BYTES = 32 << 20  # of their records
_SEGMENTS_AT_MOST = 64  # to join them takes memory anew
_COLUMNS = ("template", "start_us", "spent_us", "state")


class Store:
    """Units by number; numbers count on."""

    def __init__(
        self, *, in_memory_at_most: int = _IN_MEMORY_AT_MOST, marks: Sequence[bytes] = ()
    ) -> None:
        """`marks` are texts of three bytes or more; `is_marked` says whether one was seen."""
        self._at_most = in_memory_at_most
        self._marks = [as_bytes(mark) for mark in marks]
        self._marked = False
        self._segments: list[Batch] = []  # by number; those in the vault come first
        self._bytes = 0  # in memory
        self._vault: Vault | None = None
        self._held = 0  # units
        self._starts = array("q")  # epoch µs, by number
        self._priorities = array("Q")
        self._loose_from = _LOOSE_AT_LEAST
        self._loose_bytes_from = _LOOSE_BYTES

    def add(self, units: Units, places: Ints) -> Ints:
        """Store the units at those places; gives their numbers."""
        found, sources = units.executions, units.sources
        numbers = np.arange(len(self._starts), len(self._starts) + places.size)
        ends = np.append(units.first[1:], len(found))
        sizes = ends[places] - units.first[places]
        first = np.concatenate(([0], np.cumsum(sizes)))
        rows = np.arange(first[-1]) + np.repeat(units.first[places] - first[:-1], sizes)
        texts, begins = sources.gathered(
            np.stack((found.source[rows], found.call[rows]), 1).ravel()
        )
        priorities = units.priority[places]
        self._starts.frombytes(found.start_us[units.first[places]].tobytes())
        self._priorities.frombytes(priorities.tobytes())
        self._put(
            Batch(
                numbers=numbers,
                first=first,
                columns=np.stack([getattr(found, name)[rows] for name in _COLUMNS]),
                places=begins,
                sessions=[units.session[place] for place in places.tolist()],
                priorities=priorities,
                texts=texts,
            )
        )
        return numbers

    def in_order(self, numbers: Ints) -> Ints:
        """Places of the numbers by the units' start, and then by their priority."""
        starts = np.frombuffer(self._starts, np.int64)[numbers]
        order: Ints = np.lexsort((np.frombuffer(self._priorities, np.uint64)[numbers], starts))
        return order

    def batch(self, numbers: Ints) -> Batch:
        """The units of those numbers, in that order."""
        order = np.argsort(which := self._segments_of(numbers), kind="stable")
        parts = []
        for segment in np.unique(which).tolist():
            found = self._segments[segment]
            units = np.searchsorted(found.numbers, numbers[which == segment])
            parts.append(part_of(found, units, self._texts(found, units)))
        whole = joined(parts)
        back = np.empty_like(order)
        back[order] = np.arange(order.size)
        return part_of(whole, back)

    def sizes(self, numbers: Ints) -> Ints:
        """Bytes of those units' records."""
        sizes = np.empty(numbers.size, np.int64)
        which = self._segments_of(numbers)
        for segment in np.unique(which).tolist():
            found, places = self._segments[segment], np.flatnonzero(which == segment)
            units = np.searchsorted(found.numbers, numbers[places])
            begins = found.places[2 * found.first[units]]
            sizes[places] = found.places[2 * found.first[units + 1]] - begins
        return sizes

    def executions(self, numbers: Ints) -> tuple[Ints, Ints]:
        """All executions of those units, by columns (see Batch), and each one's unit's place in `numbers`."""
        which = self._segments_of(numbers)
        parts, sizes = [np.empty((len(_COLUMNS), 0), np.int64)], [np.empty(0, np.int64)]
        order = np.argsort(which, kind="stable")
        for segment in np.unique(which).tolist():
            found = self._segments[segment]
            units = np.searchsorted(found.numbers, numbers[which == segment])
            parts.append(found.columns[:, found.rows(units)])
            sizes.append(found.counts()[units])
        unit = np.repeat(order, np.concatenate(sizes))
        back = np.argsort(unit, kind="stable")
        return np.concatenate(parts, 1)[:, back], unit[back]

    def is_marked(self) -> bool:
        """Whether one of the marks stands in a record."""
        loose = (segment.texts for segment in self._segments if segment.texts is not None)
        self._marked = self._marked or any(map(self._holds_mark, loose))
        return self._marked

    def is_loose(self) -> bool:
        """Whether many units, or bytes, have been added since the last `keep`."""
        return self._held > self._loose_from or self._bytes > self._loose_bytes_from

    def keep(self, numbers: Ints) -> None:
        """Let go of all others, as far as they are in memory; `numbers` ascend.

        What stays goes into the vault when it is too much for memory.
        """
        segments, self._segments = self._segments, []
        in_vault: list[Batch] = []
        in_memory: list[Batch] = []
        while segments:
            segment = segments.pop()
            which = np.flatnonzero(np.isin(segment.numbers, numbers, assume_unique=True))
            if not which.size:
                continue
            part = segment if which.size == segment.numbers.size else part_of(segment, which)
            (in_vault if part.texts is None else in_memory).append(part)
        in_vault.reverse()
        in_memory.reverse()
        self._bytes = sum(segment.texts.size for segment in in_memory if segment.texts is not None)
        if self._bytes > self._at_most or resident() > _RESIDENT_AT_MOST:
            in_vault += self._spilled(in_memory)
            in_memory = []
        self._segments = [*_fewer(in_vault), *_fewer(in_memory)]
        self._held = sum(segment.numbers.size for segment in self._segments)
        self._loose_from = max(2 * self._held, _LOOSE_AT_LEAST)
        self._loose_bytes_from = self._bytes + _LOOSE_BYTES
        give_back()

    def _segments_of(self, numbers: Ints) -> Ints:
        """Which segment holds each number."""
        firsts = np.array([int(segment.numbers[0]) for segment in self._segments])
        which: Ints = np.searchsorted(firsts, numbers, side="right") - 1
        return which

    def _texts(self, segment: Batch, units: Ints) -> Bytes | None:
        """The texts of some of its units, if they are in the vault."""
        if segment.texts is not None:
            return None
        assert self._vault is not None  # they were put there
        sizes = np.diff(segment.places[2 * segment.first])[units]
        begins = segment.at[units]
        texts = [
            self._vault.read(begin, end)
            for begin, end in zip(begins.tolist(), (begins + sizes).tolist(), strict=True)
        ]
        return np.frombuffer(b"".join(texts), np.uint8)

    def _holds_mark(self, texts: Bytes) -> bool:
        return any(stands_in(texts, mark) for mark in self._marks)

    def _put(self, segment: Batch) -> None:
        if not segment.numbers.size:
            return
        assert segment.texts is not None  # a new one is in memory
        self._segments.append(segment)
        self._held += segment.numbers.size
        self._bytes += segment.texts.size

    def _spilled(self, segments: list[Batch]) -> list[Batch]:
        """The segments, with their texts in the vault."""
        self._vault = self._vault or Vault()
        for segment in segments:
            assert segment.texts is not None  # it was in memory
            self._marked = self._marked or self._holds_mark(segment.texts)
            at = self._vault.put(segment.texts.data)
            segment.at = at + segment.places[2 * segment.first[:-1]]
            segment.texts = None
        self._bytes = 0
        return segments


def _fewer(segments: list[Batch]) -> list[Batch]:
    """The segments, as one where there are many of them."""
    return segments if len(segments) <= _SEGMENTS_AT_MOST else [joined(segments)]
