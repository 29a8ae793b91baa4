"""One connection of the pool, driven by the event loop: send a statement, hear when it is answered.

The connection is psycopg's until it is attached, then only its `pgconn` is used, non-blocking, from
callbacks of the hub. Nothing here may wait. `is_busy` is asked before every `get_result`: half an
answer would block the loop, and with it every other session.
"""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from replay.load.record import CODE_OK
from replay.load.shard import Arrival, Call, Line

_READ, _WRITE = 1, 2  # libev's EV_READ, EV_WRITE
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

# What a session is doing.
LOST, FREE, RUNNING, PAUSED, ROLLING_BACK, SETTING, RETRYING = range(7)
EXPECTING = (RUNNING, ROLLING_BACK, SETTING, RETRYING)  # an answer

Answered = Callable[["Session", bytes, int], None]


class Session:
    """A pool slot: its connection, and the transaction that it carries (the engine's fields)."""

    __slots__ = (
        "_anew",
        "_answered",
        "_broken",
        "_code",
        "_known",
        "_loop",
        "_pgconn",
        "_reader",
        "_rows",
        "_to_execute",
        "_trap",
        "_writer",
        "began",
        "connection",
        "due",
        "in_transaction",
        "lag",
        "lines",
        "number",
        "ordinal",
        "pid",
        "position",
        "settings",
        "slot",
        "state",
        "template",
        "tries",
        "wake",
        "wanted",
    )

    def __init__(
        self,
        slot: int,
        loop: Any,
        *,
        answered: Answered,
        broken: Callable[["Session"], None],
        trap: Callable[[BaseException], None],
    ) -> None:
        """`answered` gets outcome and rows; `broken` hears that the connection is no more."""
        self.slot = slot
        self.state = LOST
        self.connection: psycopg.Connection | None = None
        self.pid = 0
        self.number = 0  # of the arrival
        self.lines: tuple[Line, ...] = ()
        self.position = 0  # in lines
        self.ordinal = 0  # of the first line, in the records: counts on over retries
        self.tries = 0
        self.settings = 0  # that are in force, as the arrivals number them
        self.wanted = 0  # by the arrival
        self.template = 0  # of the statement that was sent last
        self.in_transaction = False  # the server has a transaction open here, failed or not
        self.due = self.began = self.lag = self.wake = 0  # ns
        self._loop = loop
        self._answered = answered
        self._broken = broken
        self._trap = trap

    def attach(self, connection: psycopg.Connection) -> None:
        """Take over an idle connection; from now on its socket belongs to the event loop."""
        pgconn = connection.pgconn
        pgconn.nonblocking = 1
        pgconn.notice_handler = None
        pgconn.notify_handler = None
        self.connection = connection
        self.pid = pgconn.backend_pid
        self._pgconn = pgconn
        self.in_transaction = False
        self.settings = 0
        self._anew: dict[bytes, bytes] = {}  # names of statements that had to be prepared again
        self._known: set[bytes] = set()  # prepared statements that this connection has
        self._to_execute: tuple[bytes, tuple[bytes | None, ...]] | None = None
        self._reader = self._loop.io(pgconn.socket, _READ)
        self._writer = self._loop.io(pgconn.socket, _WRITE)
        self._reader.start(self._readable)

    def detach(self) -> psycopg.Connection | None:
        """Stop watching and give the connection back, to be closed."""
        connection, self.connection = self.connection, None
        if connection is not None:
            for watcher in (self._reader, self._writer):
                watcher.stop()
                watcher.close()
        self.state = LOST
        return connection

    def take(self, arrival: Arrival, due_ns: int) -> None:
        """Begin a transaction's accounts; nothing is sent yet."""
        self.state = RUNNING
        self.number = arrival.number
        self.lines = arrival.lines
        self.position = self.ordinal = self.tries = 0
        self.wanted = arrival.settings
        self.due = due_ns

    def prepare_anew(self, name: bytes) -> None:
        """The server no longer takes this prepared statement, as after DDL: drivers prepare again."""
        self._anew[name] = b"%s_%d" % (name, len(self._anew) + 1)
        while self._anew[name] in self._known:
            self._anew[name] += b"_"

    def send(self, call: Call, values: tuple[bytes | None, ...]) -> None:
        """Send one statement; `answered` follows, or `broken`."""
        self.template = call.template
        self._code = CODE_OK
        self._rows = -1
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
            self._broken(self)

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
                        self._broken(self)
                        return
                    continue
                self.in_transaction = transaction != _IDLE
                if self._code is not CODE_OK or self._to_execute is not None:
                    self._over()
                elif self.state in EXPECTING:
                    self._answered(self, CODE_OK, self._rows)
                # Else a notice or a changed parameter came in between two statements.
                return
        except psycopg.OperationalError:
            self._broken(self)
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self._trap(error)

    def _writable(self) -> None:
        try:
            if not self._pgconn.flush():
                self._writer.stop()
        except psycopg.OperationalError:
            self._broken(self)
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self._trap(error)

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
            self._broken(self)
        elif self.state in EXPECTING:
            self._answered(self, self._code, self._rows if self._code is CODE_OK else -1)
