"""Google Cloud SQL: entries of Cloud Logging whose `textPayload` is a line of stderr log.

One object a line as a sink writes them, or an array as `gcloud logging read --format=json
--order=asc` prints it. Further lines of a text may come as entries of their own.
"""

import re
from dataclasses import dataclass

import msgspec

from replay.capture.formats.columns import Broken, Hints
from replay.capture.formats.envelope import Event, Unwrapped, Wrapped, wrapped
from replay.capture.formats.jsonevents import BEGINS, objects


class _Entry(msgspec.Struct, gc=False):
    text: str = msgspec.field(name="textPayload")
    timestamp: str = ""


_decoder = msgspec.json.Decoder(_Entry)


@dataclass(frozen=True, slots=True)
class CloudSql:
    """Entries of Cloud Logging."""

    name = "Cloud SQL"
    splits_lines = True
    is_finer = False

    @property
    def begins(self) -> re.Pattern[bytes]:
        """An object at the start of a line."""
        return BEGINS

    def unwrap(self, block: bytes) -> Unwrapped:
        """An event per entry."""
        found = Unwrapped()
        for at, entry in objects(block, _decoder):
            if isinstance(entry, Broken):
                found.broken.append(entry)
                continue
            text = entry.text.removesuffix("\n").encode(errors="surrogatepass") + b"\n"
            found.events.append(Event(begin=at, text=text, stamp=entry.timestamp))
        return found


def recognise(head: bytes, hints: Hints) -> Wrapped | None:
    """Objects with `textPayload`."""
    if not BEGINS.match(head) or b'"textPayload"' not in head:
        return None
    return wrapped(CloudSql(), head, hints)
