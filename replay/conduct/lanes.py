"""Connections of captured sessions in a recording: one each, and one more for what ran beside it.

A browser asks for several things at once, and behind one address and agent may be a whole service. What
overlapped in production must not wait for one another when it is replayed, and neither must what may have.
"""

from collections import defaultdict
from collections.abc import Iterable

from replay.requests import Request

_UNTOLD_US = 500_000  # that a request may have taken, of which the log tells no duration
_FINE_US = 2_000  # begins and ends are stamped in milliseconds, as a rule


def lanes(requests: Iterable[Request]) -> dict[int, int]:
    """The connection of each request (by id) among its session's, from 0: the first that was free.

    `requests` are in order of begin.
    """
    free: dict[str, list[int]] = defaultdict(list)  # by session: from when on each is free
    found = {}
    for one in requests:
        since = free[one.session]
        lane = next((n for n, us in enumerate(since) if us - _FINE_US <= one.start_us), len(since))
        if lane == len(since):
            since.append(0)
        since[lane] = one.start_us + (one.duration_us if one.duration_us >= 0 else _UNTOLD_US)
        found[one.id] = lane
    return found
