"""Hand-made jsonlog: sessions that write the lines which PostgreSQL writes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Log:
    """Lines in time order; every line is a millisecond after the one before."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = START
        self._numbers: dict[int, int] = {}

    def line(self, pid: int = 7, **fields: object) -> None:
        self.now += timedelta(milliseconds=1)
        self._numbers[pid] = self._numbers.get(pid, 0) + 1
        record = {
            "timestamp": f"{self.now:%Y-%m-%d %H:%M:%S}.{self.now.microsecond // 1000:03} UTC",
            "user": "alice",
            "dbname": "shop",
            "pid": pid,
            "session_id": f"69a42a40.{pid:x}",
            "line_num": self._numbers[pid],
            "session_start": "2026-03-01 12:00:00 UTC",
            "error_severity": "LOG",
            "application_name": "api",
            "backend_type": "client backend",
            "query_id": 0,
        }
        self.lines.append(json.dumps({**record, **fields}))

    def ran(self, sql: str, ms: float = 0.1, pid: int = 7, **fields: object) -> None:
        self.line(pid, message=f"duration: {ms:.3f} ms  statement: {sql}", **fields)

    def called(
        self, sql: str, *values: str, ms: float = 0.1, pid: int = 7, name: str = "<unnamed>"
    ) -> None:
        """Parse (of an unnamed statement), bind and execute; values as the log quotes them."""
        detail = "Parameters: " + ", ".join(f"${n} = {v}" for n, v in enumerate(values, 1))
        if name == "<unnamed>":
            self.line(pid, message=f"duration: 0.020 ms  parse {name}: {sql}")
        self.line(pid, message=f"duration: 0.010 ms  bind {name}: {sql}", detail=detail)
        self.line(pid, message=f"duration: {ms:.3f} ms  execute {name}: {sql}", detail=detail)

    def failed(self, sql: str, state: str, pid: int = 7, **fields: object) -> None:
        told = {"error_severity": "ERROR", "state_code": state, "statement": sql}
        self.line(pid, message="it failed", **{**told, **fields})

    def write(self, path: Path, end: str = "\n") -> Path:
        path.write_text("\n".join(self.lines) + end, encoding="utf-8")
        return path
