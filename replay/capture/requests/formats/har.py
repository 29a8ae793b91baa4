"""HAR: a browser's or a proxy's recording, one JSON document (HTTP Archive 1.2)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from replay import multipart
from replay.capture.formats.columns import Broken
from replay.capture.requests.columns import UNTIMED, Requests
from replay.capture.requests.formats.made import Row, columns, instant_us, is_request
from replay.capture.requests.headers import kept

_NOT_HAR = "file is no whole HAR document"
_NO_REQUEST = "HAR entry is no request"


@dataclass(frozen=True, slots=True)
class Har:
    """A HAR file."""

    @property
    def name(self) -> str:
        """As a person calls it."""
        return "HAR"

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """The whole file is one document."""
        return len(chunk) if whole_file else 0

    def parse(self, block: memoryview) -> Requests:
        """All of its entries."""
        try:
            entries = msgspec.json.decode(bytes(block).removeprefix(b"\xef\xbb\xbf"))["log"][
                "entries"
            ]
            rows = [_row(entry, place) for place, entry in enumerate(entries)]
        except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
            return columns([], [Broken(offset=0, reason=_NOT_HAR)])
        good = [row for row in rows if is_request(row.method, row.target) and row.at_us >= 0]
        return columns(good, [Broken(offset=0, reason=_NO_REQUEST)] * (len(rows) - len(good)))


def recognise(head: bytes) -> Har | None:
    """The format where the file begins as HAR does."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_har = start.startswith(b"{") and b'"log"' in start[:64] and b'"version"' in start[:512]
    return Har() if is_har else None


def _row(entry: dict[str, Any], place: int) -> Row:
    request, response = entry.get("request") or {}, entry.get("response") or {}
    parts = urlsplit(str(request.get("url", "")))
    headers = {
        str(header.get("name", "")).lower(): str(header.get("value", ""))
        for header in request.get("headers") or ()
    }
    sent = request.get("postData") or {}
    return Row(
        offset=place,  # in the place of bytes: enough to tell entries apart
        at_us=instant_us(str(entry.get("startedDateTime", ""))),
        duration_us=_us(entry.get("time")),
        status=max(int(response.get("status") or 0), 0),
        size=max(int(response.get("bodySize") or 0), 0),
        method=str(request.get("method", "")),
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        agent=headers.get("user-agent", ""),
        cookie=headers.get("cookie", ""),
        authorization=headers.get("authorization", ""),
        trace=headers.get("traceparent", ""),
        request_id=headers.get("x-request-id", ""),
        host=parts.netloc,
        headers=kept(headers),
        **_body(sent, headers.get("content-type", "") or str(sent.get("mimeType", ""))),
    )


def _body(sent: dict[str, Any], kind: str) -> dict[str, str]:
    """What was sent, and its type; a form's fields, where they stand for its text."""
    params = sent.get("params")
    if sent.get("text") or not isinstance(params, list):
        return {"body": str(sent.get("text") or ""), "content_type": kind}
    fields = [
        multipart.Part(
            name=str(one.get("name", "")),
            content=str(one.get("value") or ""),
            file=str(one["fileName"]) if one.get("fileName") else None,
            kind=str(one.get("contentType") or ""),
        )
        for one in params
        if isinstance(one, dict)
    ]
    if fields and multipart.is_form(kind):
        return {"body": multipart.written(fields), "content_type": multipart.CONTENT_TYPE}
    pairs = [(field.name, field.content) for field in fields if field.file is None]
    return {"body": urlencode(pairs), "content_type": kind}


def _us(took_ms: object) -> int:
    return round(took_ms * 1000) if isinstance(took_ms, int | float) and took_ms >= 0 else UNTIMED
