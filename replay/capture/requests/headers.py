"""Headers of requests that say what kind of answer is wanted; what could tell who asks, or prove it, is not kept.

A name is here with all that its value can be: words of protocols and programs, never a client's. Conditions
(If-None-Match, If-Modified-Since) are not: they name production's rows as they were. Nor are overrides of the
method, by which what reads becomes what writes. Sources: RFC 9110, 12 and 14; RFC 7240; Fetch Metadata (W3C).
"""

import re
from collections.abc import Mapping

_WORD = r"[A-Za-z*][\w.+*-]{0,63}"
_WEIGHED = r"(?:\s*;\s*[\w-]{1,16}=[\w.+-]{1,16})*"
_MEDIA = rf"{_WORD}/{_WORD}{_WEIGHED}"
_LANGUAGE = rf"(?:\*|[A-Za-z]{{2,8}}(?:-[A-Za-z0-9]{{1,8}}){{0,3}}){_WEIGHED}"
_PREFERENCE = r"[a-z-]{1,32}(?:=[a-z0-9-]{1,32})?"
_FLAG = r"[a-z?1-]{1,24}"


def _list_of(one: str, between: str = ",") -> re.Pattern[str]:
    return re.compile(rf"(?i){one}(?:\s*{between}\s*{one})*")


_FORMS: Mapping[str, re.Pattern[str]] = {
    "Accept": _list_of(_MEDIA),
    "Accept-Language": _list_of(_LANGUAGE),
    "Accept-Version": re.compile(r"[\w.~^-]{1,20}"),
    "API-Version": re.compile(r"[\w.-]{1,20}"),
    "X-API-Version": re.compile(r"[\w.-]{1,20}"),
    "Cache-Control": _list_of(r"(?:no-cache|no-store|max-age=\d{1,9})"),
    "Prefer": _list_of(_PREFERENCE, "[,;]"),
    "Range": re.compile(r"bytes=(?:\d{1,15}-\d{0,15}|-\d{1,15})"),
    "X-Requested-With": re.compile(_WORD),
    # What a page's script, or its library, says of itself.
    **dict.fromkeys(("HX-Request", "HX-Boosted", "X-Inertia", "X-PJAX"), re.compile("true")),
    **dict.fromkeys(
        ("Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User"), re.compile(_FLAG)
    ),
}
_AT_MOST = 256  # characters of a value
_GZIP = re.compile(r"gzip(?!\s*;\s*q=0(?:\.0+)?\s*(?:,|$))")
# What nobody reads is an id, or a key.
_DRAWN = re.compile(r"(?=\w*\d)(?=\w*[A-Za-z])\w{16,}")


def kept(headers: Mapping[str, str]) -> str:
    """Those that are replayed, `Name: value` in lines; `headers` have names in lower case."""
    lines = []
    for name, form in _FORMS.items():
        value = headers.get(name.lower(), "").strip()
        if value and len(value) <= _AT_MOST and form.fullmatch(value) and not _DRAWN.search(value):
            lines.append(f"{name}: {value}")
    # Of all ways to pack an answer the one that is read here.
    if _GZIP.search(headers.get("accept-encoding", "")):
        lines.append("Accept-Encoding: gzip")
    return "\n".join(lines)
