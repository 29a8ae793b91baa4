"""A small queueing model that plays the pool of connections in made runs.

Waits, latencies and locks fit together as they do in a real storm: one rare read scans, one rare
update holds a counter's row while it scans.
"""

import heapq
import random
from dataclasses import dataclass, field

import pyarrow as pa
from made_incident import CALLBACK, MEAN_MS, RARE, RELEASE, UNITS, UPDATE_COUNTER, WINDOW_S

from replay import outcome, runtables

_GIVEN_UP_US = 5_000_000
_TICK_US = 100_000
_SCANS = {CALLBACK, RELEASE}


@dataclass(frozen=True)
class Sent:
    """A statement on its way through the server."""

    began: int
    ended: int
    template: str
    pid: int


@dataclass
class Storm:
    """Rows of a run's tables, in the order of their schemas."""

    rng: random.Random
    indexed: bool
    attempts: list[tuple] = field(default_factory=list)
    samples: list[tuple] = field(default_factory=list)
    blocking: list[tuple] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def table(self, name: str) -> pa.Table:
        """One of runtables.TABLES."""
        schema = runtables.TABLES[name]
        rows = [dict(zip(schema.names, row, strict=True)) for row in getattr(self, name)]
        return pa.Table.from_pylist(rows, schema)


def play(boost: float, *, indexed: bool, duration_s: float, pool: int) -> Storm:
    """Arrivals through a pool of connections: first come, first served, given up after 5 s."""
    storm = Storm(random.Random(f"{boost} {indexed}"), indexed)
    free = [(0, slot) for slot in range(pool)]
    for arrival, (due, unit) in enumerate(_arrivals(storm.rng, boost, duration_s)):
        at, slot = heapq.heappop(free)
        if at > due + _GIVEN_UP_US:
            _give_up(storm, arrival, due, unit[0])
        else:
            at = _serve(storm, arrival, due, at, slot, unit)
        heapq.heappush(free, (at, slot))
    for at in range(0, max(one.ended for one in storm.sent), _TICK_US):
        _look(storm, at, held=boost > 10 and not indexed)
    return storm


def _arrivals(
    rng: random.Random, boost: float, duration_s: float
) -> list[tuple[int, tuple[str, ...]]]:
    found = []
    for unit, calls in UNITS:
        rate = calls / WINDOW_S * (boost if set(unit) & RARE else 1.0)
        at = 0.0
        while (at := at + rng.expovariate(rate)) < duration_s:
            found.append((int(at * 1e6), unit))
    return sorted(found)


def _serve(
    storm: Storm, arrival: int, due: int, free_at: int, slot: int, unit: tuple[str, ...]
) -> int:
    lag = storm.rng.randrange(20, 120)
    began = max(free_at, due) + lag
    at_work = [one for one in storm.sent[-200:] if one.ended > began]
    scans = sum(1 for one in at_work if one.template in _SCANS)
    for ordinal, name in enumerate(unit):
        ended = began + _cost_us(storm, name, scans)
        times = (due, began, ended, 0 if ordinal else lag)
        storm.attempts.append((arrival, ordinal, name, slot, 0, 4000 + slot, *times, outcome.OK, 1))
        storm.sent.append(Sent(began, ended, name, 4000 + slot))
        due = began = ended + 150
    return ended


def _give_up(storm: Storm, arrival: int, due: int, template: str) -> None:
    times = (due, -1, due + _GIVEN_UP_US, 0)
    storm.attempts.append((arrival, 0, template, -1, 0, 0, *times, outcome.SKIPPED_POOL, -1))


def _cost_us(storm: Storm, name: str, scans: int) -> int:
    mean = MEAN_MS[name] * (1 + scans / 2)
    if storm.indexed and name in _SCANS:
        mean = 0.6
    waits = storm.rng.random() * 260 * scans if name == UPDATE_COUNTER and scans > 3 else 0.0
    return int((mean * storm.rng.lognormvariate(0, 0.35) + waits) * 1000) + 40


def _look(storm: Storm, at: int, *, held: bool) -> None:
    """One sample: who is at work, and who waits behind the first that holds a counter's row."""
    now = [one for one in storm.sent if one.began <= at < one.ended]
    holders = [one for one in now if one.template == RELEASE]
    waiters = [one for one in now if one.template == UPDATE_COUNTER] if held and holders else []
    for one in now:
        wait = _wait(storm.rng, one.template, waiting=one in waiters)
        age = at - one.began
        storm.samples.append((at, one.pid, "active", *wait, one.template, age, age, "", -1))
    for place, one in enumerate(waiters):
        # The first waits for the holder's transaction, the next for their turn at the row.
        ahead = waiters[0] if place else holders[0]
        lock = ("tuple", "ExclusiveLock") if place else ("transactionid", "ShareLock")
        pair = (one.pid, ahead.pid, one.template, ahead.template)
        storm.blocking.append(
            (at, *pair, "active", *lock, "public.project_counters", at - one.began, "", "", "")
        )


def _wait(rng: random.Random, name: str, *, waiting: bool) -> tuple[str, str]:
    if waiting:
        return "Lock", "transactionid" if rng.random() < 0.6 else "tuple"
    if name in RARE and rng.random() < 0.3:
        return "IO", "DataFileRead"
    if name in RARE and rng.random() < 0.08:
        return "LWLock", "BufferMapping"
    return "", ""
