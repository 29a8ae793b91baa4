"""GoReplay's files, .gor: raw requests and responses, each behind a line of its own.

A payload begins with `kind id time-ns [latency-ns]`; kind 1 is a request, 2 its response (whose
latency counts from the request's begin); a line of three monkeys ends it. Source: GoReplay's wiki,
"Saving and replaying from file".
"""

import re
from dataclasses import dataclass

from replay.capture.formats.columns import Broken
from replay.capture.requests.columns import Requests
from replay.capture.requests.formats.made import Row, columns, is_request
from replay.capture.requests.headers import kept

_SEPARATOR = "\n🐵🙈🙉\n".encode()
_META = re.compile(rb"([123]) ([0-9a-zA-Z]+) (\d{15,20})(?: (-?\d+))?[^\n]*\n")
_NOT_SO = "payload is none of GoReplay's"
_STATUS = re.compile(rb"HTTP/[\d.]+ (\d{3})")
_LATER = 1 << 22  # bytes: a response stands so near its request


@dataclass(frozen=True, slots=True)
class Gor:
    """A file of GoReplay's."""

    @property
    def name(self) -> str:
        """As a person calls it."""
        return "GoReplay file"

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Behind the last separator ahead of a request, so that responses stay with theirs."""
        data = bytes(chunk)
        if whole_file:
            return len(data)
        last = data.rfind(_SEPARATOR + b"1 ", 0, max(len(data) - _LATER, 0))
        return last + len(_SEPARATOR) if last >= 0 else 0

    def parse(self, block: memoryview) -> Requests:
        """The requests of a block, with what their responses say."""
        rows: dict[bytes, Row] = {}
        broken: list[Broken] = []
        offset = 0
        for payload in bytes(block).split(_SEPARATOR):
            meta = _META.match(payload)
            body = payload[meta.end() :] if meta else b""
            if meta is None:
                if payload.strip():
                    broken.append(Broken(offset=offset, reason=_NOT_SO))
            elif meta[1] == b"1":
                row = _request(offset, int(meta[3]) // 1000, body)
                if is_request(row.method, row.target):
                    rows[meta[2]] = row
                else:
                    broken.append(Broken(offset=offset, reason=_NOT_SO))
            elif meta[1] == b"2" and meta[2] in rows:
                _answer(rows[meta[2]], meta, body)
            offset += len(payload) + len(_SEPARATOR)
        return columns(list(rows.values()), broken)


def recognise(head: bytes) -> Gor | None:
    """The format where the file begins with a payload."""
    return Gor() if _META.match(head) and b"HTTP/" in head else None


def _request(offset: int, at_us: int, body: bytes) -> Row:
    head, _, sent = body.partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    method, _, rest = first.partition(" ")
    return Row(
        offset=offset,
        at_us=at_us,
        method=method,
        target=rest.partition(" ")[0],
        agent=headers.get("user-agent", ""),
        client=headers.get("x-forwarded-for", ""),
        cookie=headers.get("cookie", ""),
        authorization=headers.get("authorization", ""),
        trace=headers.get("traceparent", ""),
        request_id=headers.get("x-request-id", ""),
        content_type=headers.get("content-type", ""),
        body=sent.decode("utf-8", "replace"),
        host=headers.get("host", ""),
        headers=kept(headers),
    )


def _answer(row: Row, meta: re.Match[bytes], body: bytes) -> None:
    status = _STATUS.match(body)
    row.status = int(status[1]) if status else 0
    row.size = len(body)
    latency_ns = int(meta[4] or b"-1")
    if latency_ns >= 0:
        row.duration_us = latency_ns // 1000
