"""Access logs whose lines a format string describes: nginx's log_format, Apache's LogFormat, ALB's.

Sources: nginx, ngx_http_log_module; Apache 2.4, mod_log_config; AWS, "Access logs for your
Application Load Balancer", whose fields are given here by nginx's names where it has one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from replay.capture.formats.columns import TEXTS, Broken, Ints
from replay.capture.formats.spans import Spans, number, texts
from replay.capture.requests.columns import (
    NAMED,
    UNTIMED,
    Requests,
    absent_names,
    absent_texts,
    hosts_of,
    named,
)
from replay.capture.requests.formats import cells
from replay.errors import InputError

_NOT_SO = "line is not of the log's format"
_NO_REQUEST = "no request line: what the client sent was none"

COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
_REFERER = ' "$http_referer" "$http_user_agent"'
ALB = (
    "$type $time_iso8601 $elb $remote_addr:$remote_port $target_addr $request_processing_time "
    "$target_processing_time $response_processing_time $status $target_status $request_length "
    '$bytes_sent "$request" "$http_user_agent" $ssl_cipher $ssl_protocol $target_group '
    '"$http_x_amzn_trace_id"'
)
USUAL: Mapping[str, str] = {
    "ALB": ALB,
    "combined with request_time": f"{COMBINED}{_REFERER} $request_time",
    "combined with rt=": f"{COMBINED}{_REFERER} rt=$request_time",
    "vhost_combined": f"$host:$server_port {COMBINED}{_REFERER}",
    "main with request_time": f'{COMBINED}{_REFERER} "$http_x_forwarded_for" $request_time',
    "main": f'{COMBINED}{_REFERER} "$http_x_forwarded_for"',
    "combined": f"{COMBINED}{_REFERER}",
    "common": COMBINED,
}
"""Formats that are recognised; of those that match equally well the first is taken."""

_VHOST = re.compile(rb"[^\s:]+:\d+ ")  # else the colon is one of the time's
_NGINX = re.compile(r"\$\{?([a-z0-9_]+)\}?")
_APACHE = re.compile(r"%[!0-9,]*[<>]?(?:\{([^}]*)\})?([a-zA-Z]|%|\^t[io])")
_OF_APACHE = {
    "h": "remote_addr",
    "a": "remote_addr",
    "u": "remote_user",
    "t": "bracketed_time",
    "r": "request",
    "s": "status",
    "b": "body_bytes_sent",
    "B": "body_bytes_sent",
    "O": "bytes_sent",
    "D": "duration_us",
    "T": "duration_s",
    "m": "request_method",
    "U": "uri",
    "q": "query",
    "L": "request_id",
    "v": "server_name",
    "V": "server_name",
    "A": "server_addr",
}
_TIME_UNITS = {"us": "duration_us", "ms": "duration_ms", "s": "duration_s"}
_EPOCHS = {"sec": "msec", "msec": "epoch_ms", "usec": "epoch_us"}

_TIMES = ("time_local", "bracketed_time", "time_iso8601", "msec", "epoch_ms", "epoch_us")
_BEGUN = ("bracketed_time", "epoch_ms", "epoch_us")  # Apache stamps a request at its begin
_DURATIONS = {
    "request_time": 1_000_000,
    "duration_s": 1_000_000,
    "duration_ms": 1000,
    "duration_us": 1,
}
_ALB_TIMES = ("request_processing_time", "target_processing_time", "response_processing_time")
_SESSIONS = re.compile(r"cookie_\w+|session|session_id|session_hash|http_cookie")
_FIELDS = {
    "http_user_agent": "agent",
    "http_authorization": "authorization",
    "remote_user": "authorization",
    "route": "route",
    "http_route": "route",
    "http_traceparent": "trace",
    "traceparent": "trace",
    "opentelemetry_trace_id": "trace",
    "otel_trace_id": "trace",
    "http_x_amzn_trace_id": "trace",
    "request_id": "request_id",
    "http_x_request_id": "request_id",
    "unique_id": "request_id",
    "content_type": "content_type",
    "http_content_type": "content_type",
    "request_body": "body",
}
_HOSTS = frozenset(
    [
        *("host", "http_host", "server_name", "ssl_server_name", "http_x_forwarded_host"),
        *("upstream_addr", "server_addr", "proxy_host", "target_addr", "domain_name"),
    ]
)
_ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Access:
    """An access log's format, by nginx's or Apache's own description."""

    text: str
    called: str = ""

    @property
    def name(self) -> str:
        """As a person calls it."""
        return f"access log, {self.called or self.text!r}"

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Behind the last line's end."""
        return len(chunk) if whole_file else bytes(chunk).rfind(b"\n") + 1

    def parse(self, block: memoryview) -> Requests:
        """The requests of whole lines."""
        data = np.frombuffer(block, np.uint8)
        begin = np.concatenate(([0], np.flatnonzero(data == ord("\n")) + 1))
        begin = begin[begin < data.size]
        end = np.append(begin[1:] - 1, data.size - (data.size > 0 and data[-1] == ord("\n")))
        end = end[: len(begin)]
        names, literals, literal_at = program(self.text)
        begins, ends = (np.zeros((len(names), len(begin)), np.int64) for _ in range(2))
        good = np.zeros(len(begin), np.bool_)
        cells.split(data, begin, end, literals, literal_at, begins, ends, good)
        fields = {name: Spans(begins[at], ends[at]) for at, name in enumerate(names) if name}
        return _requests(data, begin, end, fields, good)


