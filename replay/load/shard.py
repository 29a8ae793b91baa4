"""Shards: the planned load on disk, one file a worker, read as a stream while it is driven.

`shards.json` names the distinct calls (template, text, how prepared), so that a planned statement
is only a number, its values and its gap; of a template with many texts the further ones stand in
the shard. `arrivals.bin` has when each transaction is due, its worker and its shape, so that what
never came to an attempt can be accounted for after a crash. Nothing here holds the whole load: ten
million statements are written and read in a few megabytes.
"""

import json
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from replay.errors import InputError
from replay.load.protocol import execute, values_of
from replay.load.settings import scripts
from replay.tag import tagged

INDEX = "shards.json"
ARRIVALS = "arrivals.bin"
SESSIONS = "sessions.npy"
_LENGTH = struct.Struct("<I")
_BLOCK = 64  # transactions that are encoded and decoded together
_ARRIVALS_BLOCK = 4096
_TEXTS = 64  # of one template, that are calls of their own
_LINES = 2  # position in Arrival
_SESSION = np.dtype(
    [
        ("connect_us", "<i8"),  # since the origin
        ("last_us", "<i8"),  # when its last transaction is due
        ("number", "<i4"),
        ("worker", "<i2"),
        ("transactions", "<i4"),
    ]
)
_ARRIVAL = np.dtype([("due_us", "<i8"), ("shape", "<i4"), ("worker", "<i2")])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStatement:
    """One statement as it will be sent."""

    template: str
    sql: str  # parameters are $n, literals inline; not yet tagged
    prepared: str | None  # None: simple protocol; "": unnamed; else a named prepared statement
    values: tuple[bytes | None, ...]  # one a parameter, in text form
    gap_us: int = 0  # the client's own time since the answer before; holds locks
    expected_error: str = ""  # SQLSTATE with which it failed in production
    after: tuple[int, ...] = ()  # transactions, by their ident, that have to be over before it


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTransaction:
    """One arrival: when it is due, and what it does."""

    due_us: int  # since the origin
    statements: tuple[PlannedStatement, ...]
    session: str = ""  # one worker drives all of a session; of no session: each in turn
    connect_us: int = 0  # when its session connects, since the origin; the first one's word counts
    ident: int = -1  # by which others wait for it
    settings: tuple[str, ...] = ()  # statements that set up a session of the pool for it
    aside: bool = (
        False  # statements beside requests: of the last worker, which speaks to the database
    )
    left_out: str = ""  # why it is not replayed at all (see refuse); then it has no statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What was written."""

    transactions: int
    statements: int
    workers: int
    left_out: Mapping[str, int]  # transactions that are not replayed, by reason
    most_sessions: int = 0  # of a recording, open at once


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One statement of a shard."""

    call: int  # position in Index.calls
    message: bytes = b""  # what executes it with its values, of a call that is prepared
    gap_us: int = 0
    values: tuple[bytes | None, ...] = ()  # of a call that is not
    expected: str = ""
    text: str = ""  # in the place of the call's, where the template has too many to be calls
    after: tuple[int, ...] = ()  # idents of arrivals that have to be over before it is sent

    def bound(self) -> tuple[bytes | None, ...]:
        """Its values, wherever they stand."""
        return values_of(self.message) if self.message else self.values

    def bare(self) -> bytes:
        """What executes it, of a call that has no name."""
        return self.message or execute(b"", self.values)


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One transaction of a shard."""

    number: int  # over all workers
    due_us: int
    lines: tuple[Line, ...]
    session: int = -1  # number of its captured session, where it is replayed on one of its own
    settings: int = 0  # position in Index.settings
    ident: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A distinct statement text, ready to send."""

    template: int  # position in Index.templates
    text: bytes  # tagged
    name: bytes  # of the prepared statement; empty: none
    simple: bool  # simple protocol, where there are no values
    number: int  # position in Index.calls; -1: sent beside them
    tag: bytes = b""  # of the template, for a text of the shard's own

    def with_text(self, sql: str) -> "Call":
        """The same for another text of the template."""
        return replace(self, text=self.tag + sql.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What all shards of a directory share."""

    planned: tuple[int, ...]  # transactions of each worker
    templates: tuple[str, ...]  # ids
    examples: tuple[str, ...]  # a text of each template, to show
    calls: tuple[Call, ...]
    shapes: tuple[tuple[str, ...], ...]  # the distinct sequences of template ids
    ordered: bool = False  # of a recording: transactions wait for one another's commits
    recorded: bool = False  # each captured session has a connection of its own
    settings: tuple[bytes, ...] = (
        b"RESET ALL",
    )  # texts that set up a session; the first: as it came
    retries: int = 0  # of a transaction that failed to serialise, or in a deadlock


