"""jsonlog, PostgreSQL 15 and later: one JSON object a line (manual, 20.8.5)."""

from dataclasses import dataclass, field

import msgspec

from replay.capture.formats.cells import columns
from replay.capture.formats.clock import Started, Zones
from replay.capture.formats.columns import Columns, Hints
from replay.capture.formats.jsoncells import split
from replay.capture.formats.jsonlines import Dialect, Row, cut, parse, zones_of
from replay.capture.formats.starts import Block
from replay.capture.kernels import as_bytes


class _Session(msgspec.Struct):
    session_id: str
    session_start: str


_session = msgspec.json.Decoder(_Session)
_row = msgspec.json.Decoder(Row)


def _started(line: Block) -> Started:
    session = _session.decode(line)
    return session.session_id.encode(), session.session_start.encode()


DIALECT = Dialect(
    opening=b'{"timestamp":"',
    strange="JSON, but no record of jsonlog",
    lines=_row.decode_lines,
    line=_row.decode,
    started=_started,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLog:
    """jsonlog of one server."""

    zones: Zones = field(default_factory=Zones)

    lacks = ()

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "jsonlog"

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Where the chunk's last whole line ends."""
        return cut(chunk, whole_file=whole_file)

    def parse(self, block: memoryview) -> Columns:
        """The records of a block, and what in it is none."""
        whole = split(block)
        if whole is not None:
            return columns(as_bytes(block), *whole, self.zones)
        return parse(block, DIALECT, self.zones)


def recognise(head: bytes, hints: Hints) -> JsonLog | None:
    """Known by a record, or by the beginning of one that is longer than the head."""
    zones = zones_of(head, DIALECT, hints)
    return None if zones is None else JsonLog(zones=zones)
