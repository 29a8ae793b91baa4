"""What a log format gives: the records of a block of a log, by columns.

A log is read in blocks of whole records, megabytes each, and a record is never a Python object of its
own: that is what makes a hundred gigabytes readable in minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.formats.texts import Texts

Ints = npt.NDArray[np.int64]

ESCAPES = {"database": "d", "user": "u", "application": "a"}
"""What a log may be filtered by, and the escape of log_line_prefix that tells it."""
NAMES = pa.dictionary(pa.int32(), pa.binary())
"""Type of a column that repeats few values."""
TEXTS = pa.binary()
"""Type of a column of texts."""
Told: TypeAlias = Texts | pa.BinaryArray
"""A column of texts, where they stand in the block or TEXTS of its own; `Texts.of` gives either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A piece of a log that is no record, and why; never its text, which is production's."""

    offset: int  # in the block
    reason: str
    cut_off: bool = False  # the input ends in the middle of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The n records of a block, in its order; every array has n values and no nulls.

    Texts are bytes in the log's own encoding with the format's quoting undone when they are read; what
    a record has not is empty. Fields are named as jsonlog names them (PostgreSQL manual, 20.8.5).
    """

    begin: Ints  # of the record in the block: block[begin:end] parses to this record alone
    end: Ints
    at_us: Ints  # epoch µs of the line; statements are stamped at their end
    session: pa.DictionaryArray  # NAMES: session_id, `69a42c40.7b2`: start and pid, hexadecimal
    line_num: Ints  # of the session; 0 where the format has none
    query_id: Ints  # 0: not computed
    user: pa.DictionaryArray  # NAMES
    database: pa.DictionaryArray  # NAMES
    application: pa.DictionaryArray  # NAMES
    backend_type: pa.DictionaryArray  # NAMES; empty where the format has none
    severity: pa.DictionaryArray  # NAMES: LOG, ERROR, FATAL, PANIC, …
    sqlstate: pa.DictionaryArray  # NAMES; empty or 00000 for none
    message: Told
    detail: Told
    context: Told
    statement: Told  # the statement that failed, or waited
    broken: tuple[Broken, ...] = ()
    lines: int | None = None  # of the block, where they were counted

    def __len__(self) -> int:
        """How many records."""
        return len(self.at_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What is known of the server that wrote the log, beyond the log itself; empty: not known."""

    log_line_prefix: str = ""
    log_timezone: str = ""  # as the server names it: Europe/Berlin


class Format(Protocol):
    """A log format as one input has it: made by a recogniser, without state, and can be pickled."""

    @property
    def name(self) -> str:
        """What a person calls it: csvlog, jsonlog, stderr with its prefix."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """Which of database, user and application its records do not tell."""

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Where the last record of a chunk ends that is surely whole; 0 where none is.

        A chunk begins with a record. With `whole_file` the chunk goes to the end of the input, so
        that its last record is whole too, unless the input breaks off in the middle of it.
        """

    def parse(self, block: memoryview) -> Columns:
        """The records of a block that `cut` cut, and what in it is none. Never raises.

        A block may begin in the middle of a record where the input does.
        """


class Recogniser(Protocol):
    """Knows one family of formats by its content."""

    def __call__(self, head: bytes, hints: Hints) -> Format | None:
        """The format of an input that begins so (64 KiB, or less where the input is shorter)."""


def empty(count: int) -> pa.BinaryArray:
    """A column of texts that no record has."""
    return pa.array([b""] * count, TEXTS)


def names(codes: npt.NDArray[np.int32], values: Sequence[bytes]) -> pa.DictionaryArray:
    """A column of few values, by their positions in `values`."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(values, TEXTS))


def nothing(broken: tuple[Broken, ...] = ()) -> Columns:
    """A block without a record."""
    none, no_name, no_text = np.zeros(0, np.int64), names(np.zeros(0, np.int32), []), empty(0)
    numbers: dict[str, Any] = dict.fromkeys(("begin", "end", "at_us", "line_num", "query_id"), none)
    named = ("session", "user", "database", "application", "backend_type", "severity", "sqlstate")
    texts = ("message", "detail", "context", "statement")
    return Columns(
        **numbers,
        **dict.fromkeys(named, no_name),
        **dict.fromkeys(texts, no_text),
        broken=broken,
    )
