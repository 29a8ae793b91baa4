"""The files to read: found, known by their first line, in time order, opened as streams of lines."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from replay.capture.formats import FORMATS, Format, recognise
from replay.errors import InputError

_SHOWN = 200  # characters of a line that no format knows; the terminal's alone
_LINE_AT_MOST = 1 << 20
_LINES_TRIED = 10  # a rotated file may begin in the middle of a record

HOW_TO_LOG = (
    "set log_destination = 'jsonlog', logging_collector = on and log_min_duration_statement = 0 "
    "(on a busy server log_transaction_sample_rate = 0.05 instead), reload, let traffic run, and "
    "capture again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One file of a log."""

    path: Path
    format: Format
    bytes: int  # on disk
    started_us: int  # of its first record; 0 where that cannot be read


def find_inputs(paths: Sequence[Path]) -> tuple[Input, ...]:
    """All log files that the paths name, each once, in time order; empty files are left out.

    Of a directory, the files that a format knows are taken. Raises InputError for a path that is
    absent or unreadable, for a named file of no known format, for files of several formats, and
    where nothing is left to read.
    """
    found: dict[Path, Input] = {}
    for path in paths:
        if path.is_dir():
            inside = [_look(file) for file in sorted(path.iterdir()) if file.is_file()]
            for log in filter(None, inside):
                found[log.path.resolve()] = log
        else:
            named = _look(path)
            if named is not None:
                found[path.resolve()] = named
            elif path.stat().st_size:
                raise InputError(_unknown(path))
    if not found:
        names = ", ".join(map(str, paths)) or "no input"
        raise InputError(f"{names}: holds no log record; {HOW_TO_LOG}")
    formats = {log.format.name for log in found.values()}
    if len(formats) > 1:
        raise InputError(f"the inputs are of several formats ({', '.join(sorted(formats))})")
    return tuple(sorted(found.values(), key=lambda log: (log.started_us, log.path)))


def open_lines(path: Path) -> IO[bytes]:
    """The file as a stream of lines, unpacked where its name ends in .gz."""
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb", buffering=1 << 20)


def position(stream: IO[bytes]) -> int:
    """How many bytes on disk have been read."""
    packed = getattr(stream, "fileobj", None)
    return int((packed or stream).tell())


def _look(path: Path) -> Input | None:
    for line in _first_lines(path):
        known = recognise(line)
        if known is not None:
            size = path.stat().st_size
            return Input(path=path, format=known, bytes=size, started_us=known.started_us(line))
    return None


def _first_lines(path: Path) -> list[bytes]:
    try:
        with open_lines(path) as stream:
            return [stream.readline(_LINE_AT_MOST) for _ in range(_LINES_TRIED)]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; name a log file or a directory of logs") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _unknown(path: Path) -> str:
    names = ", ".join(known.name for known in FORMATS)
    shown = _first_lines(path)[0].decode("utf-8", "replace").strip()[:_SHOWN]
    return (
        f"{path}: not a log that can be read here ({names}); its first line is {shown!r}; "
        f"{HOW_TO_LOG}"
    )
