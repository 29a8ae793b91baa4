"""When requests were in flight, and under which ids.

Requests of whole slots of time are held, chosen by a hash: whatever began in such a slot has all of them
that may have run it. These are all slots while there is room, and half of them each time there is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.kernels import Hashes, Number, compiled
from replay.capture.links import ids
from replay.capture.priority import NEVER, Priorities, mix, mixed
from replay.capture.requests.columns import UNTIMED, Requests

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
    worded: Hashes  # of its path with every word in it
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

    def take(self, found: Requests, routes: Ints, worded: Hashes, priorities: Priorities) -> None:
        """Take a block's requests."""
        if not len(found):
            return
        rank = np.empty(len(found), np.uint64)
        inside, ends_us = (np.empty(len(found), np.int64) for _ in range(2))
        count, are_fine = _flown(found.at_us, found.duration_us, self.limit, rank, inside, ends_us)
        self.is_coarse &= not are_fine
        inside = inside[:count]
        part = Flights(
            start_us=found.at_us[inside],
            end_us=ends_us[inside],
            route=routes[inside],
            priority=priorities[inside],
            trace=ids.hashes(found.trace.only(inside)),
            request_id=ids.hashes(found.request_id.only(inside)),
            worded=worded[inside],
            rank=rank[inside],
        )
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
        worded=no_hash,
        rank=no_hash,
    )
    return Flights(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in (none, *parts)])
            for f in fields(Flights)
        }
    )


@compiled
def _flown(
    starts_us: Ints,
    took_us: Ints,
    limit: np.uint64,
    rank: Priorities,
    inside: Ints,
    ends_us: Ints,
) -> tuple[Number, bool]:
    """How many are of chosen slots, and whether stamps are finer than a second.

    A rank is the smallest of the slots from a second before each to one behind it.
    """
    count, slot, least = 0, np.int64(-1), NEVER
    fine_begins, fine_ends = False, False
    for row in range(starts_us.size):
        took = max(took_us[row], np.int64(0))
        end_us = starts_us[row] + took
        fine_begins = fine_begins or starts_us[row] % _S != 0
        fine_ends = fine_ends or end_us % _S != 0
        first = (starts_us[row] - _S) // _SLOT_US
        last = min((end_us + _S) // _SLOT_US, first + _SPAN_AT_MOST)
        if first != slot or last != first:
            least = NEVER - np.uint64(1)
            for one in range(first, last + 1):
                least = min(least, mixed(np.uint64(one)))
            slot = first if last == first else np.int64(-1)
        rank[row] = least
        ends_us[row] = starts_us[row] - 1 if took_us[row] == UNTIMED else end_us
        if least < limit:
            inside[count] = row
            count += 1
    return count, fine_begins and fine_ends
