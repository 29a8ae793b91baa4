"""Writes stderr logs as PostgreSQL's elog.c does: a prefix, a severity, a TAB behind each newline."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from replay.capture.formats.columns import Columns

START_S = 1714557600  # 2024-05-01 10:00:00 UTC


@dataclass(kw_only=True)
class Report:
    """One record, as the server knows it."""

    message: bytes = b"duration: 0.123 ms  statement: SELECT 1"
    severity: bytes = b"LOG"
    detail: bytes = b""
    hint: bytes = b""
    context: bytes = b""
    statement: bytes = b""
    at_ms: int = START_S * 1000 + 4123
    pid: int = 4711
    user: bytes = b"app"
    database: bytes = b"shop"
    application: bytes = b"web api"
    sqlstate: bytes = b"00000"
    query_id: int = 0
    session: bool = True
    lines: list[int] = field(default_factory=lambda: [1])  # the process's line counter


def stamp(at_ms: int, *, millis: bool) -> bytes:
    shown = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{shown}{f'.{at_ms % 1000:03d}' if millis else ''} UTC".encode()


def prefixed(prefix: str, report: Report) -> bytes:
    held = report.session
    values = {
        "m": stamp(report.at_ms, millis=True),
        "t": stamp(report.at_ms, millis=False),
        "n": b"%d.%03d" % divmod(report.at_ms, 1000),
        "s": stamp(START_S * 1000, millis=False),
        "p": b"%d" % report.pid,
        "P": b"",
        "c": b"%x.%x" % (START_S, report.pid),
        "l": b"%d" % report.lines[0],
        "e": report.sqlstate,
        "Q": b"%d" % report.query_id,
        "x": b"0",
        "v": b"3/17",
        "u": report.user if held else b"",
        "d": report.database if held else b"",
        "a": report.application if held else b"",
        "r": b"10.0.0.1(5432)" if held else b"",
        "h": b"10.0.0.1" if held else b"",
        "L": b"10.9.9.9" if held else b"",
        "i": b"SELECT" if held else b"",
        "b": b"client backend" if held else b"checkpointer",
    }
    out, at = b"", 0
    while at < len(prefix):
        if prefix[at] != "%":
            out += prefix[at].encode()
            at += 1
            continue
        end = at + 1
        while prefix[end] in "-0123456789":
            end += 1
        padding, escape = int(prefix[at + 1 : end] or 0), prefix[end]
        if escape == "q":
            if not held:
                break
        elif escape == "%":
            out += b"%"
        else:
            value = values[escape]
            out += value.ljust(-padding) if padding < 0 else value.rjust(padding)
        at = end + 1
    return out


def written(prefix: str, report: Report) -> bytes:
    out = b""
    for lead, text in (
        (report.severity, report.message),
        (b"DETAIL", report.detail),
        (b"HINT", report.hint),
        (b"CONTEXT", report.context),
        (b"STATEMENT", report.statement),
    ):
        if text or lead == report.severity:
            out += prefixed(prefix, report) + lead + b":  " + text.replace(b"\n", b"\n\t") + b"\n"
            report.lines[0] += 1
    return out


def rows(columns: Columns) -> list[dict[str, object]]:
    """The records of columns, one dict each."""
    names = ["begin", "end", "at_us", "session", "line_num", "query_id", "user", "database"]
    names += ["application", "backend_type", "severity", "sqlstate", "message", "detail"]
    names += ["context", "statement"]
    values = [getattr(columns, name) for name in names]
    for value in values:
        assert len(value) == len(columns)
    lists = [v.tolist() if hasattr(v, "tolist") else v.to_pylist() for v in values]
    return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]