def given(text: str) -> Access:
    """The format of a description; raises InputError for one that says too little."""
    names, _, literal_at = program(text)
    missing = [
        what
        for what, any_of in (
            ("a time", _TIMES),
            ("the request", ("request", "request_uri", "uri")),
            ("the status", ("status",)),
        )
        if not set(any_of) & set(names)
    ]
    if missing:
        raise InputError(
            f"--http-format {text!r} has not {' nor '.join(missing)}: give the log_format (nginx) or "
            "LogFormat (Apache) as the server has it"
        )
    inner = np.diff(literal_at)[1:-1]
    if (inner == 0).any():
        raise InputError(
            f"--http-format {text!r} has two fields with nothing between them: where one ends "
            "cannot be told; put a blank between them and log anew"
        )
    return Access(text)


def recognise(head: bytes) -> Access | None:
    """The usual format that most whole lines of the head have."""
    lines = memoryview(head)[: head.rfind(b"\n") + 1] or memoryview(head)
    for called, text in USUAL.items():
        if called == "vhost_combined" and not _VHOST.match(head):
            continue
        found = Access(text, called).parse(lines)
        bad = sum(broken.reason == _NOT_SO for broken in found.broken)
        if "request_time" in text:  # always a number: else it is another field
            bad += int((found.duration_us == UNTIMED).sum())
        if len(found) and len(found) >= 9 * bad:
            return Access(text, called)
    return None


