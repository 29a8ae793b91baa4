"""What carries a session's statements to the server and brings the answers back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from replay.load.shard import Call, Line

READ, WRITE = 1, 2  # libev's EV_READ, EV_WRITE


class Owner(Protocol):
    """The session that is carried."""

    in_transaction: bool  # the server has one open, failed or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Who hears what becomes of statements: callbacks of the event loop, which may not wait."""

    answered: Callable[[Any, bytes, int], None]  # the owner, outcome and rows
    broken: Callable[[Any], None]  # the owner's connection is no more
    trap: Callable[[BaseException], None]  # a fault of this program, which the hub would swallow


class Carrier(Protocol):
    """One connection, driven by the event loop, one statement at a time."""

    def send(self, call: Call, line: Line) -> None:
        """Send one statement; `answered` follows, or `broken`."""

    def prepare_anew(self, name: bytes) -> None:
        """The server no longer takes this prepared statement, as after DDL: drivers prepare again."""

    def close(self) -> None:
        """Stop watching; the connection stays to be closed."""
