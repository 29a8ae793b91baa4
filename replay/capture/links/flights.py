"""When requests were in flight, and under which ids.

Requests of whole slots of time are held, chosen by a hash: whatever began in such a slot has all of them
that may have run it. These are all slots while there is room, and half of them each time there is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.kernels import Hashes, compiled
from replay.capture.links import ids
from replay.capture.requests.columns import UNTIMED, Requests
from replay.capture.units import NEVER, Priorities, mix, mixed

AT_MOST = 1 << 19  # requests
_SPAN_AT_MOST = 32  # slots of one that are looked at
_S = 1_000_000
_SLOT_US = 4 * _S


@dataclass(slots=True, kw_only=True)
class Flights:
    """Requests by columns."""

    start_us: Ints  # epoch
    end_us: Ints  # below the start: its duration is not known
    route: Ints  # as numbered when it was read
    priority: Priorities
    trace: Hashes  # NO_ID: none
    request_id: Hashes
    rank: Priorities  # the smallest of the slots that it touches

    def __len__(self) -> int:
        """How many."""
        return len(self.start_us)

    def taken(self, places: Ints) -> "Flights":
        """Those at these places."""
        return Flights(**{f.name: getattr(self, f.name)[places] for f in fields(Flights)})


class Sky:
    """Takes requests; `flights` gives those of the chosen slots."""

    def __init__(self) -> None:
        self._parts: list[Flights] = []
        self._held = 0
        self.limit: np.uint64 = NEVER  # slots of a smaller rank are chosen
        self.is_coarse = True  # stamped in whole seconds

    def take(self, found: Requests, routes: Ints, priorities: Priorities) -> None:
        """Take a block's requests."""
        if not len(found):
            return
        is_timed = found.duration_us != UNTIMED
        ends_us = found.at_us + np.where(is_timed, found.duration_us, 0)
        self.is_coarse &= not (ends_us % _S).any() or not (found.at_us % _S).any()
        rank = np.empty(len(found), np.uint64)
        _ranks(found.at_us, ends_us, rank)
        inside = np.flatnonzero(rank < self.limit)
        part = Flights(
            start_us=found.at_us,
            end_us=np.where(is_timed, ends_us, found.at_us - 1),
            route=routes,
            priority=priorities,
            trace=ids.hashes(found.trace),
            request_id=ids.hashes(found.request_id),
            rank=rank,
        ).taken(inside)
        self._parts.append(part)
        self._held += len(part)
        while self._held > AT_MOST and self.limit > 1:
            self.limit = np.uint64(int(self.limit) // 2)
            kept = [part.taken(np.flatnonzero(part.rank < self.limit)) for part in self._parts]
            self._parts = [joined(kept)]
            self._held = len(self._parts[0])

    def flights(self) -> Flights:
        """All that are held, by start."""
        whole = joined(self._parts)
        return whole.taken(np.lexsort((whole.priority, whole.start_us)))

    def is_chosen(self, at_us: Ints) -> np.ndarray:
        """Which moments are of chosen slots."""
        chosen: np.ndarray = ranks_of(at_us) < self.limit
        return chosen

    @property
    def share(self) -> float:
        """Of all slots, those that are chosen."""
        return 1.0 if self.limit == NEVER else int(self.limit) / 2**64


def ranks_of(at_us: Ints) -> Priorities:
    """A number below NEVER for the slot of each moment."""
    return np.minimum(mix((at_us // _SLOT_US).astype(np.uint64)), NEVER - np.uint64(1))


def joined(parts: Sequence[Flights]) -> Flights:
    """Several as one."""
    no_int, no_hash = np.empty(0, np.int64), np.empty(0, np.uint64)
    none = Flights(
        start_us=no_int,
        end_us=no_int,
        route=no_int,
        priority=no_hash,
        trace=no_hash,
        request_id=no_hash,
        rank=no_hash,
    )
    return Flights(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in (none, *parts)])
            for f in fields(Flights)
        }
    )


@compiled
def _ranks(starts_us: Ints, ends_us: Ints, rank: Priorities) -> None:
    """The smallest rank of the slots from a second before each to one behind it."""
    for row in range(rank.size):
        first = (starts_us[row] - _S) // _SLOT_US
        last = min((ends_us[row] + _S) // _SLOT_US, first + _SPAN_AT_MOST)
        least = NEVER - np.uint64(1)
        for slot in range(first, last + 1):
            least = min(least, mixed(np.uint64(slot)))
        rank[row] = least
