"""Who waited for whom: the sampled edges folded into trees from the root blocker down.

In each sample every waiter hangs below one blocker: the one nearest to a root, since behind a queue
the server names all that stand in front. So each waiting session counts once, and the seconds of a
tree add up to the seconds that sessions waited.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from replay import rundir
from replay.report.columns import ints, names
from replay.report.waits import spans_us

_TEXT = 240  # characters of a statement
_DEEPEST = 6  # levels shown; what waits further down is counted at the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A template in a blocking tree, or a session by its text; the root waits for nobody."""

    template: str  # empty: a session that is not the replay's own, but `text` says what it ran
    text: str
    state: str  # of a root: active, idle in transaction …
    lock: str  # lock type and mode that was waited for; empty at a root
    relation: str
    blocked_s: float  # at a root: seconds that sessions waited below it; else its own
    sessions: int  # most sessions that waited here at once; at a root 1 or more
    waiters: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One waiter behind one blocker in one sample."""

    waiter: int
    blocker: int
    waiting: tuple[str, str]  # its template, or its text
    blocking: tuple[str, str]
    blocker_state: str
    lock: str
    relation: str


_Key = tuple[str, str, str, str, str]  # template, text, state, lock, relation


@dataclass(slots=True)
class _Growing:
    blocked_s: float = 0.0
    most: int = 0
    below: dict[_Key, "_Growing"] = field(default_factory=dict)


def trees(run: Path) -> tuple[Node, ...]:
    """The run's blocking trees, the one that cost most first; empty where nobody waited."""
    table = rundir.read_table(run, "blocking")
    if not table.num_rows:
        return ()
    sampled = ints(rundir.read_table(run, "samples"), "at_us")
    spans = spans_us(np.concatenate([sampled, ints(table, "at_us")]))
    ground = _Growing()
    for at_us, edges in _by_sample(table).items():
        _grow(ground, edges, spans[at_us] / 1e6)
    return tuple(
        sorted(
            (_root(key, grown) for key, grown in ground.below.items()),
            key=lambda node: -node.blocked_s,
        )
    )


def _by_sample(table: pa.Table) -> dict[int, list[Edge]]:
    samples: dict[int, list[Edge]] = defaultdict(list)
    numbers = (ints(table, name).tolist() for name in ("at_us", "waiter", "blocker"))
    words = (
        names(table, name).text()
        for name in (
            *("waiter_template", "blocker_template", "blocker_state"),
            *("lock_type", "mode", "relation", "waiter_text", "blocker_text"),
        )
    )
    for at_us, waiter, blocker, *texts in zip(*numbers, *words, strict=True):
        waiter_template, blocker_template, state, lock_type, mode, relation, *others = texts
        samples[at_us].append(
            Edge(
                waiter=waiter,
                blocker=blocker,
                waiting=_session(waiter_template, others[0]),
                blocking=_session(blocker_template, others[1]),
                blocker_state=state,
                lock=f"{lock_type} {mode}".strip(),
                relation=relation,
            )
        )
    return samples


def _session(template: str, text: str) -> tuple[str, str]:
    return (template, "" if template else " ".join(text.split())[:_TEXT])


def _grow(ground: _Growing, edges: list[Edge], span_s: float) -> None:
    """Add one sample to the trees, with the time that it stands for."""
    chosen = _nearest_to_root(edges)
    for path, waiters in Counter(_path(waiter, chosen) for waiter in chosen).items():
        node = ground
        for key in path:
            node = node.below.setdefault(key, _Growing())
        node.blocked_s += waiters * span_s
        node.most = max(node.most, waiters)
    roots = {(edge.blocker, _root_key(edge)) for edge in chosen.values()}
    for key, blockers in Counter(key for pid, key in roots if pid not in chosen).items():
        ground.below[key].most = max(ground.below[key].most, blockers)


def _nearest_to_root(edges: list[Edge]) -> dict[int, Edge]:
    """Waiter -> the edge to the blocker by which it is fewest steps from a root."""
    behind: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        behind[edge.blocker].append(edge)
    waiting = {edge.waiter for edge in edges}
    reached = sorted(behind.keys() - waiting)
    seen = set(reached)
    chosen: dict[int, Edge] = {}
    while reached or waiting - seen:
        if not reached:  # a deadlock has no root: the lowest pid in it stands for one
            reached = [min(waiting - seen)]
            seen.update(reached)
        found = []
        for edge in (edge for blocker in reached for edge in behind[blocker]):
            if edge.waiter not in seen:
                seen.add(edge.waiter)
                chosen[edge.waiter] = edge
                found.append(edge.waiter)
        reached = sorted(found)
    return chosen


def _path(waiter: int, chosen: Mapping[int, Edge]) -> tuple[_Key, ...]:
    """Keys from the root down to the waiter."""
    steps: list[_Key] = []
    at = waiter
    while True:
        edge = chosen[at]
        steps.append((*edge.waiting, "", edge.lock, edge.relation))
        if edge.blocker not in chosen:
            steps.append(_root_key(edge))
            break
        at = edge.blocker
    return tuple(reversed(steps))[:_DEEPEST]


def _root_key(edge: Edge) -> _Key:
    return (*edge.blocking, edge.blocker_state, "", "")


def _root(key: _Key, grown: _Growing) -> Node:
    waiters = _waiters(grown)
    return _node(key, grown, waiters, sum(map(_with_below, waiters)))


def _waiters(grown: _Growing) -> tuple[Node, ...]:
    nodes = [
        _node(key, below, _waiters(below), below.blocked_s) for key, below in grown.below.items()
    ]
    return tuple(sorted(nodes, key=lambda node: -_with_below(node)))


def _with_below(node: Node) -> float:
    return node.blocked_s + sum(map(_with_below, node.waiters))


def _node(key: _Key, grown: _Growing, waiters: tuple[Node, ...], blocked_s: float) -> Node:
    template, text, state, lock, relation = key
    return Node(
        template=template,
        text=text,
        state=state,
        lock=lock,
        relation=relation,
        blocked_s=round(blocked_s, 3),
        sessions=grown.most,
        waiters=waiters,
    )
