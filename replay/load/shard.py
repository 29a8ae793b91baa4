"""Shards: the planned load on disk, one file a worker, read as a stream while it is driven.

`shards.json` names the distinct calls (template, text, how prepared), so that a planned statement
is only a number, its values and its gap. `arrivals.npy` has when each transaction is due and its
shape, so that what never came to an attempt can be accounted for after a crash.
"""

import json
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from replay.errors import InputError
from replay.tag import tagged

INDEX = "shards.json"
ARRIVALS = "arrivals.npy"
_LENGTH = struct.Struct("<I")
_BLOCK = 64  # transactions that are encoded and decoded together
_ARRIVAL = np.dtype([("due_us", "<i8"), ("shape", "<i4")])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStatement:
    """One statement as it will be sent."""

    template: str
    sql: str  # parameters are $n, literals inline; not yet tagged
    prepared: str | None  # None: simple protocol; "": unnamed; else a named prepared statement
    values: tuple[bytes | None, ...]  # one a parameter, in text form
    gap_us: int = 0  # the client's own time since the answer before; holds locks
    expected_error: str = ""  # SQLSTATE with which it failed in production


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTransaction:
    """One arrival: when it is due, and what it does."""

    due_us: int  # since the origin
    statements: tuple[PlannedStatement, ...]
    left_out: str = ""  # why it is not replayed at all (see refuse); then it has no statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What was written."""

    transactions: int
    statements: int
    workers: int
    left_out: Mapping[str, int]  # transactions that are not replayed, by reason


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One statement of a shard."""

    call: int  # position in Index.calls
    values: tuple[bytes | None, ...] = ()
    gap_us: int = 0
    expected: str = ""


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One transaction of a shard."""

    number: int  # over all workers
    due_us: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A distinct statement text, ready to send."""

    template: int  # position in Index.templates
    text: bytes  # tagged
    name: bytes  # of the prepared statement; empty: none
    simple: bool  # simple protocol, where there are no values


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What all shards of a directory share."""

    planned: tuple[int, ...]  # transactions of each worker
    templates: tuple[str, ...]  # ids
    examples: tuple[str, ...]  # a text of each template, to show
    calls: tuple[Call, ...]
    shapes: tuple[tuple[str, ...], ...]  # the distinct sequences of template ids


@dataclass(slots=True)
class _Numbering:
    """Distinct calls and shapes, numbered in order of appearance."""

    templates: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    calls: dict[tuple[str, str, str | None], int] = field(default_factory=dict)
    shapes: dict[tuple[str, ...], int] = field(default_factory=dict)

    def line(self, statement: PlannedStatement) -> Line:
        if statement.template not in self.templates:
            self.templates[statement.template] = len(self.templates)
            self.examples.append(statement.sql)
        key = (statement.template, statement.sql, statement.prepared)
        return Line(
            self.calls.setdefault(key, len(self.calls)),
            statement.values,
            statement.gap_us,
            statement.expected_error,
        )

    def shape(self, statements: tuple[PlannedStatement, ...]) -> int:
        key = tuple(statement.template for statement in statements)
        return self.shapes.setdefault(key, len(self.shapes))


class _ShardWriter:
    """Writes one worker's arrivals, a block at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._block: list[Arrival] = []
        self._encode = msgspec.msgpack.Encoder().encode

    def add(self, arrival: Arrival) -> None:
        """Write an arrival, sooner or later."""
        self._block.append(arrival)
        if len(self._block) == _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        payload = self._encode(self._block)
        self._file.write(_LENGTH.pack(len(payload)) + payload)
        self._block.clear()


def shard_file(directory: Path, worker: int) -> Path:
    """Where a worker's shard is."""
    return directory / f"shard-{worker}.bin"


def write_shards(
    directory: Path, transactions: Iterable[PlannedTransaction], workers: int = 1
) -> Planned:
    """Write the planned load, one transaction to each worker in turn; due times must not fall.

    Raises InputError where nothing is planned at all.
    """
    directory.mkdir(parents=True, exist_ok=True)
    numbering = _Numbering()
    left_out: Counter[str] = Counter()
    arrivals: list[tuple[int, int]] = []
    statements = 0
    with ExitStack() as stack:
        shards = [
            _ShardWriter(stack.enter_context(shard_file(directory, worker).open("wb")))
            for worker in range(workers)
        ]
        for transaction in transactions:
            if transaction.left_out:
                left_out[transaction.left_out] += 1
                continue
            assert not arrivals or arrivals[-1][0] <= transaction.due_us, transaction
            lines = tuple(map(numbering.line, transaction.statements))
            shards[len(arrivals) % workers].add(Arrival(len(arrivals), transaction.due_us, lines))
            arrivals.append((transaction.due_us, numbering.shape(transaction.statements)))
            statements += len(lines)
        for writer in shards:
            writer.flush()
    if not arrivals:
        why = ", ".join(f"{name}: {count}" for name, count in left_out.items()) or "no arrival"
        raise InputError(
            f"nothing to replay ({why}): take a longer duration or a higher rate, "
            "or capture a window in which production was busy"
        )
    np.save(directory / ARRIVALS, np.array(arrivals, dtype=_ARRIVAL))
    _write_index(directory, numbering, len(arrivals), workers)
    return Planned(
        transactions=len(arrivals), statements=statements, workers=workers, left_out=dict(left_out)
    )


def read_index(directory: Path) -> Index:
    """What the shards of a directory share; raises InputError where there are none."""
    try:
        document: dict[str, Any] = json.loads((directory / INDEX).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{directory}: holds no shards ({error}); give --workload instead, to bake them"
        ) from None
    number = {template: n for n, template in enumerate(document["templates"])}
    return Index(
        planned=tuple(document["planned"]),
        templates=tuple(document["templates"]),
        examples=tuple(document["examples"]),
        calls=tuple(
            Call(
                template=number[template],
                text=tagged(sql, template).encode(),
                name=f"replay_{n}".encode() if prepared else b"",
                simple=prepared is None,
            )
            for n, (template, sql, prepared) in enumerate(document["calls"])
        ),
        shapes=tuple(map(tuple, document["shapes"])),
    )


def read_arrivals(directory: Path) -> np.ndarray:
    """due_us and shape (position in Index.shapes) of every arrival, by its number."""
    table: np.ndarray = np.load(directory / ARRIVALS)
    return table


def read_shard(directory: Path, worker: int) -> Iterator[Arrival]:
    """The arrivals of one worker in order of due, decoded a block at a time as they are asked for."""
    decode = msgspec.msgpack.Decoder(tuple[Arrival, ...]).decode
    with shard_file(directory, worker).open("rb", buffering=1 << 18) as file:
        while head := file.read(_LENGTH.size):
            yield from decode(file.read(_LENGTH.unpack(head)[0]))


def _write_index(directory: Path, numbering: _Numbering, planned: int, workers: int) -> None:
    document = {
        "planned": [len(range(worker, planned, workers)) for worker in range(workers)],
        "templates": list(numbering.templates),
        "examples": numbering.examples,
        "calls": list(numbering.calls),
        "shapes": list(numbering.shapes),
    }
    (directory / INDEX).write_bytes(msgspec.json.encode(document))
