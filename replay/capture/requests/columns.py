"""What a format of requests gives: the requests of a block of a log, by columns."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from replay.capture.formats.columns import Broken, Ints
from replay.capture.formats.texts import PLAIN, Texts
from replay.capture.kernels import as_bytes
from replay.capture.requests import names

_HOST = re.compile(rb"[A-Za-z]+://([^/?#]+)")
UNTIMED = -1
"""A duration that the log does not tell."""
TEXTS = (
    *("method", "target", "agent", "client", "cookie", "authorization", "route", "trace"),
    *("request_id", "content_type", "body", "headers"),
)
NUMBERS = ("begin", "at_us", "duration_us", "status", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The n requests of a block, in its order; every column has n values.

    Texts are bytes as the log has them, its quoting undone; what a request has not is empty.
    """

    begin: Ints  # of the record in the block
    at_us: Ints  # epoch µs of the request's begin
    duration_us: Ints  # until its last byte was sent; UNTIMED where the log does not say
    status: Ints  # 0: none was sent
    size: Ints  # bytes sent
    method: Texts  # GET, POST …
    target: Texts  # path and query, as sent
    agent: Texts  # the user agent
    client: Texts  # the client's address
    cookie: Texts  # the whole header, or what stands for the session
    authorization: Texts
    route: Texts  # as the service itself names it
    trace: Texts  # the traceparent, or the trace's id
    request_id: Texts
    content_type: Texts
    body: Texts  # what was sent with it
    headers: Texts  # that are replayed, `Name: value` in lines: see headers
    hosts: Mapping[bytes, int]  # named in the block: the service's, and of servers behind it
    broken: tuple[Broken, ...] = ()

    def __len__(self) -> int:
        """How many requests."""
        return len(self.at_us)

    def of(self, rows: Ints) -> "Requests":
        """Some of them."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in NUMBERS}
        columns |= {name: getattr(self, name).only(rows) for name in TEXTS}
        return replace(self, **columns)


def joined(whole: Requests, few: Requests) -> Requests:
    """Requests of one block as one, in its order: many that stand in the block, and others."""
    columns = [getattr(few, name) for name in TEXTS]
    sizes = [column.data.size for column in columns]
    block = whole.target.data
    data = as_bytes(np.concatenate([block, *(column.data for column in columns)]))
    ahead = np.cumsum([block.size, *sizes])
    made: dict[str, Any] = {
        name: np.concatenate((getattr(whole, name), getattr(few, name))) for name in NUMBERS
    }
    made |= {
        name: _with(getattr(whole, name), column, data, int(begin))
        for name, column, begin in zip(TEXTS, columns, ahead, strict=False)
    }
    both = replace(
        whole,
        **made,
        hosts=Counter(whole.hosts) + Counter(few.hosts),
        broken=tuple(sorted((*whole.broken, *few.broken), key=lambda one: one.offset)),
    )
    return both.of(np.argsort(both.begin, kind="stable"))


def _with(column: Texts, more: Texts, data: np.ndarray, ahead: int) -> Texts:
    """Texts of the first bytes of the data, and others from a place on."""
    return Texts(
        data,
        np.concatenate((column.begins, more.begins + np.int32(ahead))),
        np.concatenate((column.ends, more.ends + np.int32(ahead))),
        np.concatenate((column.marks, more.marks)),
    )


def absent(count: int) -> Texts:
    """A column of texts that no request has."""
    nothing = np.zeros(count, np.int32)
    return Texts(as_bytes(b""), nothing, nothing, np.full(count, PLAIN, np.uint8))


def is_absent(column: Texts) -> bool:
    """Whether it is known to be such."""
    return not column.data.size


def elsewhere(targets: Texts) -> Texts:
    """Those that are whole URLs, or at least no paths."""
    return targets.only(np.flatnonzero(~targets.begin_with(ord("/"))))


def hosts_of(columns: Sequence[Texts], whole: Texts) -> Mapping[bytes, int]:
    """How often a block names each host, in columns of hosts and in targets that are no paths."""
    found: Counter[bytes] = Counter()
    for column in columns:
        codes, firsts = names.codes(column)
        calls = np.bincount(codes, minlength=firsts.size).tolist()
        found.update(dict(zip(column.only(firsts).to_pylist(), calls, strict=True)))
    if len(whole):
        named = map(_HOST.match, whole.to_pylist())
        found.update(host[1] for host in named if host)
    found.pop(b"", None)
    return found
