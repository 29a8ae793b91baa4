"""Hand-made lines of csvlog, jsonlog and CloudNativePG, and a reader as simple as can be."""

import csv
import io
import json
from collections.abc import Iterator

from replay.capture.formats import Format
from replay.capture.formats.columns import Columns

STARTED = 0x69A42C40  # 2026-03-01 12:09:36 UTC
FIELDS = [
    "timestamp",
    "user",
    "dbname",
    "pid",
    "remote",
    "session_id",
    "line_num",
    "ps",
    "session_start",
    "vxid",
    "txid",
    "error_severity",
    "state_code",
    "message",
    "detail",
    "hint",
    "internal_query",
    "internal_position",
    "context",
    "statement",
    "position",
    "location",
    "application_name",
    "backend_type",
    "leader_pid",
    "query_id",
]
DEFAULTS = {
    "timestamp": "2026-03-01 12:10:00.123 UTC",
    "user": "alice",
    "dbname": "shop",
    "pid": "1970",
    "remote": "10.0.0.7:55000",
    "session_id": f"{STARTED:x}.7b2",
    "line_num": "1",
    "ps": "SELECT",
    "session_start": "2026-03-01 12:09:36 UTC",
    "vxid": "3/7",
    "txid": "0",
    "error_severity": "LOG",
    "state_code": "00000",
    "message": "duration: 0.100 ms  statement: SELECT 1",
    "application_name": "api",
    "backend_type": "client backend",
    "query_id": "42",
}
AS_CSVLOG = {
    "timestamp": "log_time",
    "user": "user_name",
    "dbname": "database_name",
    "pid": "process_id",
    "line_num": "session_line_num",
    "session_start": "session_start_time",
    "state_code": "sql_state_code",
    "statement": "query",
}
_BARE = {"timestamp", "pid", "session_id", "line_num", "session_start", "vxid", "txid"}
_BARE |= {"error_severity", "state_code", "leader_pid", "query_id"}


def csv_line(columns: int = 26, **fields: str) -> bytes:
    """As PostgreSQL quotes: what may hold anything is quoted, and what is absent is empty."""
    values = {**DEFAULTS, **fields}
    parts = []
    for name in FIELDS[:columns]:
        value = values.get(name, "")
        quoted = (value and name not in _BARE) or name == "application_name"
        parts.append('"' + value.replace('"', '""') + '"' if quoted else value)
    return ",".join(parts).encode() + b"\n"


def csv_module_line(**fields: str) -> bytes:
    """As Python's csv module writes: quoted only where it must be, and with \\r\\n."""
    stream = io.StringIO()
    values = {**DEFAULTS, **fields}
    csv.writer(stream).writerow([values.get(name, "") for name in FIELDS])
    return stream.getvalue().encode()


def json_line(**fields: object) -> bytes:
    """As jsonlog has it: what is absent is left out, and so is the state of success."""
    values: dict[str, object] = {**DEFAULTS, **fields}
    for name in ("pid", "line_num", "query_id"):
        values[name] = int(str(values[name]))
    if values["state_code"] == "00000":
        del values["state_code"]
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def cloudnativepg_line(**fields: str) -> bytes:
    """As CloudNativePG's instance manager wraps it."""
    record = {AS_CSVLOG.get(name, name): text for name, text in {**DEFAULTS, **fields}.items()}
    line = {"level": "info", "ts": "2026-03-01T12:10:00Z", "logger": "postgres", "record": record}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def blocks(data: bytes, log_format: Format, size: int) -> Iterator[Columns]:
    """Read in chunks of a size, which grow where they hold no whole record."""
    at, grown = 0, size
    while at < len(data):
        chunk = memoryview(data)[at : at + grown]
        end = log_format.cut(chunk, whole_file=at + len(chunk) == len(data))
        grown = size if end else grown * 2
        if end:
            yield log_format.parse(chunk[:end])
        at += end


def rows(columns: Columns) -> list[dict[str, object]]:
    """What a person would compare: a dictionary a record."""
    texts = "session user database application backend_type severity sqlstate message detail"
    named = {name: getattr(columns, name).to_pylist() for name in texts.split()}
    named |= {name: getattr(columns, name).to_pylist() for name in ("context", "statement")}
    named |= {n: getattr(columns, n).tolist() for n in ("at_us", "line_num", "query_id")}
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]
