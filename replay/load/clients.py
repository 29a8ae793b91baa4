"""What the clients behind captured sessions know: cookies, what a login gave, the token against forgery.

One for each captured session, whichever connection carries its requests. Called once a request, from the
event loop: nothing here waits.
"""

import re
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:  # who plans a load needs the names alone, and no event loop
    from geventhttpclient.response import HTTPResponse

# Where frameworks keep the token: cookie -> header in which it is sent back (Django; Angular, Laravel and
# Spring), and fields of forms and `meta` of pages (Django, Rails, Laravel, ASP.NET, Flask-WTF, Symfony).
_COOKIES = {"csrftoken": "X-CSRFToken", "XSRF-TOKEN": "X-XSRF-TOKEN"}
_PAGE_HEADER = "X-CSRF-Token"
CSRF_FIELDS = (
    *("csrfmiddlewaretoken", "authenticity_token", "_token", "csrf_token", "csrf-token"),
    *("__RequestVerificationToken", "_csrf", "_csrf_token"),
)
FRESH_FIELDS = ("idempotency_key", "idempotencyKey")
_FRESH_HEADER = "Idempotency-Key"
_KEYED = ("POST", "PATCH")
# In a body, where the token, or a new key, is to stand: letters and digits, which no encoding changes.
CSRF_MARK, FRESH_MARK = "0replay0csrf0", "0replay0fresh0"
_CSRF, _FRESH, _MARK = CSRF_MARK.encode(), FRESH_MARK.encode(), b"0replay0"
PAGE = 1 << 20  # bytes of one that are held


@dataclass(slots=True)
class Client:
    """One captured session's."""

    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # that its login gave
    token: str = ""  # of the last page


class Clients:
    """All of them; `csrf` and `fresh` are names of the user's beside those that are known."""

    def __init__(self, csrf: Sequence[str] = (), fresh: Sequence[str] = ()) -> None:
        """A name with `=` is HEADER=COOKIE, one with a dash in `fresh` a header, any other a field."""
        self._clients: dict[bytes, Client] = {}
        pairs = dict(name.split("=", 1)[::-1] for name in csrf if "=" in name)
        self._of_cookies = {**_COOKIES, **pairs}
        fields = "|".join(
            re.escape(name) for name in (*CSRF_FIELDS, *(n for n in csrf if "=" not in n))
        )
        self._field = re.compile(
            rf"<(?:input|meta)\b(?=[^>]*\bname=[\"']?(?:{fields})[\"'\s>/])"
            rf"[^>]*\b(?:value|content)=[\"']([^\"'>]+)".encode(),
            re.IGNORECASE,
        )
        self._fresh_headers = (_FRESH_HEADER, *(name for name in fresh if "-" in name))

    def client(self, session: bytes) -> Client:
        """A session's, made where it is new."""
        return self._clients.setdefault(session, Client())

    def headers(self, session: bytes, method: str | None) -> bytes:
        """A session's headers; `method` of a request that writes, None of one that reads."""
        client = self._clients.get(session)
        if client is None and method is None:
            return b""
        lines = []
        if client is not None and client.cookies:
            lines.append("Cookie: " + "; ".join(map("=".join, client.cookies.items())))
        if client is not None:
            lines += [f"{name}: {value}" for name, value in client.headers.items()]
        if method is not None:
            lines += self._of_a_write(client, method)
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")

    def bare(self, session: bytes, head: bytes) -> bytes:
        """A request's head without the headers that the session's login gave: those are its own."""
        client = self._clients.get(session)
        if client is None or not client.headers:
            return head
        return _lines_of(tuple(client.headers)).sub(b"\r\n", head)

    def _of_a_write(self, client: Client | None, method: str) -> list[str]:
        lines = []
        if method in _KEYED:
            lines += [f"{name}: {uuid.uuid4()}" for name in self._fresh_headers]
        if client is not None:
            lines += [
                f"{header}: {unquote(client.cookies[cookie])}"
                for cookie, header in self._of_cookies.items()
                if cookie in client.cookies
            ]
            if client.token:
                lines.append(f"{_PAGE_HEADER}: {client.token}")
        return lines

    def filled(self, session: bytes, body: bytes) -> bytes:
        """A body with the session's token, and keys that were never used."""
        if _MARK not in body:
            return body
        client = self.client(session)
        known = (client.cookies[name] for name in self._of_cookies if name in client.cookies)
        token = quote(client.token or unquote(next(known, "")), safe="-_.~")
        return body.replace(_CSRF, token.encode()).replace(_FRESH, str(uuid.uuid4()).encode())

    def take(self, session: bytes, response: "HTTPResponse") -> None:
        """Keep what an answer says to keep."""
        told = response.get("set-cookie")
        if told:
            self.set_cookies(session, [told] if isinstance(told, str) else told)
        if is_page(response.get("content-type")):
            page = response._body_buffer  # noqa: SLF001 - it has no other reader
            is_packed = response.get("content-encoding") == "gzip"
            self.take_page(session, _unpacked(page) if is_packed else page)

    def take_page(self, session: bytes, page: bytes | bytearray) -> None:
        """Keep the token of a page, where it has one."""
        found = self._field.search(page)
        if found:
            self.client(session).token = found[1].decode("latin-1")

    def set_cookies(self, session: bytes, lines: Sequence[str]) -> None:
        """Keep what Set-Cookie says; a cookie that is empty, or has expired, is taken back."""
        jar = self.client(session).cookies
        for line in lines:
            pair, _, attributes = line.partition(";")
            name, _, value = pair.strip().partition("=")
            if not value or _has_expired(attributes):
                jar.pop(name, None)
            else:
                jar[name] = value


@lru_cache
def _lines_of(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Lines of headers with these names, each with the end of the line ahead of it."""
    any_of = "|".join(map(re.escape, names))
    return re.compile(rf"(?:\r\n(?:{any_of}):[^\r]*)+\r\n".encode(), re.IGNORECASE)


def _unpacked(page: bytes | bytearray) -> bytes:
    """The beginning of a page, as far as it came; nothing of one that is not packed as it says."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(page, PAGE)
    except zlib.error:
        return b""


def _has_expired(attributes: str) -> bool:
    """Whether a cookie is taken back: its Max-Age tells, else its Expires (RFC 6265, 5.3)."""
    told = {
        name.strip().lower(): value.strip()
        for name, _, value in (one.partition("=") for one in attributes.split(";"))
    }
    age = told.get("max-age", "")
    if age.removeprefix("-").isdecimal():
        return int(age) <= 0
    until = parsedate_tz(told.get("expires", ""))
    try:
        return until is not None and mktime_tz(until) < time.time()
    except (ValueError, OverflowError):  # a year of five digits
        return False


def is_page(kind: object) -> bool:
    """Whether an answer of that Content-Type may hold a token."""
    return isinstance(kind, str) and kind.startswith("text/html")


def special_fields(csrf: Sequence[str], fresh: Sequence[str]) -> Mapping[str, str]:
    """Fields of bodies that are filled when they are sent, and the mark that stands for each."""
    fields = dict.fromkeys((*CSRF_FIELDS, *(name for name in csrf if "=" not in name)), CSRF_MARK)
    fields |= dict.fromkeys(
        (*FRESH_FIELDS, *(name for name in fresh if "-" not in name)), FRESH_MARK
    )
    return fields
