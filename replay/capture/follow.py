"""Watch production for a while: two snapshots of its counters, and a look a second in between."""

import time
from dataclasses import replace

from replay.capture import snapshot
from replay.capture.activity import Watched
from replay.capture.snapshot import Window


def follow(dsn: str, seconds: float) -> Window:
    """What pg_stat_statements counts, and sessions are at, from now on for so long.

    Ctrl-C ends the wait, not the window. One read-only connection is open meanwhile. Raises what
    `snapshot.take` and `snapshot.between` raise.
    """
    first = snapshot.take(dsn)
    began = time.monotonic()
    stopped = False
    watched = Watched()
    try:
        watched.until(dsn, began + seconds)
    except KeyboardInterrupt:
        stopped = True
    took_s = time.monotonic() - began
    window = snapshot.between(first, snapshot.take(dsn))
    notes = [f"production's sessions were looked at {watched.looks} times"] if watched.looks else []
    if stopped:
        notes.append(f"the window was ended after {took_s:.0f} s of {seconds:g}")
    return replace(window, notes=(*window.notes, *notes), activity=watched.told())
