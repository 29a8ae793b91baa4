"""The records of units that may be kept: in memory, and in a vault when there are many."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from replay.capture.kernels import ZERO, Bytes, Ints, compiled
from replay.capture.memory import give_back
from replay.capture.units import Priorities, Units
from replay.capture.vault import Vault

_IN_MEMORY_AT_MOST = 24 << 20  # bytes
_LOOSE_AT_LEAST = 20_000  # units
_COLUMNS = ("template", "start_us", "spent_us", "state")


class StoredExecution(msgspec.Struct, gc=False):
    """One execution of a stored unit: its values still stand in the records."""

    template: int  # number among all templates
    start_us: int  # epoch
    spent_us: int
    state: int  # number among all SQLSTATEs; NONE where it did not fail
    record: bytes  # of the log, that holds its text
    call: bytes  # record before a failed one that holds its parameters, or nothing


class Stored(msgspec.Struct):
    """A unit with its records."""

    session: bytes
    priority: int
    executions: list[StoredExecution]  # one at least

    @property
    def start_us(self) -> int:
        """Start of its first execution, epoch µs."""
        return self.executions[0].start_us


@dataclass(slots=True, kw_only=True)
class _Segment:
    """Units that were stored together, by number; their executions stand behind one another."""

    numbers: Ints
    first: Ints  # place of each unit's first execution, and the end of the last's
    columns: Ints  # four rows, by execution
    places: Ints  # two an execution, where its record and its call begin; and the end of all
    sessions: Sequence[bytes]
    priorities: Priorities
    texts: Bytes | None  # None: in the vault, `at` an offset
    at: int = 0

    def rows(self, units: Ints) -> Ints:
        """Places of the units' executions."""
        sizes = self.first[units + 1] - self.first[units]
        behind = np.cumsum(sizes)
        within = np.arange(int(behind[-1]) if behind.size else 0)
        rows: Ints = within + np.repeat(self.first[units] - behind + sizes, sizes)
        return rows


