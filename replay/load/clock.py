"""An alarm at an absolute CLOCK_MONOTONIC time, watched by the event loop.

libev rounds its timers up to whole milliseconds. A timerfd is exact to some tens of microseconds:
`os.timerfd_create` from Python 3.13, the C library's before that. Where the system has none
(macOS) the loop's own timer has to do.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, Protocol

_TFD_TIMER_ABSTIME = 1
_CLOCK_MONOTONIC = 1
_PR_SET_TIMERSLACK = 29
_READ = 1  # libev's EV_READ
_SECOND_NS = 1_000_000_000


class Alarm(Protocol):
    """One alarm; arming it again forgets the time before."""

    def arm(self, at_ns: int) -> None:
        """Call back at this time, at once where it has passed."""

    def disarm(self) -> None:
        """Call back no more."""

    def close(self) -> None:
        """Give the alarm up for good."""


def open_alarm(loop: Any, callback: Callable[[], None]) -> Alarm:
    """The most exact alarm that this system has, on a gevent event loop."""
    timer = open_timer()
    return _LoopTimer(loop, callback) if timer is None else _TimerFd(loop, callback, timer)


class Timer(Protocol):
    """A timerfd."""

    fd: int

    def set(self, at_ns: int) -> None:
        """Expire at this time, at once where it has passed; 0: never."""


def open_timer() -> Timer | None:
    """A timerfd that nobody watches yet; None where the system has none."""
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "prctl"):
        library.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)  # the default slack is 50 µs
    if sys.platform == "linux" and sys.version_info >= (3, 13):
        return _OsTimer()
    if hasattr(library, "timerfd_create"):
        return _LibraryTimer(library)
    return None


class _TimerFd:
    """A timerfd under a read watcher of the highest priority.

    Setting the time, or taking it away, clears what has expired, so that the descriptor is never
    read: the callback must arm or disarm.
    """

    def __init__(self, loop: Any, callback: Callable[[], None], timer: Timer) -> None:
        self._timer = timer
        self._watcher = loop.io(timer.fd, _READ, priority=loop.MAXPRI)
        self._watcher.start(callback)

    def arm(self, at_ns: int) -> None:
        self._timer.set(at_ns)

    def disarm(self) -> None:
        self._timer.set(0)

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        os.close(self._timer.fd)


if sys.platform == "linux" and sys.version_info >= (3, 13):

    class _OsTimer:
        """Python's own timerfd."""

        def __init__(self) -> None:
            flags = os.TFD_NONBLOCK | os.TFD_CLOEXEC
            self.fd = os.timerfd_create(_CLOCK_MONOTONIC, flags=flags)

        def set(self, at_ns: int) -> None:
            os.timerfd_settime_ns(self.fd, flags=_TFD_TIMER_ABSTIME, initial=at_ns)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class _LibraryTimer:
    """The C library's timerfd."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.fd = library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._settime = library.timerfd_settime
        self._spec = _Itimerspec()
        self._address = ctypes.byref(self._spec)

    def set(self, at_ns: int) -> None:
        value = self._spec.value
        value.seconds, value.nanoseconds = divmod(at_ns, _SECOND_NS)
        self._settime(self.fd, _TFD_TIMER_ABSTIME, self._address, None)


class _LoopTimer:
    """The event loop's timer, where there is no timerfd: late by up to a millisecond."""

    def __init__(self, loop: Any, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._timer: Any = None

    def arm(self, at_ns: int) -> None:
        self.disarm()
        self._loop.update_now()
        delay_s = max(at_ns - monotonic_ns(), 0) / _SECOND_NS
        self._timer = self._loop.timer(delay_s, priority=self._loop.MAXPRI)
        self._timer.start(self._callback)

    def disarm(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def close(self) -> None:
        self.disarm()
