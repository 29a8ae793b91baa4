"""Statements through libpq, where the way to the server is encrypted: it has the keys.

Nothing here may wait. `is_busy` is asked before every `get_result`: half an answer would block the
loop, and with it every other session.
"""

from typing import Any

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from replay.load.carrier import READ, WRITE, Heard, Owner
from replay.load.record import CODE_OK
from replay.load.shard import Call, Line

# Plain numbers: an enum costs more to compare than the answer to read.
_TUPLES_OK = int(ExecStatus.TUPLES_OK)
_COMMAND_OK = int(ExecStatus.COMMAND_OK)
_EMPTY_QUERY = int(ExecStatus.EMPTY_QUERY)
_FATAL_ERROR = int(ExecStatus.FATAL_ERROR)
_SQLSTATE = int(DiagnosticField.SQLSTATE)
_IDLE = int(TransactionStatus.IDLE)
_ACTIVE = int(TransactionStatus.ACTIVE)
_OK = int(ConnStatus.OK)
_UNKNOWN_ERROR = b"08006"  # libpq's own errors carry no SQLSTATE


class Libpq:
    """Carries one session's statements over whatever libpq has agreed with the server."""

    __slots__ = (
        "_anew",
        "_code",
        "_expecting",
        "_heard",
        "_known",
        "_owner",
        "_pgconn",
        "_reader",
        "_rows",
        "_to_execute",
        "_writer",
    )

    def __init__(self, owner: Owner, pgconn: PGconn, loop: Any, heard: Heard) -> None:
        pgconn.nonblocking = 1
        pgconn.notice_handler = None
        pgconn.notify_handler = None
        self._owner = owner
        self._pgconn = pgconn
        self._heard = heard
        self._code, self._rows = CODE_OK, -1
        self._expecting = False
        self._anew: dict[bytes, bytes] = {}  # names of statements that had to be prepared again
        self._known: set[bytes] = set()  # prepared statements that this connection has
        self._to_execute: tuple[bytes, tuple[bytes | None, ...]] | None = None
        self._reader = loop.io(pgconn.socket, READ)
        self._writer = loop.io(pgconn.socket, WRITE)
        self._reader.start(self._readable)

    def close(self) -> None:
        """Stop watching."""
        for watcher in (self._reader, self._writer):
            watcher.stop()
            watcher.close()

    def prepare_anew(self, name: bytes) -> None:
        """The server no longer takes this prepared statement: another takes its place."""
        self._anew[name] = b"%s_%d" % (name, len(self._anew) + 1)
        while self._anew[name] in self._known:
            self._anew[name] += b"_"

    def send(self, call: Call, line: Line) -> None:
        """Send one statement."""
        values = line.bound()
        self._code = CODE_OK
        self._rows = -1
        self._expecting = True
        pgconn = self._pgconn
        try:
            if name := call.name:
                if self._anew:
                    name = self._anew.get(name, name)
                if name in self._known:
                    pgconn.send_query_prepared(name, values)
                else:
                    pgconn.send_prepare(name, call.text)
                    self._to_execute = (name, values)
            elif call.simple and not values:
                pgconn.send_query(call.text)
            else:
                pgconn.send_query_params(call.text, values)
            if pgconn.flush():
                self._writer.start(self._writable)
        except psycopg.OperationalError:
            self._heard.broken(self._owner)

    def _readable(self) -> None:
        """Take in what has come.

        This runs once a statement, and calls cost more than what they do: the plain case is told
        here whole.
        """
        try:
            pgconn = self._pgconn
            pgconn.consume_input()
            while not pgconn.is_busy():
                transaction = pgconn.transaction_status
                if transaction == _ACTIVE:
                    result = pgconn.get_result()
                    if result is None:
                        return
                    if result.status == _TUPLES_OK and self._rows < 0:
                        self._rows = result.ntuples
                    elif not self._take_in(result):
                        # COPY asks for data that nobody has: only another connection helps.
                        self._heard.broken(self._owner)
                        return
                    continue
                self._owner.in_transaction = transaction != _IDLE
                if self._code is not CODE_OK or self._to_execute is not None:
                    self._over()
                elif self._expecting:
                    self._expecting = False
                    self._heard.answered(self._owner, CODE_OK, self._rows)
                # Else a notice or a changed parameter came in between two statements.
                return
        except psycopg.OperationalError:
            self._heard.broken(self._owner)
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self._heard.trap(error)

    def _writable(self) -> None:
        try:
            if not self._pgconn.flush():
                self._writer.stop()
        except psycopg.OperationalError:
            self._heard.broken(self._owner)
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self._heard.trap(error)

    def _take_in(self, result: PGresult) -> bool:
        """Count a result's rows, or note its error; False where it asks for what we do not have."""
        count: int | None = None
        status = result.status
        if status == _TUPLES_OK:
            count = result.ntuples
        elif status == _COMMAND_OK:
            count = result.command_tuples
        elif status == _FATAL_ERROR:
            self._code = result.error_field(_SQLSTATE) or _UNKNOWN_ERROR
        elif status != _EMPTY_QUERY:
            return False
        if count is not None:
            self._rows = count if self._rows < 0 else self._rows + count
        return True

    def _over(self) -> None:
        """It was only prepared, and is now executed; or it failed."""
        to_execute, self._to_execute = self._to_execute, None
        if self._code is CODE_OK and to_execute is not None:
            name, values = to_execute
            self._known.add(name)
            self._rows = -1
            self._pgconn.send_query_prepared(name, values)
            if self._pgconn.flush():
                self._writer.start(self._writable)
        elif self._pgconn.status != _OK:
            self._heard.broken(self._owner)
        elif self._expecting:
            self._expecting = False
            code = self._code
            self._heard.answered(self._owner, code, self._rows if code is CODE_OK else -1)
