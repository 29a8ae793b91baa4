"""Watch the counters of production for a while: two snapshots, and the time between them."""

import time
from dataclasses import replace

from replay.capture import snapshot
from replay.capture.snapshot import Window


def follow(dsn: str, seconds: float) -> Window:
    """What pg_stat_statements counts from now on for so long; Ctrl-C ends the wait, not the window.

    No connection is open meanwhile. Raises what `snapshot.take` and `snapshot.between` raise.
    """
    first = snapshot.take(dsn)
    began = time.monotonic()
    stopped = False
    try:
        time.sleep(seconds)
    except KeyboardInterrupt:
        stopped = True
    took_s = time.monotonic() - began
    window = snapshot.between(first, snapshot.take(dsn))
    if not stopped:
        return window
    note = f"the window was ended after {took_s:.0f} s of {seconds:g}"
    return replace(window, notes=(*window.notes, note))
