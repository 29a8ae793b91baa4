"""Processes made of this one, which hold what it holds: they take work over, and end when their pipe does.

They are forks, so that they start at once, share this one's memory and need nothing sent to them
twice. This process lives in one thread as far as theirs is concerned: what others of it hold, the
progress bar's for example, no helper touches.
"""

import atexit
import gc
import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from replay.capture.stopping import unstoppable
from replay.errors import EnvironmentFaultError

Work = Callable[[int, Connection], None]
"""What a helper does, told its number and its end of the pipe, until that is at its end."""


@dataclass(frozen=True, slots=True)
class Helper:
    """One of them, from outside."""

    process: BaseProcess
    pipe: Connection

    def send(self, what: Any) -> None:
        """Tell it something."""
        try:
            self.pipe.send(what)
        except OSError as error:
            raise self._lost() from error

    def receive(self) -> Any:
        """What it says next."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error

    def _lost(self) -> EnvironmentFaultError:
        self.process.join(1)
        return EnvironmentFaultError(
            f"a process that helps to read the log ended (exit code {self.process.exitcode}), for want "
            "of memory perhaps; capture again with --jobs 1"
        )


@contextmanager
def helpers(count: int, work: Work) -> Iterator[Sequence[Helper]]:
    """So many helpers, for the length of the block; Ctrl-C is for this process to hear."""
    context = multiprocessing.get_context("fork")
    started: list[Helper] = []
    end = partial(_end, started)
    atexit.register(end)  # for a block that the end of the program finds open
    try:
        for number in range(count):
            ours, theirs = context.Pipe()
            others = [ours, *(helper.pipe for helper in started)]
            process = context.Process(
                target=_begin, args=(work, number, theirs, others), daemon=True
            )
            with unstoppable(), warnings.catch_warnings():
                # Python warns of other threads' locks: see above.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            started.append(Helper(process, ours))
        yield started
    finally:
        atexit.unregister(end)
        end()


def _end(started: Sequence[Helper]) -> None:
    """Let them end by themselves, which takes a while: who starts or ends processes later reaps them."""
    for helper in started:
        helper.pipe.close()


def _begin(work: Work, number: int, pipe: Connection, others: Sequence[Connection]) -> None:
    for other in others:  # held open here, no pipe would end with the first process
        other.close()
    gc.enable()  # the first process collects by hand
    try:
        work(number, pipe)
    except (EOFError, OSError):
        return