@dataclass(slots=True)
class _Numbering:
    """Distinct calls and shapes, numbered in order of appearance."""

    templates: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    calls: dict[tuple[str, str, str | None], int] = field(default_factory=dict)
    texts: Counter[str] = field(default_factory=Counter)  # by template
    shapes: dict[tuple[str, ...], int] = field(default_factory=dict)
    settings: dict[tuple[str, ...], int] = field(default_factory=lambda: {(): 0})
    ordered: bool = False

    def line(self, statement: PlannedStatement) -> Line:
        if statement.template not in self.templates:
            self.templates[statement.template] = len(self.templates)
            self.examples.append(statement.sql)
        text = ""
        key = (statement.template, statement.sql, statement.prepared)
        if key not in self.calls:
            if self.texts[statement.template] >= _TEXTS:
                # A name is for a text that comes again, and this one does not.
                text = statement.sql
                simple = statement.prepared is None
                key = (statement.template, "", None if simple else "")
            self.texts[statement.template] += 1
        call = self.calls.setdefault(key, len(self.calls))
        prepared = key[2]
        message = b""
        if prepared is not None:
            message = execute(_name(call) if prepared else b"", statement.values)
        return Line(
            call,
            message,
            statement.gap_us,
            () if message else statement.values,
            statement.expected_error,
            text,
            statement.after,
        )

    def shape(self, statements: tuple[PlannedStatement, ...]) -> int:
        key = tuple(statement.template for statement in statements)
        return self.shapes.setdefault(key, len(self.shapes))


def _name(call: int) -> bytes:
    """Of a call's prepared statement."""
    return b"replay_%d" % call


class _Recording:
    """The captured sessions of a load, numbered in order of appearance."""

    def __init__(self) -> None:
        self._rows: dict[str, list[int]] = {}  # connect, last due, number, worker, transactions

    def number(self, transaction: PlannedTransaction, worker: int) -> int:
        """The number of a transaction's session, of which one more was planned; -1: of none."""
        if not transaction.session:
            return -1
        row = self._rows.get(transaction.session)
        if row is None:
            row = [transaction.connect_us, 0, len(self._rows), worker, 0]
            self._rows[transaction.session] = row
        row[1] = transaction.due_us
        row[4] += 1
        return row[2]

    def table(self) -> np.ndarray:
        """One row a session, by when it connects."""
        rows = np.array([tuple(row) for row in self._rows.values()], dtype=_SESSION)
        return rows[np.argsort(rows["connect_us"], kind="stable")]


def most_at_once(sessions: np.ndarray) -> int:
    """How many of the sessions are open at one time, if none lasts longer than planned."""
    moments = np.concatenate([sessions["connect_us"], sessions["last_us"] + 1])
    steps = np.repeat([1, -1], len(sessions))
    return int(np.cumsum(steps[np.argsort(moments, kind="stable")]).max(initial=0))


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
        self._file.write(_LENGTH.pack(len(payload)) + payload)
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
        self._file.write(np.array(self._block, dtype=_ARRIVAL).tobytes())
        self._block.clear()


def shard_file(directory: Path, worker: int) -> Path:
    """Where a worker's shard is."""
    return directory / f"shard-{worker}.bin"


