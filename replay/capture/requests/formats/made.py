"""Columns out of rows: for the formats whose records come as objects, JSON's and those of files."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from replay.capture.formats.columns import TEXTS, Broken, Ints
from replay.capture.requests.columns import NAMED, UNTIMED, Requests, hosts_of, named
from replay.capture.requests.formats import cells

_METHOD = re.compile(r"[A-Z]+")


@dataclass(slots=True, kw_only=True)
class Row:
    """A request as an object; what it has not is empty."""

    offset: int
    at_us: int
    duration_us: int = UNTIMED
    status: int = 0
    size: int = 0
    method: str = ""
    target: str = ""
    agent: str = ""
    client: str = ""
    cookie: str = ""
    authorization: str = ""
    route: str = ""
    trace: str = ""
    request_id: str = ""
    content_type: str = ""
    body: str = ""
    host: str = ""


def is_request(method: str, target: str) -> bool:
    """Whether that is what a client can ask for."""
    return bool(target) and _METHOD.fullmatch(method) is not None


def columns(rows: Sequence[Row], broken: Sequence[Broken] = ()) -> Requests:
    """Requests by columns."""
    count = len(rows)

    def ints(name: str) -> Ints:
        return np.fromiter((getattr(row, name) for row in rows), np.int64, count)

    target = column([row.target for row in rows])
    return Requests(
        begin=ints("offset"),
        at_us=ints("at_us"),
        duration_us=ints("duration_us"),
        status=ints("status"),
        size=ints("size"),
        **{name: named(column([getattr(row, name) for row in rows])) for name in NAMED},
        target=target,
        trace=column([row.trace for row in rows]),
        request_id=column([row.request_id for row in rows]),
        body=column([row.body for row in rows]),
        hosts=hosts_of([column([row.host for row in rows])], target),
        broken=tuple(broken),
    )


def column(values: Iterable[Any]) -> pa.BinaryArray:
    """Values as texts; None is empty."""
    made = [
        value if isinstance(value, str) else "" if value is None else str(value) for value in values
    ]
    try:
        return pa.array(made, pa.string()).cast(TEXTS)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say
        return pa.array([text.encode("utf-8", "replace") for text in made], TEXTS)


def instant_us(text: str) -> int:
    """Epoch µs of a time in any form that a log has; -1 for none."""
    data = np.frombuffer(text.encode(), np.uint8)
    at_us = np.empty(1, np.int64)
    cells.instants(data, np.array([0]), np.array([data.size]), at_us)
    return int(at_us[0])
