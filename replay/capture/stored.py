"""Units with their records: one by one, and by columns, in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise

import msgspec
import numpy as np

from replay.capture.kernels import ZERO, Bytes, Ints, compiled
from replay.capture.priority import Priorities
from replay.capture.words import put


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


def _nowhere() -> Ints:
    return np.empty(0, np.int64)


@dataclass(slots=True, kw_only=True)
class Batch:
    """Units that were stored together, by number; their executions stand behind one another."""

    numbers: Ints
    first: Ints  # place of each unit's first execution, and the end of the last's
    columns: Ints  # four rows, by execution
    places: Ints  # two an execution, where its record and its call begin; and the end of all
    sessions: Sequence[bytes]
    priorities: Priorities
    texts: Bytes | None  # None: in the vault
    at: Ints = field(default_factory=_nowhere)  # there, where each unit's records begin

    def counts(self) -> Ints:
        """How many executions each unit has."""
        return np.diff(self.first)

    def starts_us(self) -> Ints:
        """Start of each unit's first execution, epoch µs."""
        starts_us: Ints = self.columns[1, self.first[:-1]]
        return starts_us

    def rows(self, units: Ints) -> Ints:
        """Places of the units' executions."""
        sizes = self.first[units + 1] - self.first[units]
        behind = np.cumsum(sizes)
        within = np.arange(int(behind[-1]) if behind.size else 0)
        rows: Ints = within + np.repeat(self.first[units] - behind + sizes, sizes)
        return rows


def stored(batch: Batch) -> Iterator[Stored]:
    """The units of a batch, one by one."""
    assert batch.texts is not None  # they were taken out of the vault
    texts = batch.texts.tobytes()
    records = [texts[begin:end] for begin, end in pairwise(batch.places.tolist())]
    columns = zip(*batch.columns.tolist(), records[::2], records[1::2], strict=True)
    executions = [StoredExecution(*execution) for execution in columns]
    for unit, (begin, end) in enumerate(pairwise(batch.first.tolist())):
        priority = int(batch.priorities[unit])
        yield Stored(batch.sessions[unit], priority, executions[begin:end])


def batch_of(units: Sequence[Stored], numbers: Ints) -> Batch:
    """Units by columns."""
    executions = [execution for unit in units for execution in unit.executions]
    records = list(chain.from_iterable((e.record, e.call) for e in executions))
    columns = [(e.template, e.start_us, e.spent_us, e.state) for e in executions]
    return Batch(
        numbers=numbers,
        first=np.array([0, *accumulate(len(unit.executions) for unit in units)]),
        columns=np.array(columns, np.int64).T,
        places=np.array([0, *accumulate(map(len, records))]),
        sessions=[unit.session for unit in units],
        priorities=np.array([unit.priority for unit in units], np.uint64),
        texts=np.frombuffer(b"".join(records), np.uint8),
    )


def part_of(segment: Batch, units: Ints, read: Bytes | None = None) -> Batch:
    """Some of a segment's units, in that order; of one in the vault with what was `read` of it."""
    rows = segment.rows(units)
    begins, ends = segment.places[2 * rows], segment.places[2 * rows + 2]
    calls = segment.places[2 * rows + 1]
    sizes = np.stack((calls - begins, ends - calls), 1).ravel()
    first = np.concatenate(([0], np.cumsum(segment.first[units + 1] - segment.first[units])))
    at = _nowhere()
    if read is None and segment.texts is not None:
        read = pieces(segment.texts, begins, ends)
    elif read is None:
        at = segment.at[units]
    return Batch(
        numbers=segment.numbers[units],
        first=first,
        columns=segment.columns[:, rows],
        places=np.concatenate(([0], np.cumsum(sizes))),
        sessions=[segment.sessions[unit] for unit in units.tolist()],
        priorities=segment.priorities[units],
        texts=read,
        at=at,
    )


def joined(segments: Sequence[Batch]) -> Batch:
    """Segments as one: all in memory, or all in the vault."""
    texts = [segment.texts for segment in segments if segment.texts is not None]
    rows = np.cumsum([0, *(segment.first[-1] for segment in segments)])
    sizes = np.cumsum([0, *(segment.places[-1] for segment in segments)])
    return Batch(
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
        texts=np.concatenate(texts) if texts else None,
        at=np.concatenate([segment.at for segment in segments]),
    )


def pieces(texts: Bytes, begins: Ints, ends: Ints) -> Bytes:
    """Pieces of the texts behind one another."""
    joined = np.empty(int((ends - begins).sum()), np.uint8)
    _join(texts, begins, ends, joined)
    return joined


@compiled
def _join(texts: Bytes, begins: Ints, ends: Ints, joined: Bytes) -> None:
    out = ZERO
    for row in range(begins.size):
        out += put(joined, out, texts, begins[row], ends[row] - begins[row])
