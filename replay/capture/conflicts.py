"""Production's contention, counted: observations of single records into `workload.Conflict`s.

All counts are exact, and conflicts of several files or processes merge into those of the whole in
any order. Distinct conflicts are bounded: of more than `limit`, those of the smallest hashes stay,
which no order can change, and the rest is counted by kind alone.
"""

import hashlib
import heapq
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from replay.capture.contention import Observation
from replay.sql.scanner import scan
from replay.sql.text import joined
from replay.workload import Conflict

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 253_402_300_799_999_999  # end of the year 9999: a broken stamp may name a later one
_HASHES = 2**64


class Key(NamedTuple):
    """What makes two observations one conflict; names as in `workload.Conflict`."""

    kind: str
    template: str = ""
    peers: tuple[str, ...] = ()  # ids, as the log tells them
    lock: str = ""
    on: str = ""
    relation: str = ""


@dataclass(frozen=True, slots=True)
class Sums:
    """What is known of one conflict; they add up in any order."""

    count: int
    total_us: int
    longest_us: int
    most_queued: int
    first_us: int
    last_us: int

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.count + other.count,
            self.total_us + other.total_us,
            max(self.longest_us, other.longest_us),
            max(self.most_queued, other.most_queued),
            min(self.first_us, other.first_us),
            max(self.last_us, other.last_us),
        )


class Conflicts:
    """Takes observations in any order; `told` gives the conflicts. Can be pickled."""

    def __init__(self, *, limit: int = 4096) -> None:
        self._limit = limit
        self.sums: dict[Key, Sums] = {}
        self.rest: dict[Key, Sums] = {}  # keys of nothing but a kind
        self.texts: dict[str, str] = {}  # of peers whose text may have been cut off, by id
        self.beyond = 0  # observations that are counted by their kind alone, for want of room
        self._largest: list[tuple[int, Key]] = []  # heap of the keys' negated hashes
        self.bound = _HASHES  # a key whose hash is not below it has no room

    @classmethod
    def of(cls, conflicts: Iterable[Conflict]) -> "Conflicts":
        """What told these."""
        found = cls()
        for one in conflicts:
            found.texts |= {
                peer: sql for peer, sql in zip(one.told, one.told_sql, strict=True) if sql
            }
            key = Key(one.kind, one.template, one.told, one.lock, one.on, one.relation)
            found._count(key, _sums(one))
        found._evict()
        return found

    def take(self, seen: Observation) -> None:
        """Count an observation."""
        peers = tuple(sorted({peer.template for peer in seen.peers}))
        self.texts |= {peer.template: peer.begins for peer in seen.peers if peer.begins}
        key = Key(seen.kind, seen.template, peers, seen.lock, seen.on, seen.relation)
        once = Sums(1, seen.waited_us, seen.waited_us, seen.queued, seen.at_us, seen.at_us)
        self._count(key, once)
        self._evict()

    def merge(self, other: "Conflicts") -> None:
        """Take all that another took; it must have the same limit."""
        for key, sums in other.rest.items():
            _gather(self.rest, key, sums)
        self.texts |= other.texts
        self.beyond += other.beyond
        self.bound = min(self.bound, other.bound)
        for key, sums in other.sums.items():
            self._count(key, sums)
        self._evict()

    def told(self, templates: Mapping[str, str]) -> tuple[Conflict, ...]:
        """All conflicts, most frequent first.

        `templates` gives the SQL of every template by id. A peer's text in the log ends at
        track_activity_query_size: one that is no template is taken for the only one that begins so.
        """
        cut = {
            peer: self.texts[peer]
            for key in self.sums
            for peer in key.peers
            if peer in self.texts and peer not in templates
        }
        whole = _whole(cut, templates)
        sums = (*self.sums.items(), *self.rest.items())
        ranked = sorted(sums, key=lambda item: (-item[1].count, item[0]))
        return tuple(_conflict(key, counted, cut, whole) for key, counted in ranked)

    def _count(self, key: Key, sums: Sums) -> None:
        if key == Key(key.kind):  # needs no room
            _gather(self.rest, key, sums)
            return
        if key not in self.sums:
            number = _hash(key)
            if number >= self.bound:
                self._count_beyond(key, sums)
                return
            heapq.heappush(self._largest, (-number, key))
        _gather(self.sums, key, sums)

    def _evict(self) -> None:
        """Move what has no room to the rest: a key that is refused once is refused for good."""
        largest = self._largest
        while largest and (len(largest) > self._limit or -largest[0][0] >= self.bound):
            number, key = heapq.heappop(largest)
            self.bound = min(self.bound, -number)
            self._count_beyond(key, self.sums.pop(key))

    def _count_beyond(self, key: Key, sums: Sums) -> None:
        _gather(self.rest, Key(key.kind), sums)
        self.beyond += sums.count


def _gather(sums: dict[Key, Sums], key: Key, more: Sums) -> None:
    before = sums.get(key)
    sums[key] = before + more if before else more


def _hash(key: Key) -> int:
    digest = hashlib.blake2b("\0".join(map(str, key)).encode("utf-8", "replace"), digest_size=8)
    return int.from_bytes(digest.digest())


def _whole(cut: Mapping[str, str], templates: Mapping[str, str]) -> dict[str, str]:
    """The template of each peer whose text was cut off, where just one begins with that text."""
    if not cut:
        return {}
    ranked = sorted((sql, name) for name, sql in templates.items())
    found: dict[str, str] = {}
    for peer, sql in cut.items():
        # The last word may be half of one.
        begins = joined(scan(sql)[:-1])
        at = bisect_left(ranked, (begins,))
        like = [name for text, name in ranked[at : at + 2] if text.startswith(begins)]
        if len(like) == 1:
            found[peer] = like[0]
    return found


def _conflict(key: Key, sums: Sums, cut: Mapping[str, str], whole: Mapping[str, str]) -> Conflict:
    return Conflict(
        kind=key.kind,
        template=key.template,
        peers=tuple(sorted({whole.get(peer, peer) for peer in key.peers})),
        lock=key.lock,
        on=key.on,
        relation=key.relation,
        count=sums.count,
        total_ms=sums.total_us / 1000,
        longest_ms=sums.longest_us / 1000,
        most_queued=sums.most_queued,
        first_seen=_moment(sums.first_us),
        last_seen=_moment(sums.last_us),
        told=key.peers,
        told_sql=tuple(cut.get(peer, "") for peer in key.peers),
    )


def _sums(of: Conflict) -> Sums:
    return Sums(
        count=of.count,
        total_us=round(of.total_ms * 1000),
        longest_us=round(of.longest_ms * 1000),
        most_queued=of.most_queued,
        first_us=epoch_us(of.first_seen),
        last_us=epoch_us(of.last_seen),
    )


def epoch_us(moment: datetime) -> int:
    """Exact epoch µs of an aware datetime."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=min(max(at_us, 0), _LAST_US))
