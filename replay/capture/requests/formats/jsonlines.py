"""Request logs of one JSON object a line: nginx's and Apache's own, Envoy's, Caddy's and their like.

Which key says what is told by its name, once for a log: keys of the usual servers, white of case and
of the sign between words.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import numpy as np

from replay.capture.formats.columns import Broken, Ints
from replay.capture.formats.jsonlines import cut as cut_lines
from replay.capture.requests.columns import (
    TEXTS,
    UNTIMED,
    Requests,
    elsewhere,
    hosts_of,
)
from replay.capture.requests.formats.made import column
from replay.capture.requests.formats.moments import instants, no_minute

_NOT_JSON = "line is no JSON object"
NO_REQUEST = "JSON object is no request"
_SAMPLED = 20  # lines of the head
_SURE = 0.5  # of them

Path = tuple[str, ...]

# Keys in the order of their worth; a point leads into an object.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "line": ("request", "request_line"),
    "method": ("request_method", "method", "request.method", "http_method", "requestmethod"),
    "target": (
        *("request_uri", "request.uri", "x_envoy_original_path", "path", "uri", "url"),
        *("request_path", "requestpath", "http_path"),
    ),
    "query": ("query_string", "args", "query"),
    "status": ("status", "response_code", "status_code", "response.status", "downstreamstatus"),
    "size": ("bytes_sent", "body_bytes_sent", "size", "bytes", "response_size"),
    "begun": ("start_time", "startutc", "started_at"),
    "ended": ("msec", "time_iso8601", "ts", "timestamp", "@timestamp", "time", "time_local"),
    "duration": ("request_time", "duration_ms", "duration", "response_time", "latency"),
    "agent": ("http_user_agent", "user_agent", "request.headers.user_agent", "agent"),
    "client": (
        *("http_x_forwarded_for", "x_forwarded_for", "request.client_ip", "client_ip"),
        *("remote_addr", "request.remote_ip", "downstream_remote_address", "remote_ip", "client"),
    ),
    "cookie": (
        *("session", "session_hash", "session_id", "cookie_session", "http_cookie", "cookie"),
        "request.headers.cookie",
    ),
    "authorization": (
        *("http_authorization", "authorization", "request.headers.authorization", "remote_user"),
        "user_id",
    ),
    "route": ("http_route", "http.route", "route"),
    "trace": (
        *("http_traceparent", "traceparent", "request.headers.traceparent", "trace_id"),
        "otel_trace_id",
    ),
    "request_id": (
        "request_id",
        "x_request_id",
        "http_x_request_id",
        "request.headers.x_request_id",
    ),
    "content_type": ("content_type", "http_content_type", "request.headers.content_type"),
    "body": ("request_body", "request.body"),
    "host": ("host", "http_host", "authority", ":authority", "request.host", "server_name"),
    "upstream": ("upstream_addr", "upstream_host", "upstream", "server_addr"),
}
_MS, _S = 1000, 1_000_000


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A request log in JSON, and which key says what."""

    paths: tuple[tuple[str, Path], ...]  # our name, keys
    duration_unit_us: int

    @property
    def name(self) -> str:
        """As a person calls it."""
        return "request log in JSON"

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Behind the last line's end."""
        return cut_lines(chunk, whole_file=whole_file)

    def parse(self, block: memoryview) -> Requests:
        """The requests of whole lines."""
        try:
            records = _decoder(self.paths).decode_lines(block)
            offsets = _offsets(block, len(records))
            broken: list[Broken] = []
        except (msgspec.DecodeError, UnicodeDecodeError):
            records, offsets, broken = _one_by_one(block, self.paths)
        found = {name: _values(records, path) for name, path in self.paths}
        return _columns(found, offsets, broken, self.duration_unit_us)


def recognise(head: bytes) -> JsonLines | None:
    """The format where the head's lines are requests in JSON."""
    if not head.lstrip().startswith(b"{"):
        return None
    lines = [line for line in head[: head.rfind(b"\n") + 1].split(b"\n") if line.strip()]
    records = []
    for line in lines[:_SAMPLED] or [head]:
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        records.append(dict(_flat(record)))
    paths: dict[str, Path] = {}
    for name, keys in _KEYS.items():
        seen = Counter(path for key in keys for record in records if (path := record.get(key)))
        most = max(seen.values(), default=0)
        if seen:  # a line of another kind may have a worthier one
            paths[name] = next(path for path, count in seen.items() if 2 * count >= most)
    asked = "line" in paths or {"method", "target"} <= paths.keys()
    if not asked or "status" not in paths or not {"begun", "ended"} & paths.keys():
        return None
    if "method" in paths and "target" in paths:
        paths.pop("line", None)
    made = JsonLines(tuple(sorted(paths.items())), _duration_unit(paths))
    found = made.parse(memoryview(b"\n".join(lines or [head])))
    return made if len(found) >= _SURE * max(len(lines), 1) else None


def _flat(record: object, ahead: Path = ()) -> Iterator[tuple[str, Path]]:
    """Every key of an object and of those in it, written in one way, with its path."""
    if not isinstance(record, dict):
        return
    for key, value in record.items():
        path = (*ahead, str(key))
        if isinstance(value, dict):
            yield from _flat(value, path)
        else:
            yield ".".join(part.lower().replace("-", "_") for part in path), path


