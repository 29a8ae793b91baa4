"""Who waited for whom while a migration ran, by samples of the server, and for how long.

A wait is seen in samples; where it ended between two of them is told by the attempt that the waiting
session was at (joined by backend pid and time).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.conduct.during import Ran
from replay.migration import Blocked, MigrationStatement, Waited

_PERIOD_US = 100_000  # of the sampler
_TIMES = ("pid", "began_us", "ended_us")
_TIME_BITS = 40  # of a moment, µs since the origin: twelve days
_Key = tuple[str, str, str, str]  # template, lock, relation, state


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """One session's wait behind one other, µs since the origin."""

    waiter: int
    blocker: int
    waiter_template: str
    blocker_template: str
    blocker_state: str
    lock: str
    relation: str
    began_us: int
    seen_us: int  # by the first sample
    ended_us: int

    @property
    def seconds(self) -> float:
        """How long it was."""
        return max(self.ended_us - self.began_us, 0) / 1e6


def with_waits(
    statements: Sequence[MigrationStatement],
    ran: Sequence[Ran],
    blocking: pa.Table,
    attempts: Iterable[pa.Table],
    t0_ns: int,
) -> Iterator[MigrationStatement]:
    """Each statement with what it waited for and whom it blocked; `blocking`, `attempts`: rundir's.

    A wait goes to the statement after whose beginning it was first seen: locks outlive theirs.
    """
    pids = pa.array({one.pid for one in ran}, pa.int32())
    behind = blocking.filter(
        pc.or_(pc.is_in(blocking["waiter"], pids), pc.is_in(blocking["blocker"], pids))
    )
    seen = list(_waits(behind))
    waits = [
        _until_its_end(wait, end_us)
        for wait, end_us in zip(seen, _ends(attempts, seen, ran, t0_ns), strict=True)
    ]
    for number, (statement, one) in enumerate(zip(statements, ran, strict=True)):
        rest = statements[number + 1 :]
        until_s = rest[0].began_s if rest and rest[0].round == statement.round else np.inf
        first = number == 0 or statements[number - 1].round != statement.round
        since_s = -np.inf if first else statement.began_s
        mine = [w for w in waits if since_s <= w.seen_us / 1e6 < until_s]
        own = [w for w in mine if w.waiter == one.pid]
        blocked = _blocked(w for w in mine if w.blocker == one.pid)
        yield replace(
            statement,
            waited=_waited(own),
            waited_s=round(_together_s(own), 3),
            blocked=blocked,
            blocked_s=round(sum(group.seconds for group in blocked), 3),
        )


def _ends(
    attempts: Iterable[pa.Table], waits: Sequence[_Wait], ran: Sequence[Ran], t0_ns: int
) -> list[int]:
    """Of each wait: when the statement ended that its session was at last, µs; -1: none is known."""
    waiters = np.array([wait.waiter for wait in waits], dtype=np.int64)
    asked = (waiters << _TIME_BITS) + np.array([wait.ended_us for wait in waits], dtype=np.int64)
    found = np.full((2, len(waits)), -1, dtype=np.int64)  # began, ended
    for pid, began_us, ended_us in _sent(attempts, ran, t0_ns):
        keys = (pid << _TIME_BITS) + began_us
        order = np.argsort(keys)
        place = np.searchsorted(keys, asked, side="right", sorter=order) - 1
        at = order[place]
        later = (place >= 0) & (pid[at] == waiters) & (began_us[at] > found[0])
        found[:, later] = began_us[at[later]], ended_us[at[later]]
    ends_us: list[int] = found[1].tolist()
    return ends_us


def _sent(
    attempts: Iterable[pa.Table], ran: Sequence[Ran], t0_ns: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """pid, began and ended, µs since the origin, of what was sent: the migration's, then the load's."""
    if ran:
        yield (
            np.array([one.pid for one in ran], dtype=np.int64),
            np.array([(one.began_ns - t0_ns) // 1000 for one in ran], dtype=np.int64),
            np.array([(one.ended_ns - t0_ns) // 1000 for one in ran], dtype=np.int64),
        )
    for block in attempts:
        pid, began_us, ended_us = (block[name].to_numpy().astype(np.int64) for name in _TIMES)
        sent = began_us >= 0
        if sent.any():
            yield pid[sent], began_us[sent], ended_us[sent]


def _waits(blocking: pa.Table) -> Iterator[_Wait]:
    """The waits that the sampled edges are of: one as long as it began before its last sample."""
    open_waits: dict[tuple[int, int], _Wait] = {}
    for row in blocking.sort_by("at_us").to_pylist():
        key = (row["waiter"], row["blocker"])
        at_us = row["at_us"]
        before = open_waits.get(key)
        began_us = at_us - (row["wait_us"] or _PERIOD_US // 2)
        if before is not None and began_us <= before.ended_us:
            open_waits[key] = replace(before, ended_us=at_us)
            continue
        if before is not None:
            yield before
        open_waits[key] = _Wait(
            waiter=row["waiter"],
            blocker=row["blocker"],
            waiter_template=row["waiter_template"],
            blocker_template=row["blocker_template"],
            blocker_state=row["blocker_state"],
            lock=f"{row['lock_type']} {row['mode']}".strip(),
            relation=row["relation"],
            began_us=began_us,
            seen_us=at_us,
            ended_us=at_us,
        )
    yield from open_waits.values()


def _until_its_end(wait: _Wait, statement_us: int) -> _Wait:
    """It ended before the next sample, and not after the statement that waited."""
    end_us = wait.ended_us + _PERIOD_US
    if statement_us >= wait.ended_us:
        end_us = min(end_us, statement_us)
    return replace(wait, ended_us=end_us)


def _waited(waits: Iterable[_Wait]) -> tuple[Waited, ...]:
    """By who was in the way, the longest first."""
    groups: dict[_Key, list[_Wait]] = defaultdict(list)
    for wait in waits:
        groups[wait.blocker_template, wait.lock, wait.relation, wait.blocker_state].append(wait)
    found = [
        Waited(
            lock=lock,
            relation=relation,
            blocker=blocker,
            blocker_state=state,
            seconds=round(_together_s(group), 3),
        )
        for (blocker, lock, relation, state), group in groups.items()
    ]
    return tuple(sorted(found, key=lambda waited: -waited.seconds))


def _together_s(waits: Iterable[_Wait]) -> float:
    """Seconds in which at least one of the waits was going on."""
    total_us, until_us = 0, -(1 << 62)
    for wait in sorted(waits, key=lambda wait: wait.began_us):
        total_us += max(wait.ended_us - max(wait.began_us, until_us), 0)
        until_us = max(until_us, wait.ended_us)
    return total_us / 1e6


def _blocked(waits: Iterable[_Wait]) -> tuple[Blocked, ...]:
    """By whose statements they were, what cost most first."""
    groups: dict[tuple[str, str, str], list[_Wait]] = defaultdict(list)
    for wait in waits:
        groups[wait.waiter_template, wait.lock, wait.relation].append(wait)
    found = [
        Blocked(
            template=template,
            lock=lock,
            relation=relation,
            sessions=len({wait.waiter for wait in group}),
            seconds=round(sum(wait.seconds for wait in group), 3),
            longest_s=round(max(wait.seconds for wait in group), 3),
        )
        for (template, lock, relation), group in groups.items()
    ]
    return tuple(sorted(found, key=lambda blocked: -blocked.seconds))
