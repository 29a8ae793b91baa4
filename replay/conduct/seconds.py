"""Requests of a log whose stamps are whole seconds, for a recording: spread over their second.

As they stand, a second's requests would all come at its first instant, and wait for one another as they never
did. Their order is the log's.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from replay.requests import Request

_S = 1_000_000  # µs
_FEW = 10  # requests, that may all have come at a whole second by chance


def spread(requests: Sequence[Request]) -> tuple[Request, ...]:
    """The requests, in order of begin, at even distances within the second that each is stamped with."""
    begun, ended = (
        [one.start_us + took for one, took in zip(requests, of, strict=True)]
        for of in ([0] * len(requests), [max(one.duration_us, 0) for one in requests])
    )
    stamps = next((us for us in (begun, ended) if len({one % _S for one in us}) == 1), None)
    if stamps is None or len(requests) < _FEW:
        return tuple(requests)
    of_second, passed = Counter(stamps), Counter[int]()
    moved = []
    for one, stamp in zip(requests, stamps, strict=True):
        later_us = passed[stamp] * _S // of_second[stamp]
        passed[stamp] += 1
        moved.append(replace(one, start_us=one.start_us + later_us))
    return tuple(sorted(moved, key=lambda one: one.start_us))
