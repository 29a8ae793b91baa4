"""A place of the pool: its connection to the server, and the accounts of the transaction it has.

The connection is psycopg's until it is attached; from then on its socket belongs to the event loop,
and a carrier sends statements over it and hears the answers.
"""

from collections.abc import Callable
from typing import Any

import psycopg

from replay.load.carrier import Carrier, Heard
from replay.load.direct import Direct
from replay.load.libpq import Libpq
from replay.load.protocol import Usual
from replay.load.shard import Arrival, Line

# What a session is doing.
LOST, FREE, RUNNING, PAUSED, ROLLING_BACK, SETTING, RETRYING = range(7)
EXPECTING = (RUNNING, ROLLING_BACK, SETTING, RETRYING)  # an answer


class Session:
    """A place of the pool; the engine keeps its accounts here."""

    __slots__ = (
        "began",
        "carrier",
        "connection",
        "due",
        "heard",
        "in_transaction",
        "lag",
        "lines",
        "loop",
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

    def __init__(self, slot: int, loop: Any, heard: Heard) -> None:
        self.slot = slot
        self.loop = loop
        self.heard = heard
        self.state = LOST
        self.carrier: Carrier
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

    def take(self, arrival: Arrival, due_ns: int) -> None:
        """Begin a transaction's accounts; nothing is sent yet."""
        self.state = RUNNING
        self.number = arrival.number
        self.lines = arrival.lines
        self.position = self.ordinal = self.tries = 0
        self.wanted = arrival.settings
        self.due = due_ns

    def detach(self) -> Any:
        """Stop watching and give the connection back, to be closed; None where there is none."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self.carrier.close()
        self.state = LOST
        return connection


def attach(session: Session, connection: psycopg.Connection, usual: Usual) -> None:
    """Let a session take over an idle connection."""
    pgconn = connection.pgconn
    session.connection = connection
    session.pid = pgconn.backend_pid
    session.in_transaction = False
    session.settings = 0
    if is_encrypted(connection):
        session.carrier = Libpq(session, pgconn, session.loop, session.heard)
    else:
        session.carrier = Direct(session, pgconn.socket, session.loop, usual, session.heard)


def is_encrypted(connection: psycopg.Connection) -> bool:
    """Whether what goes over the connection's socket is for libpq only to read."""
    return bool(connection.pgconn.ssl_in_use or connection.pgconn.used_gssapi)


NewSession = Callable[[int, Any, Heard], Session]
