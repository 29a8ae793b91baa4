"""CloudNativePG: a pod's standard output, where csvlog's fields stand under `record`.

The operator's own lines stand between them; they are told apart by having no record.
"""

from dataclasses import dataclass, field

import msgspec

from replay.capture.formats.clock import Started, Zones
from replay.capture.formats.columns import Columns, Hints
from replay.capture.formats.jsonlines import Dialect, Held, Row, cut, parse, zones_of
from replay.capture.formats.starts import Block


class _Record(Row, gc=False, kw_only=True):
    """A record by csvlog's names; its numbers are strings, mostly."""

    timestamp: str = msgspec.field(name="log_time")
    line_num: Held = msgspec.field(name="session_line_num")
    user: str = msgspec.field(name="user_name", default="")
    dbname: str = msgspec.field(name="database_name", default="")
    state_code: str = msgspec.field(name="sql_state_code", default="")
    statement: str = msgspec.field(name="query", default="")


class _Line(msgspec.Struct, gc=False):
    record: _Record


class _Session(msgspec.Struct):
    session_id: str
    session_start_time: str


class _SessionLine(msgspec.Struct):
    record: _Session


_line = msgspec.json.Decoder(_Line, strict=False)
_session = msgspec.json.Decoder(_SessionLine, strict=False)


def _started(line: Block) -> Started:
    session = _session.decode(line).record
    return session.session_id.encode(), session.session_start_time.encode()


def _lines(block: Block) -> list[Row]:
    return [line.record for line in _line.decode_lines(block)]


def _one(line: bytes) -> Row:
    return _line.decode(line).record


DIALECT = Dialect(
    opening=b'{"level":"',
    strange="line of another program than PostgreSQL",
    lines=_lines,
    line=_one,
    started=_started,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudNativePG:
    """The log of one pod."""

    zones: Zones = field(default_factory=Zones)

    lacks = ()

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "CloudNativePG"

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Where the chunk's last whole line ends."""
        return cut(chunk, whole_file=whole_file)

    def parse(self, block: memoryview) -> Columns:
        """The records of a block, and what in it is none."""
        return parse(block, DIALECT, self.zones)


def recognise(head: bytes, hints: Hints) -> CloudNativePG | None:
    """Known by a record under `record`."""
    zones = zones_of(head, DIALECT, hints)
    return None if zones is None else CloudNativePG(zones=zones)
