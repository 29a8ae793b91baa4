"""Access logs whose lines a format string describes: nginx's log_format, Apache's LogFormat, and the usual ones.

Sources: nginx, ngx_http_log_module; Apache 2.4, mod_log_config.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

from replay.capture.formats.jsonlines import cut as cut_lines
from replay.capture.formats.texts import Texts
from replay.capture.requests.columns import Requests
from replay.capture.requests.formats.cells import NO_REQUEST, NONE, NOT_SO
from replay.capture.requests.formats.cut import Plan, broken_of, cut
from replay.capture.requests.formats.usual import USUAL
from replay.errors import InputError

_REASONS = {
    NOT_SO: "line is not of the log's format",
    NO_REQUEST: "no request line: what the client sent was none",
}
_S = 1_000_000  # µs

# What a line ends with, and nothing else stands there: $request_time.
_TIMED = re.compile(rb'" (|rt=)\d+(?:\.\d+)?\r?$', re.MULTILINE)
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

_TIMES = (
    *("time_local", "bracketed_time", "time_iso8601", "msec", "epoch_ms", "epoch_us"),
    "begun_local",
)
# Apache stamps a request at its begin, and so does HAProxy.
_BEGUN = ("bracketed_time", "epoch_ms", "epoch_us", "begun_local")
_DURATIONS = {
    "request_time": _S,
    "duration_s": _S,
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
    "req_id": "request_id",
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
        return cut_lines(chunk, whole_file=whole_file)

    def parse(self, block: memoryview) -> Requests:
        """The requests of whole lines."""
        found, odd = cut(block, _plan(self.text))
        if "body" in _plan(self.text).texts:
            found = replace(found, body=_unescaped(found.body))
        return replace(found, broken=broken_of(odd, _REASONS))


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
        bad = sum(broken.reason == _REASONS[NOT_SO] for broken in found.broken)
        bad += _untimed(text, lines, len(found))
        if len(found) and len(found) >= 9 * bad:
            return Access(text, called)
    return None


def _untimed(text: str, lines: memoryview, count: int) -> int:
    """How many of the requests of a format that ends with a duration end with something else."""
    if not text.endswith("$request_time"):
        return 0
    mark = b"rt=" if text.endswith("rt=$request_time") else b""
    found: list[bytes] = _TIMED.findall(lines)
    return count - found.count(mark)


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


@cache
def _plan(text: str) -> Plan:
    """How lines of a format are cut; of one that says too little nothing is a request."""
    named, literals, bounds = program(text)
    field = {name: at for at, name in enumerate(named) if name}
    time = next((name for name in ("msec", *reversed(_TIMES)) if name in field), "")
    roles = {"time": time, **_asked(field)}
    roles["status"] = "status"
    roles["size"] = "bytes_sent" if "bytes_sent" in field else "body_bytes_sent"
    hosts = [name for name in field if name in _HOSTS]
    durations, unit_us = _durations(field)
    return Plan(
        literals=[literals[a:b].tobytes() for a, b in pairwise(bounds.tolist())],
        roles={role: field[name] for role, name in roles.items() if name in field},
        durations=[field[name] for name in durations],
        texts={column: field[name] for column, name in _texts(field).items()},
        hosts=[field[name] for name in hosts],
        port=field.get("server_port", NONE) if hosts else NONE,
        time_unit_us={"epoch_us": 1, "epoch_ms": 1000}.get(time, 0),
        duration_unit_us=unit_us,
        is_begin=any(name in field for name in _BEGUN),
        dashes=True,  # what servers write for nothing
    )


def _asked(field: Mapping[str, int]) -> Mapping[str, str]:
    """Where each request's method and target stand."""
    if "request" in field:
        return {"line": "request"}
    target = "request_uri" if "request_uri" in field else "uri"
    return {
        "target": target,
        "method": "request_method" if "request_method" in field else target,
    }


def _durations(field: Mapping[str, int]) -> tuple[Sequence[str], int]:
    """Where each request's duration stands, and in µs of what."""
    for name, unit_us in _DURATIONS.items():
        if name in field:
            return (name,), unit_us
    return (_ALB_TIMES if set(_ALB_TIMES) <= field.keys() else ()), _S


def _texts(field: Mapping[str, int]) -> Mapping[str, str]:
    """Columns and the field of each."""
    found: dict[str, str] = {}
    for name in field:
        column = _FIELDS.get(name) or ("cookie" if _SESSIONS.fullmatch(name) else "")
        if column:
            found.setdefault(column, name)
    for name in ("http_x_forwarded_for", "remote_addr"):
        if name in field:
            found.setdefault("client", name)
    return found


def _unescaped(bodies: Texts) -> Texts:
    """Bodies as they were sent: servers write a quote and what is no text as its code."""
    sent = [_ESCAPED.sub(lambda one: bytes([int(one[1], 16)]), body) for body in bodies.to_pylist()]
    return Texts.holding(sent)
