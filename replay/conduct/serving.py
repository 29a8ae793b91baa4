"""A service of ours before a database, for the length of a block: a program that says where it listens."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

from replay.errors import EnvironmentFaultError

DSN = "REPLAY_SERVICE_DSN"
_STOP_S = 10.0


@contextlib.contextmanager
def serving(dsn: str, program: Sequence[str]) -> Iterator[str]:
    """Start a Python program with the DSN in its environment; its URL is the first line that it prints.

    Raises EnvironmentFaultError where it ends before that.
    """
    process = subprocess.Popen(
        [sys.executable, *program],
        env={**os.environ, DSN: dsn},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise EnvironmentFaultError(f"the service did not start: {' '.join(program)}")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
