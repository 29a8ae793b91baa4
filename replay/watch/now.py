"""What stands in whose way on the target at this moment, for whoever looks while it is loaded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replay.watch.locks import PREPARED, edges
from replay.watch.looking import Looker, Session, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A session that waits for another."""

    pid: int
    template: str  # "" for a session that is not ours
    text: str  # how its statement begins, where it is not ours
    lock: str  # its mode and what it is on
    wait_s: float
    blocker: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """A session that others wait for, and that waits for nobody itself."""

    pid: int
    template: str
    text: str
    state: str  # pg_stat_activity's, or "prepared"
    transaction_s: float  # age of its transaction
    blocks: int  # sessions


def look(looker: Looker) -> tuple[tuple[Blocker, ...], tuple[Blocked, ...]]:
    """Blockers by how many they block, and the blocked by how long they wait."""
    sample = looker.look()
    found, sessions = list(edges(sample.waiting)), sample.sessions
    behind: dict[int, set[int]] = {}
    for waiter, pid in found:
        behind.setdefault(waiter.pid, set()).add(pid)
    blocks = Counter(root for waiter in behind for root in _roots(waiter, behind))
    return (
        tuple(_blocker(pid, sessions.get(pid), count) for pid, count in blocks.most_common()),
        _blocked(found, sessions),
    )


def _roots(waiter: int, behind: Mapping[int, set[int]]) -> set[int]:
    """Whom a session waits for at last: blockers that wait for nobody."""
    passed: set[int] = set()
    ahead = [waiter]
    while ahead:
        pid = ahead.pop()
        if pid not in passed:
            passed.add(pid)
            ahead += behind.get(pid, ())
    return passed - behind.keys()


def _blocker(pid: int, seen: Session | None, count: int) -> Blocker:
    return Blocker(
        pid=pid,
        template=seen.words.template if seen else "",
        text=seen.words.text if seen else "",
        state=seen.words.state if seen else "" if pid else PREPARED,
        transaction_s=seen.transaction_age_us / 1e6 if seen else 0.0,
        blocks=count,
    )


def _blocked(
    found: Sequence[tuple[Waiting, int]], sessions: Mapping[int, Session]
) -> tuple[Blocked, ...]:
    waits = (
        Blocked(
            pid=waiter.pid,
            template=sessions[waiter.pid].words.template if waiter.pid in sessions else "",
            text=sessions[waiter.pid].words.text if waiter.pid in sessions else "",
            lock=f"{waiter.mode} on {waiter.relation or waiter.lock_type}",
            wait_s=waiter.wait_us / 1e6,
            blocker=pid,
        )
        for waiter, pid in found
    )
    return tuple(sorted(waits, key=lambda blocked: -blocked.wait_s))
