"""One Locust process, and our end of the line to it.

Locust patches its process with gevent, so it never runs in ours. The DSN goes by the environment,
never on a command line that others can read.
"""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from replay.errors import EnvironmentFaultError, InputError, RefusedError, ReplayError
from replay.load import channel, options
from replay.load.channel import Channel

log = logging.getLogger(__name__)

_STOP_S = 10.0  # how long it may take to end in order
_TAIL = 2000  # characters of a dead child's log that are shown
_ERRORS: dict[int, type[ReplayError]] = {
    error.exit_code: error for error in (InputError, RefusedError, EnvironmentFaultError)
}


class Child:
    """A Locust that runs a scenario headless with one user, in a session of its own.

    Ctrl-C does not reach it: whoever started it says when to end, or is gone, which it notices.
    """

    def __init__(
        self,
        scenario: Path,
        arguments: Mapping[str, object],
        *,
        dsn: str,
        lock: int,
        cwd: Path,
        log_file: Path,
    ) -> None:
        """Start it; `arguments` are the scenario's options (see options.py), True of a flag.

        It keeps the descriptor `lock` open as long as it lives.
        """
        # The user's own settings for Locust (LOCUST_…, locust.conf where he is) are not for this.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LOCUST_")}
        ours, theirs = socket.socketpair()
        with theirs, log_file.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "locust", "-f", str(scenario)),
                    *("--headless", "--users", "1", "--only-summary", "--loglevel", "WARNING"),
                    *(
                        f"--{name}" if value is True else f"--{name}={value}"
                        for name, value in arguments.items()
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={
                    **environment,
                    "OPENBLAS_NUM_THREADS": "1",  # numpy's threads would wait by spinning
                    options.TARGET: dsn,
                    channel.ENVIRONMENT: str(theirs.fileno()),
                },
                pass_fds=(theirs.fileno(), lock),
                start_new_session=True,
            )
        self._line = Channel(ours)
        self._log_file = log_file
        self._asked = False

    def await_ready(self, deadline: float) -> None:
        """Return once its sessions are open; raise as it says where they are not."""
        try:
            message = self._line.receive(max(deadline - time.monotonic(), 0.001))
        except TimeoutError:
            raise EnvironmentFaultError(
                f"the load generator has not opened its sessions in time; see {self._log_file}"
            ) from None
        if message is None:
            tail = self._log_file.read_text(errors="replace").strip()[-_TAIL:]
            raise EnvironmentFaultError(
                f"the load generator ended before it began: {tail or 'it said nothing'}"
            )
        if message["state"] == "failed":
            raise _ERRORS.get(message["exit_code"], EnvironmentFaultError)(message["message"])

    def begin(self, origin_ns: int) -> None:
        """Tell it the origin."""
        self._line.send({"origin_ns": origin_ns})

    def await_end(self, deadline: float) -> None:
        """Wait for its end; one that hangs is stopped."""
        try:
            self._process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            log.warning("a worker hangs after the end of the load; stopping it")
            self.stop()

    def ask_to_end(self) -> None:
        """Let it cancel, close its sessions and write its report; asking twice would cut that off."""
        if not self._asked and self._process.poll() is None:
            self._process.terminate()
        self._asked = True

    def stop(self) -> None:
        """End it whatever it is doing; nothing happens where it has ended."""
        self.ask_to_end()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._line.close()