def _duration_unit(paths: Mapping[str, Path]) -> int:
    """In µs: Envoy counts ms, nginx and Caddy seconds."""
    key = paths.get("duration", ("",))[-1].lower()
    is_envoy = paths["status"][-1].lower() == "response_code"
    return _MS if "ms" in key or (key == "duration" and is_envoy) else _S


@cache
def _decoder(paths: tuple[tuple[str, Path], ...]) -> msgspec.json.Decoder[Any]:
    """Reads no more of a record than is wanted."""
    return msgspec.json.Decoder(_struct([path for _, path in paths]))


def _struct(paths: Sequence[Path]) -> type:
    below: dict[str, list[Path]] = {}
    for path in paths:
        below.setdefault(path[0], []).append(path[1:])
    fields, rename = [], {}
    for number, (key, rests) in enumerate(sorted(below.items())):
        inner = [rest for rest in rests if rest]
        kind = _struct(inner) | None if inner else Any
        fields.append((f"f{number}", kind, None))
        rename[f"f{number}"] = key
    return msgspec.defstruct("Record", fields, rename=rename)


def _values(records: Sequence[Any], path: Path) -> list[Any]:
    """A field of every record."""
    values: list[Any] = list(records)
    for key in path:
        kind = next((type(value) for value in values if value is not None), None)
        if kind is None:
            return values
        names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
        name = names[key]
        values = [None if value is None else getattr(value, name) for value in values]
    return [value[0] if isinstance(value, list) and value else value for value in values]


def _one_by_one(
    block: memoryview, paths: tuple[tuple[str, Path], ...]
) -> tuple[list[Any], Ints, list[Broken]]:
    """Records of a block in which some line is none."""
    decode = _decoder(paths).decode
    records, offsets, broken = [], [], []
    offset = 0
    for line in bytes(block).split(b"\n"):
        if line.strip():
            try:
                records.append(decode(line))
                offsets.append(offset)
            except (msgspec.DecodeError, UnicodeDecodeError):
                broken.append(Broken(offset=offset, reason=_NOT_JSON))
        offset += len(line) + 1
    return records, np.array(offsets, np.int64), broken


def _offsets(block: memoryview, count: int) -> Ints:
    data = np.frombuffer(block, np.uint8)
    begin = np.concatenate(([0], np.flatnonzero(data == ord("\n")) + 1))
    begin = begin[begin < data.size]
    if len(begin) == count:
        return begin
    lengths = np.diff(np.append(begin, data.size))
    return begin[lengths > 1][:count]


def _columns(
    found: Mapping[str, list[Any]], offsets: Ints, broken: list[Broken], duration_unit_us: int
) -> Requests:
    count = len(offsets)
    nothing = [None] * count
    methods, targets = _asked(found, nothing)
    at_us = _instants(found.get("begun") or found.get("ended") or nothing)
    duration_us = _scaled(found.get("duration", nothing), duration_unit_us)
    if "begun" not in found:
        at_us = np.where(at_us < 0, at_us, at_us - np.maximum(duration_us, 0))
    asked = np.fromiter(
        (bool(method) and bool(target) for method, target in zip(methods, targets, strict=True)),
        np.bool_,
        count,
    )
    kept = np.flatnonzero(asked & (at_us >= 0))
    broken += [
        Broken(offset=int(offset), reason=NO_REQUEST)
        for offset in np.delete(offsets, kept).tolist()
    ]
    rows = kept.tolist()

    def some(values: Sequence[Any]) -> list[Any]:
        return [values[row] for row in rows] if len(rows) < count else list(values)

    told = {name: found.get(name, nothing) for name in TEXTS} | {
        "method": methods,
        "target": targets,
    }
    texts = {name: column(some(values)) for name, values in told.items()}
    hosts = [column(found[name]) for name in ("host", "upstream") if name in found]
    return Requests(
        begin=offsets[kept],
        at_us=at_us[kept],
        duration_us=duration_us[kept],
        status=np.maximum(_scaled(some(found["status"]), 1), 0),
        size=np.maximum(_scaled(some(found.get("size", nothing)), 1), 0),
        **texts,
        hosts=hosts_of(hosts, elsewhere(texts["target"])),
        broken=tuple(broken),
    )


def _asked(found: Mapping[str, list[Any]], nothing: list[Any]) -> tuple[list[Any], list[Any]]:
    """Methods and targets, the query with them where the log has it apart."""
    if "line" in found:
        parts = [str(line or "").split(" ") for line in found["line"]]
        parts = [part if len(part) > 1 else ["", ""] for part in parts]
        return [part[0] for part in parts], [part[1] for part in parts]
    targets = found.get("target", nothing)
    if "query" in found:
        targets = [
            f"{target}?{query}" if query and "?" not in target else target
            for target, query in zip(targets, found["query"], strict=True)
        ]
    return found.get("method", nothing), targets


def _instants(values: Sequence[Any]) -> Ints:
    texts = column(values)
    at_us = np.empty(len(texts), np.int64)
    instants(texts.data, texts.begins, texts.ends, no_minute(), at_us)
    return at_us


def _scaled(values: Sequence[Any], unit: int) -> Ints:
    """Numbers times a unit, also where they come as text; UNTIMED for what is none."""
    return np.fromiter((_number(value, unit) for value in values), np.int64, len(values))


def _number(value: object, unit: int) -> int:
    if isinstance(value, int | float):
        return round(value * unit)
    try:
        return round(float(str(value)) * unit)
    except (ValueError, OverflowError):
        return UNTIMED
