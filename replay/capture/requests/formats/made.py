"""Columns out of rows: for the formats whose records come as objects, JSON's and those of files."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from replay import multipart
from replay.capture.formats.columns import Broken, Ints
from replay.capture.formats.texts import Texts
from replay.capture.kernels import as_bytes
from replay.capture.requests.columns import (
    TEXTS,
    UNTIMED,
    Requests,
    elsewhere,
    hosts_of,
)
from replay.capture.requests.formats.moments import instant, no_minute

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
    headers: str = ""
    host: str = ""


def is_request(method: str, target: str) -> bool:
    """Whether that is what a client can ask for."""
    return bool(target) and _METHOD.fullmatch(method) is not None


def columns(rows: Sequence[Row], broken: Sequence[Broken] = ()) -> Requests:
    """Requests by columns."""
    for row in rows:  # uploads are long, and nothing of them is kept
        if multipart.is_form(row.content_type):
            row.body, row.content_type = multipart.lightened(row.body, row.content_type)

    def ints(name: str) -> Ints:
        return np.fromiter((getattr(row, name) for row in rows), np.int64, len(rows))

    named = {name: column([getattr(row, name) for row in rows]) for name in TEXTS}
    return Requests(
        begin=ints("offset"),
        at_us=ints("at_us"),
        duration_us=ints("duration_us"),
        status=ints("status"),
        size=ints("size"),
        **named,
        hosts=hosts_of([column([row.host for row in rows])], elsewhere(named["target"])),
        broken=tuple(broken),
    )


def column(values: Iterable[Any]) -> Texts:
    """Values as texts; None is empty."""
    made = [
        value if isinstance(value, str) else "" if value is None else str(value) for value in values
    ]
    try:
        return Texts.holding([text.encode() for text in made])
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say
        return Texts.holding([text.encode("utf-8", "replace") for text in made])


def instant_us(text: str) -> int:
    """Epoch µs of a time in any form that a log has; -1 for none."""
    data = as_bytes(text.encode())
    return int(instant(data, np.uint64(0), np.uint64(data.size), no_minute()))
