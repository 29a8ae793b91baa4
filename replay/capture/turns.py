"""Tables of kept units made by several processes, batch after batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import pyarrow as pa

from replay import columnar
from replay.capture.helpers import helpers
from replay.capture.slots import NOWHERE, Slots
from replay.capture.team import WAITING, in_order, team_of
from replay.schemas import STATEMENT_SCHEMA, TRANSACTION_SCHEMA

Make = Callable[[int, int], columnar.Batch]


@dataclass(frozen=True, slots=True)
class Cut:
    """Units from one place to another, and the slot that their tables come back in."""

    begin: int
    end: int
    slot: int = NOWHERE


def in_turn(make: Make, cuts: Sequence[tuple[int, int]], jobs: int) -> Iterator[columnar.Batch]:
    """The tables of each cut, in order, made by so many processes, this one among them."""
    helping = min(jobs, len(cuts)) - 1
    if helping < 1:
        yield from (make(*cut) for cut in cuts)
        return
    slots = Slots(WAITING * helping)
    pieces = (Cut(*cut, slots.take(0)[1]) for cut in cuts)
    with helpers(helping, partial(_work, make, slots)) as started:
        for worker, cut, made in in_order(
            pieces, lambda cut: make(cut.begin, cut.end), team_of(started, slots), _order
        ):
            yield _received(made) if worker else made
            slots.give_back(cut.slot)


def _order(cut: Cut) -> tuple[int, int, int]:
    return cut.slot, cut.begin, cut.end


def _work(make: Make, slots: Slots, _number: int, pipe: Connection) -> None:
    while True:
        slot, begin, end = pipe.recv()
        pipe.send(slots.put(slot, [rows.serialize() for rows in make(begin, end)]))


def _received(serialized: Sequence[pa.Buffer]) -> columnar.Batch:
    """The tables, in memory of this process."""
    schemas = (TRANSACTION_SCHEMA, STATEMENT_SCHEMA)
    return tuple(
        pa.ipc.read_record_batch(pa.py_buffer(bytes(buffer)), schema)
        for buffer, schema in zip(serialized, schemas, strict=True)
    )
