"""Connections of captured sessions in a recording: one each, and one more for what ran beside it.

A browser asks for several things at once, and behind one address and agent may be a whole service. What
overlapped in production must not wait for one another when it is replayed.
"""

from collections import defaultdict
from collections.abc import Iterable

from replay.requests import Request

_FINE_US = 2_000  # begins and ends are stamped in milliseconds, as a rule


def lanes(requests: Iterable[Request]) -> dict[int, int]:
    """The connection of each request (by id) among its session's, from 0: the first that was free.

    `requests` are in order of begin; one of unknown duration is over at once.
    """
    free: dict[str, list[int]] = defaultdict(list)  # by session: from when on each is free
    found = {}
    for one in requests:
        since = free[one.session]
        lane = next((n for n, us in enumerate(since) if us - _FINE_US <= one.start_us), len(since))
        if lane == len(since):
            since.append(0)
        since[lane] = one.start_us + max(one.duration_us, 0)
        found[one.id] = lane
    return found
