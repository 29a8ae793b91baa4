"""Azure Database for PostgreSQL: what its diagnostic settings write to storage, one object a line.

`properties.message` is a line of stderr log with its prefix (a single server has that apart, in
`properties.prefix`), and what else a report has stands beside it. The server's log files themselves,
with the prefix `%t-%c-`, are plain stderr.
"""

import re
from dataclasses import dataclass

import msgspec

from replay.capture.formats.columns import Broken, Hints
from replay.capture.formats.envelope import Event, Unwrapped, Wrapped, wrapped
from replay.capture.formats.jsonevents import BEGINS, UNKNOWN, objects
from replay.capture.formats.leads import LEAD_PATTERN
from replay.capture.formats.prefix import HEAD_AT_MOST

_LEAD = re.compile(LEAD_PATTERN)


class _Properties(msgspec.Struct, gc=False):
    message: str
    prefix: str = ""
    detail: str = ""
    context: str = ""
    statement: str = ""
    level: str = msgspec.field(name="errorLevel", default="LOG")
    sqlstate: str = msgspec.field(name="sqlerrcode", default="")
    pid: int = msgspec.field(name="processId", default=0)
    backend_type: str = ""
    timestamp: str = ""


class _Entry(msgspec.Struct, gc=False):
    properties: _Properties
    time: str = ""


_decoder = msgspec.json.Decoder(_Entry)


@dataclass(frozen=True, slots=True)
class Azure:
    """Entries of Azure's diagnostic settings."""

    name = "Azure"
    splits_lines = False
    is_finer = True

    @property
    def begins(self) -> re.Pattern[bytes]:
        """An object at the start of a line."""
        return BEGINS

    def unwrap(self, block: bytes) -> Unwrapped:
        """An event per entry."""
        found = Unwrapped()
        for at, entry in objects(block, _decoder):
            text = b"" if isinstance(entry, Broken) else _text(entry.properties)
            if isinstance(entry, Broken) or not text:
                broken = entry if isinstance(entry, Broken) else Broken(offset=at, reason=UNKNOWN)
                found.broken.append(broken)
                continue
            said = entry.properties
            found.events.append(
                Event(
                    begin=at,
                    text=text,
                    stamp=said.timestamp or entry.time,
                    pid=said.pid,
                    sqlstate=said.sqlstate.encode(),
                    backend_type=said.backend_type.encode(),
                )
            )
        return found


def _text(said: _Properties) -> bytes:
    """The report as a stderr log has it; empty where it has no severity."""
    message = said.message.rstrip("\n").encode(errors="surrogatepass")
    lead = _LEAD.search(message, 0, HEAD_AT_MOST)
    prefix = message[: lead.start()] if lead else b""
    if said.prefix:
        prefix = said.prefix.encode()
        message = prefix + said.level.encode() + b":  " + message
    elif lead is None:
        return b""
    lines = [_tabbed(message)]
    for word, text in (
        ("DETAIL", said.detail),
        ("CONTEXT", said.context),
        ("STATEMENT", said.statement),
    ):
        if text:
            lines.append(prefix + _tabbed(f"{word}:  {text}".encode(errors="surrogatepass")))
    return b"\n".join(lines) + b"\n"


def _tabbed(text: bytes) -> bytes:
    return text.replace(b"\n\t", b"\n").replace(b"\n", b"\n\t")


def recognise(head: bytes, hints: Hints) -> Wrapped | None:
    """Objects with `properties` that have a level and a message."""
    if not BEGINS.match(head) or b'"errorLevel"' not in head:
        return None
    return wrapped(Azure(), head, hints)