def write_shards(
    directory: Path,
    transactions: Iterable[PlannedTransaction],
    workers: int = 1,
    only: Collection[int] | None = None,
    retries: int = 0,
    *,
    aside: bool = False,
) -> Planned:
    """Write the planned load, each session's to one worker; due times must not fall.

    Where some of it runs `aside`, one worker more has that. The shards of the workers in `only` are written (default: all), the index speaks of all.
    Raises InputError where nothing is planned at all.
    """
    directory.mkdir(parents=True, exist_ok=True)
    numbering = _Numbering()
    left_out: Counter[str] = Counter()
    recording = _Recording()
    number = statements = 0
    with ExitStack() as stack:
        arrivals = _ArrivalWriter(stack.enter_context((directory / ARRIVALS).open("wb")))
        shards = {
            worker: _ShardWriter(stack.enter_context(shard_file(directory, worker).open("wb")))
            for worker in (range(workers + aside) if only is None else only)
        }
        for transaction in transactions:
            if transaction.left_out:
                left_out[transaction.left_out] += 1
                continue
            worker = _worker_of(transaction.session, number, workers)
            worker = workers if transaction.aside else worker
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
        why = ", ".join(f"{name}: {count}" for name, count in left_out.items()) or "no arrival"
        raise InputError(
            f"nothing to replay ({why}): take a longer duration or a higher rate, "
            "or capture a window in which production was busy"
        )
    sessions = recording.table()
    np.save(directory / SESSIONS, sessions)
    planned = [arrivals.planned[worker] for worker in range(workers + aside)]
    _write_index(directory, numbering, planned, recorded=bool(len(sessions)), retries=retries)
    return Planned(
        transactions=number,
        statements=statements,
        workers=workers,
        left_out=dict(left_out),
        most_sessions=most_at_once(sessions),
    )


def _worker_of(session: str, number: int, workers: int) -> int:
    """The same on every host, which `hash` is not."""
    return (zlib.crc32(session.encode()) if session else number) % workers


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
                name=_name(n) if prepared else b"",
                simple=prepared is None,
                number=n,
                tag=tagged("", template).encode(),
            )
            for n, (template, sql, prepared) in enumerate(document["calls"])
        ),
        shapes=tuple(map(tuple, document["shapes"])),
        ordered=document["ordered"],
        recorded=document["recorded"],
        settings=tuple(text.encode() for text in document["settings"]),
        retries=document["retries"],
    )


def read_arrivals(directory: Path) -> np.ndarray:
    """due_us, shape (position in Index.shapes) and worker of every arrival, by its number."""
    return np.memmap(directory / ARRIVALS, dtype=_ARRIVAL, mode="r")


def read_shard(directory: Path, worker: int) -> Iterator[Arrival]:
    """The arrivals of one worker in order of due, decoded a block at a time as they are asked for."""
    return chain.from_iterable(_blocks(shard_file(directory, worker)))


def _blocks(shard: Path) -> Iterator[tuple[Arrival, ...]]:
    decode = msgspec.msgpack.Decoder(tuple[Arrival, ...]).decode
    with shard.open("rb", buffering=1 << 18) as file:
        while head := file.read(_LENGTH.size):
            yield decode(file.read(_LENGTH.unpack(head)[0]))


def read_sessions(directory: Path, worker: int) -> np.ndarray:
    """connect_us, number and transactions of each session of a worker, by when it connects."""
    table: np.ndarray = np.load(directory / SESSIONS)
    mine: np.ndarray = table[table["worker"] == worker]
    return mine


def _write_index(
    directory: Path, numbering: _Numbering, planned: list[int], *, recorded: bool, retries: int
) -> None:
    document = {
        "ordered": numbering.ordered,
        "recorded": recorded,
        "retries": retries,
        "settings": scripts(numbering.settings),
        "planned": planned,
        "templates": list(numbering.templates),
        "examples": numbering.examples,
        "calls": list(numbering.calls),
        "shapes": list(numbering.shapes),
    }
    (directory / INDEX).write_bytes(msgspec.json.encode(document))
