"""What a format of requests gives: the requests of a block of a log, by columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.capture.formats.columns import NAMES, TEXTS, Broken, Ints

_HOST = "^[A-Za-z]+://(?P<host>[^/?#]+)"
UNTIMED = -1
"""A duration that the log does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The n requests of a block, in its order; every array has n values and no nulls.

    Texts are bytes as the log has them, its quoting undone; what a request has not is empty.
    """

    begin: Ints  # of the record in the block
    at_us: Ints  # epoch µs of the request's begin
    duration_us: Ints  # until its last byte was sent; UNTIMED where the log does not say
    status: Ints  # 0: none was sent
    size: Ints  # bytes sent
    method: pa.DictionaryArray  # NAMES: GET, POST …
    target: pa.BinaryArray  # TEXTS: path and query, as sent
    agent: pa.DictionaryArray  # NAMES: the user agent
    client: pa.DictionaryArray  # NAMES: the client's address
    cookie: pa.DictionaryArray  # NAMES: the whole header, or what stands for the session
    authorization: pa.DictionaryArray  # NAMES
    route: pa.DictionaryArray  # NAMES: as the service itself names it
    trace: pa.BinaryArray  # TEXTS: the traceparent, or the trace's id
    request_id: pa.BinaryArray  # TEXTS
    content_type: pa.DictionaryArray  # NAMES
    body: pa.BinaryArray  # TEXTS: what was sent with it
    hosts: Mapping[bytes, int]  # named in the block: the service's, and of servers behind it
    broken: tuple[Broken, ...] = ()

    def __len__(self) -> int:
        """How many requests."""
        return len(self.at_us)

    def of(self, rows: Ints) -> "Requests":
        """Some of them."""
        return Requests(
            **{name: getattr(self, name)[rows] for name in NUMBERS},
            **{name: getattr(self, name).take(pa.array(rows)) for name in (*NAMED, *TOLD)},
            hosts=self.hosts,
            broken=self.broken,
        )

    def at(self, begin: Ints, broken: tuple[Broken, ...]) -> "Requests":
        """The same, of records that stand there in the block."""
        return replace(self, begin=begin, broken=broken)


def joined(parts: Sequence[Requests]) -> Requests:
    """Requests of one block as one, in its order."""
    whole = Requests(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in NUMBERS},
        **{
            name: named(pa.concat_arrays([getattr(part, name).cast(TEXTS) for part in parts]))
            for name in NAMED
        },
        **{name: pa.concat_arrays([getattr(part, name) for part in parts]) for name in TOLD},
        hosts=sum((Counter(part.hosts) for part in parts), Counter()),
        broken=tuple(
            sorted((one for part in parts for one in part.broken), key=lambda one: one.offset)
        ),
    )
    return whole.of(np.argsort(whole.begin, kind="stable"))


NAMED = ("method", "agent", "client", "cookie", "authorization", "route", "content_type")
TOLD = ("target", "trace", "request_id", "body")
NUMBERS = ("begin", "at_us", "duration_us", "status", "size")


def absent_names(count: int) -> pa.DictionaryArray:
    """A column of few values that no request has."""
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(count, np.int32)), pa.array([b""], TEXTS)
    )


def absent_texts(count: int) -> pa.BinaryArray:
    """A column of texts that no request has."""
    offsets = pa.py_buffer(np.zeros(count + 1, np.int32))
    return pa.BinaryArray.from_buffers(TEXTS, count, [None, offsets, pa.py_buffer(b"")])


def hosts_of(columns: Sequence[pa.Array], targets: pa.BinaryArray) -> Mapping[bytes, int]:
    """How often a block names each host, in columns of hosts and in targets that are whole URLs."""
    found: Counter[bytes] = Counter()
    whole = targets.filter(pc.invert(pc.starts_with(targets, pattern="/")))
    in_targets = pc.extract_regex(whole, pattern=_HOST).field("host") if len(whole) else whole
    for column in (*columns, in_targets):
        for pair in pc.value_counts(column).to_pylist():
            if pair["values"]:
                found[pair["values"]] += pair["counts"]
    return found


def named(column: pa.BinaryArray) -> pa.DictionaryArray:
    """A column of texts as one of few values."""
    return column.dictionary_encode().cast(NAMES)
