"""The part of the server's log that a run wrote: from where the file ended when the run began.

The file is the one that the server names itself, where it lies on this machine and can be read, or
the one that the user names. Where neither can be read nothing is missed but the exact row of a lock
and the whole cycle of a deadlock: the samples show the rest.
"""

import csv
import io
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import psycopg
import pyarrow as pa

from replay.runtables import LOCKLOG
from replay.watch.lockwords import LockWords, Record, read

log = logging.getLogger(__name__)

# Those that tell most come first; the server refuses names from before their version.
_FORMATS = {"jsonlog": 150000, "csvlog": 0, "stderr": 0}
_READ_AT_MOST = 256 * 1024 * 1024  # bytes, the last ones: a chatty log must not fill the memory
_LEVEL = re.compile(r"^(?P<lead>.{0,300}?)(?P<level>[A-Z]{3,10}\d?):  (?P<said>.*)$")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?")
_OPENS = frozenset({"LOG", "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "INFO"})
# Most lines tell of durations: only those that may tell of a lock are decoded.
_TELLING = ("process ", "Process ", '"40P01"', '"55P03"', "conflict with recovery")
_SQLSTATES = {
    "deadlock detected": "40P01",
    "canceling statement due to lock timeout": "55P03",
    "could not obtain lock": "55P03",
    "canceling statement due to conflict with recovery": "40001",
}
# csvlog's columns (manual, 19.8.4): the same in 14 to 18.
_CSV = {"time": 0, "pid": 3, "state": 12, "message": 13, "detail": 14, "context": 18, "query": 19}


class _Json(msgspec.Struct):
    timestamp: str = ""
    pid: int = 0
    message: str = ""
    detail: str = ""
    context: str = ""
    statement: str = ""
    state_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Where the log stood when the run began."""

    file: Path
    offset: int
    zone: str  # log_timezone
    since_s: float  # epoch seconds

    def table(self, origin_us: int) -> pa.Table:
        """What was written since (runtables.LOCKLOG); `origin_us` is the run's origin, epoch µs."""
        rows: list[dict[str, Any]] = []
        names = [field.name for field in fields(LockWords)]
        for event, record in enumerate(_records(self._new(), self.file.suffix, _zone(self.zone))):
            for words in read(record):
                row = {name: getattr(words, name) for name in names}
                rows.append({**row, "event": event, "at_us": words.at_us - origin_us})
        return pa.Table.from_pylist(rows, LOCKLOG)

    def _new(self) -> str:
        """What was appended, and the files that followed where it was rotated."""
        texts = []
        try:
            for file in sorted(self.file.parent.glob(f"*{self.file.suffix}")):
                if file == self.file:
                    texts.append(_tail(file, self.offset))
                elif file.stat().st_mtime > self.since_s:
                    texts.append(_tail(file, 0))
        except OSError as error:
            log.warning("the server's log cannot be read any more: %s", error)
        return "".join(texts)


def follow(connection: psycopg.Connection, file: Path | None = None) -> Followed | None:
    """Note where the log ends now; None where it cannot be read from here.

    Without `file` the server is asked for its own; only a superuser or pg_monitor may know, and only
    a file on this machine can be read.
    """
    path = file or _own(connection)
    if path is None:
        return None
    try:
        with path.open("rb") as opened:
            offset = opened.seek(0, io.SEEK_END)
    except OSError as error:
        log.info("the server's log is not followed: %s", error)
        return None
    row = connection.execute("SHOW log_timezone").fetchone()
    return Followed(
        file=path, offset=offset, zone=row[0] if row else "UTC", since_s=path.stat().st_mtime
    )


def _own(connection: psycopg.Connection) -> Path | None:
    for name, since in _FORMATS.items():
        if connection.info.server_version < since:
            continue
        try:
            row = connection.execute(
                "SELECT current_setting('data_directory'), pg_current_logfile(%s)", (name,)
            ).fetchone()
        except psycopg.Error:
            return None
        if row is not None and row[1]:
            return Path(str(row[0])) / str(row[1])
    return None


def _tail(file: Path, offset: int) -> str:
    with file.open("rb") as opened:
        size = opened.seek(0, io.SEEK_END)
        opened.seek(max(offset, size - _READ_AT_MOST))
        return opened.read().decode("utf-8", "replace")


def _records(text: str, suffix: str, zone: ZoneInfo) -> Iterator[Record]:
    if suffix == ".json":
        return _from_json(text, zone)
    if suffix == ".csv":
        return _from_csv(text, zone)
    return _from_lines(text, zone)


def _from_json(text: str, zone: ZoneInfo) -> Iterator[Record]:
    decoder = msgspec.json.Decoder(_Json)
    for line in text.splitlines():
        if not any(word in line for word in _TELLING):
            continue
        try:
            found = decoder.decode(line)
        except msgspec.MsgspecError:  # the last line may not be whole
            continue
        yield Record(
            at_us=_epoch_us(found.timestamp, zone),
            pid=found.pid,
            message=found.message,
            detail=found.detail,
            context=found.context,
            statement=found.statement,
            sqlstate=found.state_code,
        )


def _from_csv(text: str, zone: ZoneInfo) -> Iterator[Record]:
    for row in csv.reader(io.StringIO(text)):
        if len(row) <= _CSV["query"] or not row[_CSV["pid"]].isdigit():
            continue
        yield Record(
            at_us=_epoch_us(row[_CSV["time"]], zone),
            pid=int(row[_CSV["pid"]]),
            message=row[_CSV["message"]],
            detail=row[_CSV["detail"]],
            context=row[_CSV["context"]],
            statement=row[_CSV["query"]],
            sqlstate=row[_CSV["state"]],
        )


def _from_lines(text: str, zone: ZoneInfo) -> Iterator[Record]:
    """Records of a stderr log with any prefix: a level with two spaces behind it opens a part."""
    parts: dict[str, list[str]] = {}
    lead, current = "", ""
    for line in text.splitlines():
        found = _LEVEL.match(line)
        if found is None:
            if current:
                parts[current].append(line.removeprefix("\t"))
            continue
        current = found["level"]
        if current in _OPENS:
            yield from _of_parts(parts, lead, zone)
            parts, lead, current = {}, found["lead"], "MESSAGE"
        parts.setdefault(current, []).append(found["said"])
    yield from _of_parts(parts, lead, zone)


def _of_parts(parts: Mapping[str, list[str]], lead: str, zone: ZoneInfo) -> Iterator[Record]:
    if "MESSAGE" not in parts:
        return
    said = {name: "\n".join(lines) for name, lines in parts.items()}
    message = said["MESSAGE"]
    yield Record(
        at_us=_epoch_us(lead, zone),
        pid=0,
        message=message,
        detail=said.get("DETAIL", ""),
        context=said.get("CONTEXT", ""),
        statement=said.get("STATEMENT", ""),
        sqlstate=next((code for text, code in _SQLSTATES.items() if text in message), ""),
    )


def _epoch_us(stamp: str, zone: ZoneInfo) -> int:
    found = _STAMP.search(stamp)
    if found is None:
        return 0
    moment = datetime.fromisoformat(found[0]).replace(tzinfo=zone).astimezone(UTC)
    return round(moment.timestamp() * 1e6)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        log.warning("log_timezone %s is not known here; the log's times are read as UTC", name)
        return ZoneInfo("UTC")