class Store:
    """Units by number; numbers count on."""

    def __init__(self, *, in_memory_at_most: int = _IN_MEMORY_AT_MOST) -> None:
        self._at_most = in_memory_at_most
        self._segments: list[_Segment] = []  # by number
        self._bytes = 0  # in memory
        self._vault: Vault | None = None
        self._held = 0  # units
        self._starts = array("q")  # epoch µs, by number
        self._priorities = array("Q")
        self._loose_from = _LOOSE_AT_LEAST

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
            _Segment(
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

    def __getitem__(self, number: int) -> Stored:
        """The unit of that number."""
        (unit,) = self.units(np.array([number]))
        return unit

    def units(self, numbers: Ints) -> Iterator[Stored]:
        """The units of those numbers."""
        for segment, unit in self._found(numbers):
            rows = range(int(segment.first[unit]), int(segment.first[unit + 1]))
            columns = segment.columns[:, rows.start : rows.stop].tolist()
            places = segment.places[2 * rows.start : 2 * rows.stop + 1].tolist()
            texts = self._texts(segment, places[0], places[-1])
            begins = [place - places[0] for place in places]
            yield Stored(
                segment.sessions[unit],
                int(segment.priorities[unit]),
                [
                    StoredExecution(
                        template,
                        start_us,
                        spent_us,
                        state,
                        record=texts[begins[2 * row] : begins[2 * row + 1]],
                        call=texts[begins[2 * row + 1] : begins[2 * row + 2]],
                    )
                    for row, (template, start_us, spent_us, state) in enumerate(
                        zip(*columns, strict=True)
                    )
                ],
            )

    def templates(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Of all executions of those units the template, and the unit's place in `numbers`."""
        parts = [
            segment.columns[0, segment.first[unit] : segment.first[unit + 1]]
            for segment, unit in self._found(numbers)
        ]
        sizes = [part.size for part in parts]
        unit = np.repeat(np.arange(numbers.size), sizes)
        return np.concatenate([np.empty(0, np.int64), *parts]), unit

    def is_loose(self) -> bool:
        """Whether many units have been added since the last `keep`."""
        return self._held > self._loose_from

    def keep(self, numbers: Ints) -> None:
        """Let go of all others, as far as they are in memory; `numbers` ascend."""
        kept, held = [], []
        for segment in self._segments:
            which = np.flatnonzero(np.isin(segment.numbers, numbers, assume_unique=True))
            if segment.texts is None:
                kept += [segment] if which.size else []
            elif which.size:
                held.append(_of(segment, segment.texts, which))
        self._segments = [*kept, *([_joined(held)] if held else [])]
        self._segments.sort(key=lambda segment: int(segment.numbers[0]))
        self._bytes = sum(s.texts.size for s in self._segments if s.texts is not None)
        self._held = sum(segment.numbers.size for segment in self._segments)
        self._loose_from = max(2 * self._held, _LOOSE_AT_LEAST)
        give_back()

    def _found(self, numbers: Ints) -> Iterable[tuple[_Segment, int]]:
        """The segment of each number, and its place there."""
        firsts = np.array([int(segment.numbers[0]) for segment in self._segments])
        which = np.searchsorted(firsts, numbers, side="right") - 1
        for number, segment in zip(numbers.tolist(), which.tolist(), strict=True):
            found = self._segments[segment]
            yield found, int(np.searchsorted(found.numbers, number))

    def _texts(self, segment: _Segment, begin: int, end: int) -> bytes:
        if segment.texts is not None:
            return segment.texts[begin:end].tobytes()
        assert self._vault is not None  # it was put there
        return self._vault.read(segment.at + begin, segment.at + end)

    def _put(self, segment: _Segment) -> None:
        if not segment.numbers.size:
            return
        assert segment.texts is not None  # a new one is in memory
        self._segments.append(segment)
        self._held += segment.numbers.size
        self._bytes += segment.texts.size
        if self._bytes > self._at_most:
            self._spill()

    def _spill(self) -> None:
        self._vault = self._vault or Vault()
        for segment in self._segments:
            if segment.texts is not None:
                segment.at = self._vault.put(segment.texts.tobytes())
                segment.texts = None
        self._bytes = 0


def _of(segment: _Segment, texts: Bytes, units: Ints) -> _Segment:
    """Some of a segment's units."""
    if units.size == segment.numbers.size:
        return segment
    rows = segment.rows(units)
    begins, ends = segment.places[2 * rows], segment.places[2 * rows + 2]
    calls = segment.places[2 * rows + 1]
    sizes = np.stack((calls - begins, ends - calls), 1).ravel()
    first = np.concatenate(([0], np.cumsum(segment.first[units + 1] - segment.first[units])))
    return _Segment(
        numbers=segment.numbers[units],
        first=first,
        columns=segment.columns[:, rows],
        places=np.concatenate(([0], np.cumsum(sizes))),
        sessions=[segment.sessions[unit] for unit in units.tolist()],
        priorities=segment.priorities[units],
        texts=pieces(texts, begins, ends),
    )


def _joined(segments: Sequence[_Segment]) -> _Segment:
    """Segments in memory as one."""
    rows = np.cumsum([0, *(segment.first[-1] for segment in segments)])
    sizes = np.cumsum([0, *(segment.places[-1] for segment in segments)])
    return _Segment(
        numbers=np.concatenate([segment.numbers for segment in segments]),
        first=np.concatenate(
            [*(s.first[:-1] + row for s, row in zip(segments, rows, strict=False)), rows[-1:]]
        ),
        columns=np.concatenate([segment.columns for segment in segments], 1),
        places=np.concatenate(
            [*(s.places[:-1] + size for s, size in zip(segments, sizes, strict=False)), sizes[-1:]]
        ),
        sessions=[session for segment in segments for session in segment.sessions],
        priorities=np.concatenate([segment.priorities for segment in segments]),
        texts=np.concatenate([s.texts for s in segments if s.texts is not None]),
    )


@compiled
def pieces(texts: Bytes, begins: Ints, ends: Ints) -> Bytes:
    """Pieces of the texts behind one another."""
    joined = np.empty((ends - begins).sum(), np.uint8)
    out = ZERO
    for row in range(begins.size):
        at, size = np.uint64(begins[row]), np.uint64(ends[row] - begins[row])
        for step in range(size):
            joined[out + step] = texts[at + step]
        out += size
    return joined
