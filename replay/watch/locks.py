"""From what one sample saw to its blocking edges: one per waiting session and blocker."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

PREPARED = "prepared"  # state of blocker 0: a prepared transaction, which has no session


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One backend in one sample; a parallel worker stands under its leader's pid."""

    pid: int
    state: str  # pg_stat_activity's, or the backend's type where it has none
    template: str  # "" for a session that is not ours
    transaction_age_us: int
    blockers: Sequence[int]  # as pg_blocking_pids has them: repeated, soft ones too
    lock_type: str
    mode: str
    relation: str  # of the row, where the waiter holds its tuple lock
    wait_us: int  # 0 where the server does not know yet
    key: str = ""  # the row's place, the advisory lock's number, or the object
    text: str = ""  # how its statement begins, where the session is none of the replay's


def edges(backends: Sequence[Seen]) -> Iterator[tuple[Seen, int, Seen | None]]:
    """(waiter, blocker's pid, blocker) of a sample; blocker None: it was not seen.

    Sessions that queue for one row wait on its tuple lock, held by the first of them, who waits on
    the transaction that changed the row. They all wait for that transaction, and are told so.
    """
    by_pid = {seen.pid: seen for seen in backends}
    waiting = {seen.pid: seen for seen in backends if seen.blockers}
    for waiter in waiting.values():
        for blocker in sorted(_holders(waiter, waiting)):
            yield waiter, blocker, by_pid.get(blocker)


def _holders(waiter: Seen, waiting: Mapping[int, Seen]) -> set[int]:
    """Who holds what the waiter is after, past those that only stand before it in a row's queue."""
    holders: set[int] = set()
    passed = {waiter.pid}
    ahead = [(waiter, pid) for pid in waiter.blockers]
    while ahead:
        behind, pid = ahead.pop()
        if pid in passed:
            continue
        blocker = waiting.get(pid)
        if behind.lock_type == "tuple" and blocker is not None and _same_queue(behind, blocker):
            passed.add(pid)
            ahead += [(blocker, further) for further in blocker.blockers]
        else:
            holders.add(pid)
    return holders


def _same_queue(behind: Seen, blocker: Seen) -> bool:
    return blocker.lock_type in {"tuple", "transactionid"} and behind.relation == blocker.relation
