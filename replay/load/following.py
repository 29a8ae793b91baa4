"""What workers record becomes Parquet while they run, in a process of its own that yields to any other.

It is no thread of theirs or of whoever watches the server: those are never to wait for it. It may be
killed at any time; what it has not written is written at the end of the load. Where whoever started
it is killed, it writes what there is, and ends.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from replay import rundir

_PROGRAM = "replay.load.follower"
_NICE = 19


class Following:
    """The process, from whoever starts it, over a `with` block."""

    def __init__(
        self,
        shards: Path,
        records: Path,
        run: Path,
        workers: Collection[int],
        lock: int | None = None,
    ) -> None:
        """It is for these workers, and keeps the descriptor `lock` open as long as it lives.

        Attempts of an earlier load are removed from the run.
        """
        rundir.clear_attempts(run)
        theirs, self._ours = os.pipe()
        directories = [str(path.absolute()) for path in (shards, records, run)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _PROGRAM, *directories, *map(str, workers)],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                cwd=records,
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                    "ARROW_DEFAULT_MEMORY_POOL": "system",  # its own keeps what it is given back
                },
                pass_fds=() if lock is None else (lock,),
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)  # before it has loaded anything

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def begin(self, origin_ns: int) -> None:
        """Tell it the origin (CLOCK_MONOTONIC ns); it needs no more."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._ours, b"%d" % origin_ns)
