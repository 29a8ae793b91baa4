"""What a log line is to the rest of capture, and what a log format must be able to do.

A new format is one module with an object that fits `Format`, and one line in `FORMATS`.
"""

from collections.abc import Iterator
from typing import IO, Protocol

import msgspec


class Record(msgspec.Struct, gc=False):
    """One record of a server's log, its fields named as jsonlog names them.

    Mutable, without a dataclass's comforts, because one is made for every line of the log
    (`gc=False`: it holds no containers, so the collector need not look at it).
    """

    pid: int
    session_id: str  # start of the process and pid, hexadecimal: unique on one server
    line_num: int  # of the session, from 1
    message: str
    at_us: int = 0  # epoch µs of the line; statements are stamped at their end
    dbname: str = ""
    application_name: str = ""
    backend_type: str = ""
    error_severity: str = ""
    state_code: str = ""  # SQLSTATE, where it is not 00000
    query_id: int = 0  # 0: not computed
    detail: str = ""
    context: str = ""
    statement: str = ""  # the statement that failed


class Broken(msgspec.Struct, frozen=True, gc=False):
    """A line that is no record, and why; never its text, which is production's."""

    reason: str
    cut_off: bool = False  # the file ends in the middle of it


class Format(Protocol):
    """A log format: how its files are known, and how their lines become records."""

    name: str

    def recognises(self, first_line: bytes) -> bool:
        """Whether a file that begins with this line is in this format."""

    def started_us(self, first_line: bytes) -> int:
        """Epoch µs of the first line, to take files in time order; 0 where it cannot be read."""

    def read(self, stream: IO[bytes]) -> Iterator[list[Record | Broken]]:
        """The records of one file, in its order, by blocks: one result per record of the input."""
