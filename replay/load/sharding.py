"""Writes the planned load as shards (see `shard`), a block at a time.

Of what is planned only the distinct calls, shapes and settings stay in memory, and a recording's
sessions.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from replay.errors import InputError
from replay.load.numbering import Numbering, Recording, Sharing, most_at_once
from replay.load.planned import Planned, PlannedTransaction
from replay.load.settings import scripts
from replay.load.shard import (
    ARRIVAL,
    ARRIVALS,
    INDEX,
    LENGTH,
    SESSIONS,
    Arrival,
    shard_file,
)

_BLOCK = 64  # transactions that are encoded and decoded together
_ARRIVALS_BLOCK = 4096
_LINES = 2  # position in Arrival


def write_shards(
    directory: Path,
    transactions: Iterable[PlannedTransaction],
    workers: int = 1,
    only: Collection[int] | None = None,
    retries: int = 0,
    *,
    per_client: int = 1,
    aside: bool = False,
) -> Planned:
    """Write the planned load, each session's to one worker; due times must not fall.

    `per_client`: see shard.Index. Where some of it runs `aside`, one worker more has that. The shards of the workers in `only` are
    written (default: all), the index speaks of all.
    Raises InputError where nothing is planned at all.
    """
    directory.mkdir(parents=True, exist_ok=True)
    numbering = Numbering()
    left_out: Counter[str] = Counter()
    recording, sharing = Recording(), Sharing(workers)
    number = statements = 0
    with ExitStack() as stack:
        arrivals = _ArrivalWriter(stack.enter_context((directory / ARRIVALS).open("wb")))
        shards = {
            worker: _ShardWriter(stack.enter_context(shard_file(directory, worker).open("wb")))
            for worker in range(workers + aside)
            if only is None or worker in only
        }
        for transaction in transactions:
            if transaction.left_out:
                left_out[transaction.left_out] += 1
                continue
            worker = sharing.worker(transaction, number)
            lines = tuple(map(numbering.line, transaction.statements))
            numbering.ordered |= transaction.ident >= 0
            session = recording.number(transaction, worker)
            if worker in shards:
                setting = numbering.settings.setdefault(
                    transaction.settings, len(numbering.settings)
                )
                shards[worker].add(
                    Arrival(number, transaction.due_us, lines, session, setting, transaction.ident)
                )
            shape = numbering.shape(transaction.statements)
            arrivals.add(transaction.due_us, shape, worker)
            number += 1
            statements += len(lines)
        arrivals.flush()
        for shard in shards.values():
            shard.flush()
    if not number:
        raise _nothing(left_out)
    sessions = recording.table()
    np.save(directory / SESSIONS, sessions)
    of_database = sessions[sessions["worker"] == workers] if aside else sessions
    planned = [arrivals.planned[worker] for worker in range(workers + aside)]
    _write_index(
        *(directory, numbering, planned),
        recorded=bool(len(sessions)),
        retries=retries,
        per_client=per_client,
    )
    return Planned(
        transactions=number,
        statements=statements,
        workers=workers,
        left_out=dict(left_out),
        most_sessions=most_at_once(of_database),
    )


def _nothing(left_out: Counter[str]) -> InputError:
    why = ", ".join(f"{name}: {count}" for name, count in left_out.items()) or "no arrival"
    return InputError(
        f"nothing to replay ({why}): take a longer duration or a higher rate, "
        "or capture a window in which production was busy"
    )


class _ShardWriter:
    """Writes one worker's arrivals, a block at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._block: list[list[object]] = []
        self._encode = msgspec.msgpack.Encoder().encode

    def add(self, arrival: Arrival) -> None:
        """Write an arrival, sooner or later."""
        bare = _bare(arrival)
        bare[_LINES] = list(map(_bare, arrival.lines))
        self._block.append(bare)
        if len(self._block) == _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        payload = self._encode(self._block)
        self._file.write(LENGTH.pack(len(payload)) + payload)
        self._block.clear()


def _bare(of: msgspec.Struct) -> list[object]:
    """Its fields without what the last ones are anyway: that takes longest to read."""
    fields = list(msgspec.structs.astuple(of))
    for default in reversed(of.__struct_defaults__):
        if fields[-1] != default:
            break
        fields.pop()
    return fields


class _ArrivalWriter:
    """Writes when each arrival is due, its shape and its worker, and counts them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._block: list[tuple[int, int, int]] = []
        self.planned: Counter[int] = Counter()  # by worker
        self.last_us = 0

    def add(self, due_us: int, shape: int, worker: int) -> None:
        """Write one, sooner or later; due times must not fall."""
        assert due_us >= self.last_us, due_us
        self.last_us = due_us
        self.planned[worker] += 1
        self._block.append((due_us, shape, worker))
        if len(self._block) == _ARRIVALS_BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        self._file.write(np.array(self._block, dtype=ARRIVAL).tobytes())
        self._block.clear()


def _write_index(directory: Path, numbering: Numbering, planned: list[int], **more: int) -> None:
    document = {
        "ordered": numbering.ordered,
        **more,
        "settings": scripts(numbering.settings),
        "planned": planned,
        "templates": list(numbering.templates),
        "examples": numbering.examples,
        "calls": list(numbering.calls),
        "shapes": list(numbering.shapes),
    }
    (directory / INDEX).write_bytes(msgspec.json.encode(document))
