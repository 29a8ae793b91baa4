"""Ctrl-C, SIGTERM and a closed terminal end a capture in order: what was read is kept."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether it was asked for."""

    def __init__(self) -> None:
        self.asked = False
        self._waits = False  # for input, which may never come

    def until_asked(self, items: Iterator[T]) -> Iterator[T]:
        """The items until then; what waits for the next one is interrupted."""
        while not self.asked:
            try:
                self._waits = True
                item = next(items)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waits = False
            yield item

    def ask(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle a signal; the second one does not wait."""
        before, self.asked = self.asked, True
        if before or self._waits:
            raise KeyboardInterrupt


@contextmanager
def stopping() -> Iterator[Stop]:
    """Take the signals that would raise KeyboardInterrupt, for the length of the block."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    mine = [one for one in SIGNALS if signal.getsignal(one) is signal.default_int_handler]
    for number in mine:
        signal.signal(number, stop.ask)
    try:
        yield stop
    finally:
        for number in mine:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def unstoppable() -> Iterator[None]:
    """Processes started in the block hear none of the signals: who starts them does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
