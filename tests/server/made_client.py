"""Clients that count what they do by the text that the server sees, for captures to be held against."""

import contextlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from replay.embedded import Server
from replay.sql.fingerprint import fingerprint


class Client:
    """A session that counts calls and errors by template, and keeps its transactions' templates."""

    def __init__(self, dsn: str, *, application: str = "people-api") -> None:
        self.connection = psycopg.connect(dsn, autocommit=True, application_name=application)
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.units: list[list[str]] = []  # templates of each transaction, in order
        self.inside = False

    def close(self) -> None:
        self.connection.close()

    def run(self, sql: str, *values: object, seen: str = "", prepare: bool = False) -> None:
        """Run a statement; `seen` is its text on the server, where that differs."""
        with self.counted(seen or sql):
            self.connection.execute(sql.encode(), values or None, prepare=prepare)

    def copy_in(self, sql: str, data: bytes) -> None:
        """Run COPY … FROM STDIN."""
        with (
            self.counted(sql),
            self.connection.cursor() as cursor,
            cursor.copy(sql.encode()) as copy,
        ):
            copy.write(data)

    def copy_out(self, sql: str) -> bytes:
        """Run COPY … TO STDOUT."""
        with (
            self.counted(sql),
            self.connection.cursor() as cursor,
            cursor.copy(sql.encode()) as copy,
        ):
            return b"".join(copy)
        return b""

    def begin(self, sql: str = "BEGIN") -> None:
        self.run(sql)
        self.inside = True

    def end(self, how: str = "COMMIT") -> None:
        self.run(how)
        self.inside = False

    @contextlib.contextmanager
    def counted(self, seen: str) -> Iterator[None]:
        text = fingerprint(seen).id
        self.calls[text] += 1
        if not self.inside:
            self.units.append([])
        self.units[-1].append(text)
        try:
            yield
        except psycopg.Error:
            self.errors[text] += 1


class Wire:
    """The protocol by hand, for what libpq does not do: portals that are fetched from in parts."""

    def __init__(self, server: Server, database: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(server.home / ".s.PGSQL.5432"))
        names = b"user\0postgres\0database\0%s\0application_name\0wire\0\0" % database.encode()
        self._socket.sendall(struct.pack("!ii", len(names) + 8, 3 << 16) + names)
        self.answers()

    def parse(self, name: str, sql: str) -> None:
        self._send(b"P", name.encode() + b"\0" + sql.encode() + b"\0\0\0")

    def bind(self, portal: str, name: str, values: Sequence[str] = ()) -> None:
        told = b"".join(struct.pack("!i", len(v)) + v.encode() for v in values)
        names = portal.encode() + b"\0" + name.encode() + b"\0\0\0"
        self._send(b"B", names + struct.pack("!h", len(values)) + told + b"\0\0")

    def execute(self, portal: str, rows: int = 0) -> None:
        """Execute, for so many rows; 0: all."""
        self._send(b"E", portal.encode() + b"\0" + struct.pack("!i", rows))

    def sync(self) -> list[bytes]:
        self._send(b"S", b"")
        return self.answers()

    def query(self, sql: str) -> list[bytes]:
        """Run it by the simple protocol."""
        self._send(b"Q", sql.encode() + b"\0")
        return self.answers()

    def answers(self) -> list[bytes]:
        """Types of all messages up to ReadyForQuery."""
        kinds: list[bytes] = []
        while kinds[-1:] != [b"Z"]:
            kind, size = struct.unpack("!ci", self._read(5))
            self._read(size - 4)
            kinds.append(kind)
        return kinds

    def close(self) -> None:
        self._send(b"X", b"")
        self._socket.close()

    def _send(self, kind: bytes, body: bytes) -> None:
        self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self._socket.recv(size - len(found))
            assert more, "the server has hung up"
            found += more
        return found


def wait_for(text: str, *logs: Path) -> None:
    """Wait until the log collector has written it: it does so when it gets to it."""
    deadline = time.monotonic() + 20
    for log in logs:
        while not (log.is_file() and text in log.read_text(encoding="utf-8", errors="replace")):
            assert time.monotonic() < deadline, f"{text} never came to {log.name}"
            time.sleep(0.02)