@cache
def program(text: str) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the fields in order, and the literals ahead of each and behind the last.

    The literals stand together; literal n is [at[n], at[n + 1]). A name that stands twice counts once.
    """
    pattern, of = (_NGINX, _nginx) if "$" in text else (_APACHE, _apache)
    names: list[str] = []
    literals = [b""]
    at = 0
    for match in pattern.finditer(text):
        literals[-1] += _unquoted(text[at : match.start()])
        at = match.end()
        name = of(match)
        if name == "%":
            literals[-1] += b"%"
            continue
        in_brackets = name == "bracketed_time"  # there is a blank in it
        literals[-1] += b"[" * in_brackets
        names.append("" if name in names else name)
        literals.append(b"]" * in_brackets)
    literals[-1] += _unquoted(text[at:])
    bounds = np.cumsum([0, *map(len, literals)])
    return tuple(names), np.frombuffer(b"".join(literals), np.uint8), bounds


def _nginx(match: re.Match[str]) -> str:
    return match[1]


def _apache(match: re.Match[str]) -> str:
    argument, letter = match[1], match[2]
    if letter == "%":
        return "%"
    if letter == "T" and argument:
        return _TIME_UNITS.get(argument, "unknown_time")
    if letter == "t" and argument:
        return _EPOCHS.get(argument.removeprefix("begin:"), "unknown_time")
    if argument:
        kind = {"i": "http_", "C": "cookie_", "e": "", "n": "note_", "o": "sent_http_"}
        return kind.get(letter, f"{letter}_") + argument.lower().replace("-", "_")
    return _OF_APACHE.get(letter, f"field_{letter}")


def _unquoted(literal: str) -> bytes:
    return literal.replace('\\"', '"').replace("\\t", "\t").encode()


def _requests(
    data: cells.Bytes, begin: Ints, end: Ints, fields: Mapping[str, Spans], good: np.ndarray
) -> Requests:
    blank = end == begin
    at_us = _instants(data, fields)
    method, target = _asked(data, fields)
    is_request = method.end > method.begin
    kept = np.flatnonzero(good & (at_us >= 0) & is_request)
    reasons = np.where(good & (at_us >= 0), _NO_REQUEST, _NOT_SO)
    broken = tuple(
        Broken(offset=int(begin[row]), reason=str(reasons[row]))
        for row in np.flatnonzero(~blank & ~(good & (at_us >= 0) & is_request)).tolist()
    )
    fields = {name: at.of(kept) for name, at in fields.items()}
    duration_us = _durations(data, fields, len(kept))
    at_us = at_us[kept]
    if not any(name in fields for name in _BEGUN):
        at_us = at_us - np.maximum(duration_us, 0)
    columns: dict[str, pa.Array] = {"method": named(texts(data, method.of(kept)))}
    for name, at in fields.items():
        column = _FIELDS.get(name)
        if column and column not in columns:
            columns[column] = _told(data, at, column)
    for column, names in (("cookie", _matching(fields)), ("client", _clients(fields))):
        if names:
            columns[column] = _told(data, fields[names[0]], column)
    if "body" in columns:
        columns["body"] = _unescaped(columns["body"])
    for column in NAMED:
        columns.setdefault(column, absent_names(len(kept)))
    for column in ("trace", "request_id", "body"):
        columns.setdefault(column, absent_texts(len(kept)))
    target_column = texts(data, target.of(kept))
    hosts = [texts(data, at) for at in _hosts(fields)]
    return Requests(
        begin=begin[kept],
        at_us=at_us,
        duration_us=duration_us,
        status=_number(data, fields, ("status",), len(kept)),
        size=_number(data, fields, ("bytes_sent", "body_bytes_sent"), len(kept)),
        target=target_column,
        hosts=hosts_of(hosts, target_column),
        broken=broken,
        **columns,
    )


def _told(data: cells.Bytes, at: Spans, column: str) -> pa.Array:
    """A field as a column; `-` is what servers write for nothing."""
    nothing = (at.end - at.begin == 1) & (data[np.minimum(at.begin, data.size - 1)] == ord("-"))
    column_texts = texts(data, Spans(at.begin, np.where(nothing, at.begin, at.end)))
    return named(column_texts) if column in NAMED else column_texts


def _unescaped(bodies: pa.BinaryArray) -> pa.BinaryArray:
    """Bodies as they were sent: servers write a quote and what is no text as its code."""
    sent = [_ESCAPED.sub(lambda one: bytes([int(one[1], 16)]), body) for body in bodies.to_pylist()]
    return pa.array(sent, TEXTS)


def _matching(fields: Mapping[str, Spans]) -> list[str]:
    return [name for name in fields if _SESSIONS.fullmatch(name)]


def _hosts(fields: Mapping[str, Spans]) -> Iterator[Spans]:
    """Fields that name hosts, a port behind one with it."""
    port = fields.get("server_port")
    for name, at in fields.items():
        if name in _HOSTS:
            is_behind = port is not None and bool((port.begin == at.end + 1).all())
            yield Spans(at.begin, port.end) if port is not None and is_behind else at


def _clients(fields: Mapping[str, Spans]) -> list[str]:
    return [name for name in ("http_x_forwarded_for", "remote_addr") if name in fields]


def _instants(data: cells.Bytes, fields: Mapping[str, Spans]) -> Ints:
    """Epoch µs of the lines' stamps, the finest there is; -1 where it is none."""
    name = next((n for n in ("msec", *reversed(_TIMES)) if n in fields), "")
    if not name:
        return np.full(len(next(iter(fields.values())).begin), -1, np.int64)
    at = fields[name]
    if name in ("epoch_us", "epoch_ms"):
        return number(data, at) * (1 if name == "epoch_us" else 1000)
    at_us = np.empty(len(at.begin), np.int64)
    cells.instants(data, at.begin, at.end, at_us)
    return at_us


def _asked(data: cells.Bytes, fields: Mapping[str, Spans]) -> tuple[Spans, Spans]:
    """Where each request's method and target stand."""
    if "request" in fields:
        line = fields["request"]
        found = np.zeros((4, len(line.begin)), np.int64)
        cells.request_lines(data, line.begin, line.end, found)
        return Spans(found[0], found[1]), Spans(found[2], found[3])
    target = fields.get("request_uri") or fields["uri"]
    if "request_method" in fields:
        return fields["request_method"], target
    return target, target


def _durations(data: cells.Bytes, fields: Mapping[str, Spans], count: int) -> Ints:
    for name, scale in _DURATIONS.items():
        if name in fields:
            return _scaled(data, fields[name], scale)
    if all(name in fields for name in _ALB_TIMES):
        parts = [_scaled(data, fields[name], 1_000_000) for name in _ALB_TIMES]
        return np.asarray(np.sum([np.maximum(part, 0) for part in parts], axis=0))
    return np.full(count, UNTIMED, np.int64)


def _scaled(data: cells.Bytes, at: Spans, scale: int) -> Ints:
    value = np.empty(len(at.begin), np.int64)
    cells.decimals(data, at.begin, at.end, scale, value)
    return value


def _number(
    data: cells.Bytes, fields: Mapping[str, Spans], names: Sequence[str], count: int
) -> Ints:
    name = next((n for n in names if n in fields), "")
    return number(data, fields[name]) if name else np.zeros(count, np.int64)
