"""Shards: the planned load on disk, one file a worker, read as a stream while it is driven.

`shards.json` names the distinct calls (template, text, how prepared), so that a planned statement
is only a number, its values and its gap; of a template with many texts the further ones stand in
the shard. `arrivals.bin` has when each transaction is due, its worker and its shape, so that what
never came to an attempt can be accounted for after a crash. `sharding` writes them. Nothing here holds
the whole load: ten million statements are written and read in a few megabytes.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from replay.errors import InputError
from replay.load.protocol import execute, values_of
from replay.tag import tagged

INDEX = "shards.json"
ARRIVALS = "arrivals.bin"
SESSIONS = "sessions.npy"
LENGTH = struct.Struct("<I")  # of a block of a shard, which follows it
SESSION = np.dtype(
    [
        ("connect_us", "<i8"),  # since the origin
        ("last_us", "<i8"),  # when its last transaction is due
        ("number", "<i4"),
        ("worker", "<i2"),
        ("transactions", "<i4"),
    ]
)
ARRIVAL = np.dtype([("due_us", "<i8"), ("shape", "<i4"), ("worker", "<i2")])


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
    settings: tuple[bytes, ...] = (b"RESET ALL",)  # texts that set up a session; first: as it came
    retries: int = 0  # of a transaction that failed to serialise, or in a deadlock
    per_client: int = 1  # requests that a session of production's asked for, on average


def shard_file(directory: Path, worker: int) -> Path:
    """Where a worker's shard is."""
    return directory / f"shard-{worker}.bin"


def name_of(call: int) -> bytes:
    """Of a call's prepared statement."""
    return b"replay_%d" % call


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
                name=name_of(n) if prepared else b"",
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
        per_client=document["per_client"],
    )


def read_arrivals(directory: Path) -> np.ndarray:
    """due_us, shape (position in Index.shapes) and worker of every arrival, by its number."""
    return np.memmap(directory / ARRIVALS, dtype=ARRIVAL, mode="r")


def read_shard(directory: Path, worker: int) -> Iterator[Arrival]:
    """The arrivals of one worker in order of due, decoded a block at a time as they are asked for."""
    return chain.from_iterable(_blocks(shard_file(directory, worker)))


def _blocks(shard: Path) -> Iterator[tuple[Arrival, ...]]:
    decode = msgspec.msgpack.Decoder(tuple[Arrival, ...]).decode
    with shard.open("rb", buffering=1 << 18) as file:
        while head := file.read(LENGTH.size):
            yield decode(file.read(LENGTH.unpack(head)[0]))


def read_sessions(directory: Path, worker: int) -> np.ndarray:
    """connect_us, number and transactions of each session of a worker, by when it connects."""
    table: np.ndarray = np.load(directory / SESSIONS)
    mine: np.ndarray = table[table["worker"] == worker]
    return mine
