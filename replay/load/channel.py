"""How the launcher and a worker talk: lines of JSON over a socket that the worker inherits.

The worker says `{"state": "ready"}` or `{"state": "failed", "exit_code": …, "message": …}`; the
launcher answers with `{"origin_ns": …}`. An end of file in either direction says that the other
side is gone: a worker whose launcher died stops by itself.
"""

import json
import os
import socket
from collections.abc import Mapping
from typing import Any

ENVIRONMENT = "REPLAY_CONTROL_FD"


class Channel:
    """One end of the line."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = b""

    @classmethod
    def inherited(cls) -> "Channel | None":
        """The worker's end, where a launcher started it; None under a bare locust."""
        number = os.environ.get(ENVIRONMENT)
        return None if number is None else cls(socket.socket(fileno=int(number)))

    def send(self, message: Mapping[str, object]) -> None:
        """Say something; raises OSError where nobody is there any more."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """The next message; None where the other side is gone. Raises TimeoutError."""
        self._socket.settimeout(timeout_s)
        while b"\n" not in self._received:
            try:
                part = self._socket.recv(4096)
            except ConnectionError:
                part = b""
            if not part:
                return None
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
