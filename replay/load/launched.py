"""What a worker and the launcher that started it say to one another, as the worker does it."""

import logging
import threading
from collections.abc import Callable

from replay.errors import ReplayError
from replay.load.channel import Channel
from replay.load.merging import Share

log = logging.getLogger(__name__)


def await_origin(channel: Channel, stop: Callable[[], None]) -> int | None:
    """Say that all sessions are open, and wait for the origin (CLOCK_MONOTONIC ns); None: it is gone.

    `stop` is called where the launcher hangs up later.
    """
    channel.send({"state": "ready"})
    message = channel.receive()
    threading.Thread(target=_stop_at_hangup, args=(channel, stop), daemon=True).start()
    return None if message is None else int(message["origin_ns"])


def _stop_at_hangup(channel: Channel, stop: Callable[[], None]) -> None:
    while channel.receive() is not None:
        pass
    stop()


def tell_failed(error: Exception, channel: Channel | None) -> Share:
    """Say what went wrong, to the launcher too, where there is one."""
    if isinstance(error, ReplayError):
        log.error("%s", error)
        code, message = error.exit_code, str(error)
    else:
        log.error("the worker failed", exc_info=error)
        code, message = ReplayError.exit_code, f"{type(error).__name__}: {error}"
    if channel is not None:
        try:
            channel.send({"state": "failed", "exit_code": code, "message": message})
        except OSError:
            log.warning("the launcher is gone")
    return Share(exit_code=code, error=message)
