"""The sampled blocking edges: who waited for whom, since when, and who is at the end of the chain."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from replay.diagnose.timeline import Timeline

_APART_US = 10_000  # the log's time has milliseconds, and clocks differ
_TOLD_US = 1_100_000  # deadlock_timeout after a wait began the log tells of it; 1 s by default
PREPARED = "prepared"  # state of a prepared transaction, which has no session
_NAMELESS = frozenset({"startup", PREPARED})  # the other is a standby's recovery
ROW_LOCKS = frozenset({"transactionid", "tuple"})  # lock types of a wait for a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One waiting session and one blocker in one sample; see runtables.BLOCKING.

    A session is told by the template that it runs; one that is none of the replay's by its text.
    """

    at_us: int
    waiter: int
    blocker: int
    waiter_template: str
    blocker_template: str
    blocker_state: str
    lock_type: str
    mode: str
    relation: str
    wait_us: int
    key: str


def read(
    table: pa.Table,
    targets: Mapping[str, str],
    who: Callable[[str, str], str],
    told: Mapping[int, list[tuple[int, str]]],
) -> list[Edge]:
    """Edges of a table of runtables.BLOCKING by time.

    `targets` names the relation of row locks, `who` a session by its template and its text; `told`
    has, by session, when the server's log told which row it waited for.
    """
    edges = []
    for row in table.to_pylist():
        waiter = who(row.pop("waiter_template"), row.pop("waiter_text") or "")
        blocker = who(row.pop("blocker_template"), row.pop("blocker_text") or "")
        if not blocker and row["blocker_state"] in _NAMELESS:
            blocker = row["blocker_state"]
        if not row["relation"] and row["lock_type"] in ROW_LOCKS:
            row["relation"] = targets.get(waiter, "")
        row["key"] = row["key"] or ""
        if not row["key"] and row["lock_type"] in ROW_LOCKS:
            began_us = row["at_us"] - row["wait_us"]
            near = (
                k
                for at, k in told.get(row["waiter"], ())
                if -_APART_US <= at - began_us <= _TOLD_US
            )
            row["key"] = next(near, "")
        edges.append(Edge(**row, waiter_template=waiter, blocker_template=blocker))
    return sorted(edges, key=lambda edge: edge.at_us)


def waits(edges: Iterable[Edge]) -> dict[int, list[int]]:
    """Session -> when it was seen waiting, in order."""
    seen: dict[int, dict[int, None]] = defaultdict(dict)
    for edge in edges:
        seen[edge.waiter][edge.at_us] = None
    return {pid: list(moments) for pid, moments in seen.items()}


def whole_waits(edges: Iterable[Edge], timeline: Timeline) -> Iterator[Edge]:
    """Edges whose wait counts from the first time that the waiter's statement was seen waiting.

    The server's clock starts anew for each lock: in a queue for a row there is one after the other.
    """
    since: dict[int, tuple[int, int]] = {}  # waiter -> statement, when its wait began
    for edge in edges:
        statement = timeline.statement(edge.waiter, edge.at_us)
        if statement < 0:
            yield edge
            continue
        if since.get(edge.waiter, (-1, 0))[0] != statement:
            since[edge.waiter] = (statement, edge.at_us - edge.wait_us)
        yield replace(edge, wait_us=edge.at_us - since[edge.waiter][1])


def roots(waiter: int, behind: Mapping[int, list[Edge]]) -> dict[int, int]:
    """Who is in the end in the waiter's way -> how many waits lie between."""
    found: dict[int, int] = {}
    passed = {waiter}
    ahead = [(edge.blocker, 1) for edge in behind[waiter]]
    while ahead:
        pid, depth = ahead.pop()
        if pid not in behind:
            found[pid] = max(depth, found.get(pid, 0))
        elif pid not in passed:
            passed.add(pid)
            ahead += [(edge.blocker, depth + 1) for edge in behind[pid]]
    # A deadlock has no root: the next in the way stands for it.
    return found or {behind[waiter][0].blocker: 1}
