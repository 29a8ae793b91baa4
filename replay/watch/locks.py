"""From what one sample saw to its blocking edges: one per waiting session and blocker."""

from collections.abc import Iterator, Mapping, Sequence

from replay.watch.looking import Waiting

PREPARED = "prepared"  # state of blocker 0: a prepared transaction, which has no session

_QUEUED = frozenset({"tuple", "transactionid"})


def edges(waiting: Sequence[Waiting]) -> Iterator[tuple[Waiting, int]]:
    """(waiter, blocker's pid) of a sample.

    Sessions that queue for one row wait on its tuple lock, held by the first of them, who waits on
    the transaction that changed the row. They all wait for that transaction, and are told so.
    """
    by_pid = {one.pid: one for one in waiting}
    queues: dict[str, set[int]] = {}
    for one in by_pid.values():
        if one.lock_type in _QUEUED:
            queues.setdefault(one.relation, set()).add(one.pid)
    known: dict[int, frozenset[int]] = {}
    for one in sorted(by_pid.values(), key=lambda one: len(one.blockers)):
        known[one.pid] = _holders(one, by_pid, queues.get(one.relation, set()), known)
    for waiter in by_pid.values():
        for blocker in sorted(known[waiter.pid] - {waiter.pid}):
            yield waiter, blocker


def _holders(
    waiter: Waiting,
    by_pid: Mapping[int, Waiting],
    queue: set[int],
    known: Mapping[int, frozenset[int]],
) -> frozenset[int]:
    """Who holds what the waiter is after, past those that only stand before it in a row's queue.

    Whoever is told last stands right before it, and has all the others before him as well: of a long
    queue one is looked at for each. In a circle nobody comes first, and all are walked through.
    """
    blockers = frozenset(waiter.blockers)
    if waiter.lock_type != "tuple":
        return blockers
    holders, before = blockers - queue, blockers & queue
    for last in reversed(waiter.blockers):
        if last not in before:
            continue
        if last not in known:
            return _walked(waiter, by_pid)
        holders |= known[last]
        before -= {last}
        if by_pid[last].lock_type == "tuple":
            before = before.difference(by_pid[last].blockers)
        if not before:
            break
    return holders


def _walked(waiter: Waiting, by_pid: Mapping[int, Waiting]) -> frozenset[int]:
    """The same, one by one."""
    holders: set[int] = set()
    passed: set[int] = set()
    ahead = [(waiter, pid) for pid in waiter.blockers]
    while ahead:
        behind, pid = ahead.pop()
        blocker = by_pid.get(pid)
        if behind.lock_type != "tuple" or blocker is None or not _same_queue(behind, blocker):
            holders.add(pid)
        elif pid not in passed:
            passed.add(pid)
            ahead += [(blocker, further) for further in blocker.blockers]
    return frozenset(holders)


def _same_queue(behind: Waiting, blocker: Waiting) -> bool:
    return blocker.lock_type in _QUEUED and behind.relation == blocker.relation
