"""CloudWatch: RDS's and Aurora's stderr log with a time ahead of every event, or of every line.

An export to S3 writes `2026-01-31T23:59:59.123Z ` and the event; `aws logs tail` has the log stream
between the two. Containers' logs look the same: `docker logs --timestamps` as the former, and those
of Kubernetes' nodes, with `stderr F `, as the latter.
"""

import re
from dataclasses import dataclass

from replay.capture.formats.columns import Hints
from replay.capture.formats.envelope import Event, Unwrapped, Wrapped, wrapped
from replay.capture.formats.opened import OPEN

_TIME = rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))[ ]"
_TIMED = re.compile(_TIME, re.MULTILINE)
_TIMED_AND_NAMED = re.compile(_TIME + rb"[^\s\[]\S*[ ](?:[FP][ ])?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CloudWatch:
    """Times ahead of events."""

    has_stream: bool

    name = "CloudWatch"
    splits_lines = False
    is_finer = False

    @property
    def begins(self) -> re.Pattern[bytes]:
        """A time, and the name of a log stream where there is one."""
        return _TIMED_AND_NAMED if self.has_stream else _TIMED

    def unwrap(self, block: bytes) -> Unwrapped:
        """Events go up to the next time; what is ahead of the first one is the rest of another."""
        found = list(self.begins.finditer(block))
        ends = [*(match.start() for match in found[1:]), len(block)]
        events = [
            Event(
                begin=match.start(),
                text=block[match.end() : end],
                stamp=match[1].decode(),
            )
            for match, end in zip(found, ends, strict=bool(found))
        ]
        start = found[0].start() if found else len(block)
        rest = [Event(begin=0, text=block[:start])] if start else []
        return Unwrapped(rest + events)


def recognise(head: bytes, hints: Hints) -> Wrapped | None:
    """A log with a time ahead of its first line, and maybe a name."""
    if not _TIMED.match(head):
        return None
    ways = (wrapped(CloudWatch(has_stream), head, hints) for has_stream in (False, True))
    found = [way for way in ways if way is not None]
    # The wrong one leaves open what it does not know.
    return min(found, key=lambda way: way.inner.prefix.text.count(OPEN), default=None)
