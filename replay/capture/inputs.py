"""The inputs to read: found, known by their content, in time order, opened as unpacked streams."""

import glob
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO

from replay.capture.formats import Format, Hints, recognise
from replay.capture.packed import BREAKS_OFF, LogStream, Source
from replay.errors import InputError

STDIN = Path("-")
HOW_TO_LOG = (
    "set log_destination = 'jsonlog' (before PostgreSQL 15 'csvlog'), logging_collector = on and "
    "log_min_duration_statement = 0 (on a busy server log_transaction_sample_rate = 0.05 instead), "
    "reload, let traffic run, and capture again"
)

_MAGIC = 8  # bytes that tell how a file is packed
_HEAD = 1 << 16
_HEADS = (_HEAD, 1 << 21, 1 << 26)  # bytes: a first record may be long
_SHOWN = 200  # characters of a line that no format knows; the terminal's alone
_NAMED = 3  # files named in a note
_BEST_FIRST = ("jsonlog", "csvlog", "stderr")  # of one server that writes several

Taken = bytes
"""Bytes already read from an input, as they lie on disk."""
Rest = IO[bytes]
"""What is left of an input that can be read but once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a log."""

    path: Path  # STDIN: standard input
    format: Format
    bytes: int  # on disk; 0: not known
    started_us: int  # of its first record; 0 where that cannot be read
    taken: Taken = field(default=b"", repr=False)  # read to know it, from what cannot be rewound
    rest: Rest | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "stdin" if self.path == STDIN else self.path.name

    @property
    def host(self) -> str:
        """What its process ids are unique on, as far as can be told: where it lies."""
        return str(self.path.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The inputs, and what a reader of the workload should know of how they were chosen."""

    inputs: tuple[Input, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A kind of logs: how one is known by its head, and what to do where none is."""

    recognise: Callable[[bytes], Format | None]
    advice: str  # where there is nothing to read
    hint: str = ""  # ahead of it, for a file of no known format


def server_logs(hints: Hints) -> Known:
    """PostgreSQL's logs."""
    return Known(
        recognise=lambda head: recognise(head, hints),
        advice=HOW_TO_LOG,
        hint="if it is PostgreSQL's stderr, name its log_line_prefix with --prefix; or ",
    )


def find_inputs(paths: Sequence[Path], known: Known) -> Found:
    """All inputs that files, directories, patterns and `-` name, each once, in time order.

    Of a directory, the files that a format knows are taken. Where a server wrote the same log in
    several formats, the best is. Raises InputError for a path that is absent or unreadable, for a
    named file of no known format, and where nothing is left to read.
    """
    found: dict[Path, Input] = {}
    notes: list[str] = []
    for path in _expanded(paths):
        if path.is_dir():
            inside = _inside(path, known, notes)
            found.update({log.path.resolve(): log for log in inside})
        elif path.resolve() not in found:
            named = _look(path, known, must=True)
            if named is not None:
                found[path.resolve()] = named
    same_stem = [(log.path.parent, _stem(log.path)) for log in found.values()]
    kept = _best(zip(same_stem, found.values(), strict=True), notes)
    if not kept:
        names = ", ".join(map(str, paths)) or "no input"
        raise InputError(f"{names}: holds no log record; {known.advice}")
    ordered = sorted(kept, key=lambda log: (log.started_us, log.path))
    return Found(inputs=tuple(ordered), notes=tuple(notes))


def open_stream(log: Input) -> LogStream:
    """Its unpacked bytes. Reading raises one of packed.BREAKS_OFF where an archive is damaged."""
    return _open(log.rest or _raw(log.path), log.taken)


def position(stream: LogStream) -> int:
    """How many bytes on disk have been read."""
    return stream.position


def _expanded(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.exists() or path == STDIN or not glob.has_magic(str(path)):
            yield path
            continue
        matching = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns)
        if not matching:
            raise InputError(f"{path}: no file matches; name a log file or a directory of logs")
        yield from map(Path, matching)


def _inside(directory: Path, known: Known, notes: list[str]) -> list[Input]:
    logs, strange = [], []
    for file in sorted(directory.iterdir()):
        if file.is_file() and file.stat().st_size:
            log = _look(file, known, must=False)
            if log is None:
                strange.append(file.name)
            else:
                logs.append(log)
    if strange:
        notes.append(f"{directory} holds files that are no logs known here: {_listed(strange)}")
    return _best([(directory, log) for log in logs], notes)


def _best(grouped: Iterable[tuple[object, Input]], notes: list[str]) -> list[Input]:
    """Of the inputs of each group, those in the best of the formats that one server writes."""
    groups: dict[object, list[Input]] = {}
    kept: list[Input] = []
    for group, log in grouped:
        groups.setdefault(group, []).append(log)
    for logs in groups.values():
        ranked = [(rank, log) for log in logs if (rank := _rank(log)) is not None]
        best = min((rank for rank, _ in ranked), default=0)
        left_out = [log for rank, log in ranked if rank > best]
        if left_out:
            notes.append(
                f"{_listed([log.name for log in left_out])} left out: the same server's "
                f"{_BEST_FIRST[best]} lies beside, and would be counted twice"
            )
        kept += [log for log in logs if log not in left_out]
    return kept


def _rank(log: Input) -> int | None:
    kinds = (n for n, kind in enumerate(_BEST_FIRST) if log.format.name.startswith(kind))
    return next(kinds, None)


def _stem(path: Path) -> str:
    """`postgresql-Mon` of `postgresql-Mon.csv.gz`."""
    name = path.name
    for suffix in (".gz", ".zst", ".xz"):
        name = name.removesuffix(suffix)
    return name.rsplit(".", 1)[0]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _look(path: Path, known: Known, *, must: bool) -> Input | None:
    """The input at a path; None where it is empty or, unless it must be known, of no format."""
    try:
        rewound = path != STDIN and path.is_file()
        rest = None if rewound else _raw(path)
        taken = b"" if rest is None else _read(rest, _HEAD)
        head = _head(path, taken, _HEAD)
        found = known.recognise(head) if head else None
        if found is None:
            if head and must:
                raise InputError(_unknown(path, head, known.hint + known.advice))
            return None
        started_us = _started_us(path, taken, found) if rewound else _first_us(found, head)
        size = path.stat().st_size if rewound else 0
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; name a log file or a directory of logs") from None
    except BREAKS_OFF as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return Input(path=path, format=found, bytes=size, started_us=started_us, taken=taken, rest=rest)


def _started_us(path: Path, taken: bytes, known: Format) -> int:
    """Epoch µs of the first record, however long it is."""
    for size in _HEADS:
        head = _head(path, taken, size)
        started_us = _first_us(known, head)
        if started_us or len(head) < size:
            return started_us
    return 0


def _first_us(known: Format, head: bytes) -> int:
    records = known.parse(memoryview(head))
    return int(records.at_us[0]) if len(records) else 0


def _head(path: Path, taken: bytes, size: int) -> bytes:
    """The first unpacked bytes; of what can be read but once, only those already taken."""
    if not taken:
        with _open(_raw(path), b"") as stream:
            return stream.read(size)
    with LogStream(Source(taken, BytesIO()), taken) as stream:
        return stream.read(size)


def _open(raw: IO[bytes], taken: bytes) -> LogStream:
    if not taken:
        taken = raw.read(_MAGIC)
    return LogStream(Source(taken, raw), taken)


def _read(raw: IO[bytes], size: int) -> bytes:
    """So many bytes, or all there are: a pipe gives fewer at once."""
    found = b""
    while len(found) < size and (more := raw.read(size - len(found))):
        found += more
    return found


def _raw(path: Path) -> IO[bytes]:
    """What lies on disk; unbuffered, so that nothing more is taken than what is asked for."""
    return sys.stdin.buffer if path == STDIN else path.open("rb", buffering=0)


def _unknown(path: Path, head: bytes, advice: str) -> str:
    first = head.lstrip().partition(b"\n")[0].decode("utf-8", "replace").strip()[:_SHOWN]
    return f"{path}: not a log that is known here; its first line is {first!r}; {advice}"
