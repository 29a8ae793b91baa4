"""Blocking edges folded into episodes: one root transaction, who waited for it, and why so long.

The root of a chain is who waits for nobody. What its session was seen to run is often not what
made the others wait: a COMMIT, or the update that took the lock. So the wait is laid over the
statements of the root's transaction, as the client recorded them, from the moment that the root
itself waited no more to the transaction's end: the statement that fills most of it is the culprit.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa

from replay.diagnose.attempts import Attempts
from replay.diagnose.edges import PREPARED, Edge, read, roots, waits, whole_waits
from replay.diagnose.sums import summed
from replay.diagnose.timeline import PAUSE, Timeline

_ALL_OF_IT = "AccessExclusiveLock"
# Modes in which DDL waits for a table, and that keep writers behind it (manual, 13.3.1).
_FROM_WRITERS = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock"})
_READS = "AccessShareLock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One root transaction that others waited for."""

    root: int  # pid; 0 is a prepared transaction
    ours: bool  # the root is a transaction of the replay
    culprit: str  # template that fills most of the hold; the tag that was seen where not ours
    statements: tuple[str, ...]  # templates of the root's transaction, in order
    pause_share: float  # of the hold, in which the client sent nothing
    hold_ms: float  # from the root's last own wait, or its begin, to its end; 0 where not ours
    lock_type: str  # what most of the time was waited for
    mode: str  # the same
    relation: str  # the same; "" where the server did not tell
    key: str  # the row's place, the advisory lock's number, the object; "" where it differs
    waiting: Mapping[str, float]  # template -> seconds that its sessions waited
    sessions: int  # most sessions behind it at once
    depth: int  # longest chain of waiters
    blocked_s: float
    foremost_s: float  # of blocked_s: while most waiters on that relation were behind this root
    longest_ms: float  # longest wait of one statement, as far as it was seen
    pids: frozenset[int]  # of all waiters
    from_us: int  # when the first wait was seen
    to_us: int
    idle_s: float  # of blocked_s: while the root's session sat idle
    startup_s: float  # of blocked_s: while the root was a standby's recovery
    heads: Mapping[str, tuple[float, int]]  # who waits for a table as DDL does -> seconds that
    #   others waited behind it, most of them at once
    leaked_by: str  # who took the session's advisory lock in an earlier transaction; "" for none


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """All episodes, and who was held up in each sample."""

    episodes: tuple[Episode, ...]  # those that blocked longest first
    behind: Mapping[tuple[int, int], str]  # (sample's time, pid of root or waiter) -> culprit
    waiting: Mapping[int, list[int]]  # pid -> when it was seen waiting, in order


@dataclass(slots=True)
class _Growing:
    """An episode while it is put together."""

    root: int
    transaction: int | None  # position in Attempts.first; None: no transaction of ours
    seen: list[tuple[str, float]] = field(default_factory=list)  # tag of the root, weight
    profile: list[tuple[str, float]] = field(default_factory=list)  # template or PAUSE, weight
    waiting: list[tuple[str, float]] = field(default_factory=list)
    locks: list[tuple[tuple[str, str, str], float]] = field(default_factory=list)
    keys: list[tuple[str, float]] = field(default_factory=list)
    states: list[tuple[str, float]] = field(default_factory=list)
    heads: list[tuple[str, float]] = field(default_factory=list)
    crowd: dict[str, int] = field(default_factory=dict)  # head -> most behind it at once
    leaked: list[tuple[str, float]] = field(default_factory=list)
    held_up: set[tuple[int, int]] = field(default_factory=set)
    pids: set[int] = field(default_factory=set)
    sessions: int = 0
    depth: int = 0
    blocked: float = 0.0  # in samples
    foremost: float = 0.0
    longest_us: int = 0
    from_us: int = 0
    to_us: int = 0
    hold_from_us: int = 0
    end_us: int = 0


_Growth = dict[tuple[int, int | None], _Growing]  # by root and transaction


def analyse(
    table: pa.Table,
    attempts: Attempts,
    targets: Mapping[str, str],
    period_s: float,
    *,
    who: Callable[[str, str], str] = lambda template, text: template or text,
    session_locks: Collection[str] = (),
    told: Mapping[int, list[tuple[int, str]]] = MappingProxyType({}),
) -> Blocking:
    """Episodes of a table of runtables.BLOCKING, sampled every `period_s` seconds.

    `targets` has the relation that a template works on: a session that follows a row through its
    new versions waits for their transaction and for nothing that has the relation's name. `who`
    names a session, `session_locks` the templates that take advisory locks beyond a transaction, and
    `told` the rows that the server's log names, by waiter.
    """
    edges = read(table, targets, who, told)
    waiting = waits(edges)
    timeline = Timeline(attempts, waiting)
    samples: dict[int, list[Edge]] = defaultdict(list)
    for edge in whole_waits(edges, timeline):
        samples[edge.at_us].append(edge)
    growing: _Growth = {}
    for seen in samples.values():
        _add_sample(growing, seen, timeline, session_locks)
    episodes = [(grown, _episode(grown, timeline, period_s)) for grown in growing.values()]
    return Blocking(
        episodes=tuple(sorted((e for _, e in episodes), key=lambda e: -e.blocked_s)),
        behind={where: episode.culprit for grown, episode in episodes for where in grown.held_up},
        waiting=waiting,
    )


def _add_sample(
    growing: _Growth, edges: list[Edge], timeline: Timeline, session_locks: Collection[str]
) -> None:
    behind: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        behind[edge.waiter].append(edge)
    blockers = {edge.blocker: edge for edge in edges}
    below: Counter[int] = Counter()  # root -> waiters in this sample
    on_relation: dict[str, Counter[int]] = defaultdict(Counter)
    parts: list[tuple[int, int, Edge, float]] = []
    for waiter, own in behind.items():
        ends = roots(waiter, behind)
        for root, depth in ends.items():
            parts.append((root, depth, own[0], 1 / len(ends)))
            below[root] += 1
            on_relation[own[0].relation][root] += 1
    at_us = edges[0].at_us
    grown = {
        root: _grown(growing, root, at_us, blockers[root].blocker_template, timeline)
        for root in below
    }
    foremost = {relation: max(on, key=lambda r: on[r]) for relation, on in on_relation.items()}
    ahead = Counter(pid for own in behind.values() for pid in {e.blocker for e in own})
    leaks = {
        edge.blocker: timeline.earlier(edge.blocker, at_us, session_locks)
        for edge in edges
        if edge.lock_type == "advisory"
    }
    for root, depth, edge, weight in parts:
        one = grown[root]
        _add_head(one, behind.get(edge.blocker), edge, weight, ahead[edge.blocker])
        one.leaked.append((leaks.get(root, ""), weight))
        _add_wait(one, edge, blockers[root], weight, timeline)
        one.depth = max(one.depth, depth)
        one.sessions = max(one.sessions, below[root])
        if foremost[edge.relation] == root:
            one.foremost += weight


def _grown(growing: _Growth, root: int, at_us: int, tag: str, timeline: Timeline) -> _Growing:
    """The episode that a root of this sample belongs to, told what the sample shows of it."""
    transaction = timeline.transaction(root, at_us, tag)
    one = growing.setdefault((root, transaction), _Growing(root, transaction))
    one.seen.append((tag, 1.0))
    one.held_up.add((at_us, root))
    if transaction is not None:
        one.hold_from_us = timeline.free_since_us(transaction, root, at_us)
        one.end_us = max(timeline.span_us(transaction)[1], at_us)
    return one


def _add_head(
    grown: _Growing, blocker: list[Edge] | None, edge: Edge, weight: float, crowd: int
) -> None:
    """Where the wait is for a relation, and behind one that itself waits for it as DDL does: count that."""
    if blocker and edge.lock_type == "relation" and _keeps_off(blocker[0].mode, edge.mode):
        name = blocker[0].waiter_template
        grown.heads.append((name, weight))
        grown.crowd[name] = max(grown.crowd.get(name, 0), crowd)


def _keeps_off(waited_for: str, mode: str) -> bool:
    return waited_for == _ALL_OF_IT or (waited_for in _FROM_WRITERS and mode != _READS)


def _add_wait(
    grown: _Growing, edge: Edge, before_root: Edge, weight: float, timeline: Timeline
) -> None:
    grown.blocked += weight
    grown.waiting.append((edge.waiter_template, weight))
    # Further back they wait for what others hold, of which the root knows nothing.
    held = edge if edge.blocker == grown.root else before_root
    grown.locks.append(((held.lock_type, held.mode, held.relation), weight))
    grown.keys.append((held.key, weight))
    state = before_root.blocker_state
    grown.states.append((state.partition(" ")[0], weight))
    grown.from_us = min(grown.from_us or edge.at_us, edge.at_us)
    grown.to_us = max(grown.to_us, edge.at_us)
    grown.pids.add(edge.waiter)
    grown.longest_us = max(grown.longest_us, edge.wait_us)
    grown.held_up.add((edge.at_us, edge.waiter))
    if grown.transaction is None:
        idle = state.startswith("idle") or state == PREPARED
        grown.profile.append((PAUSE if idle else before_root.blocker_template, weight))
        return
    from_us = max(edge.at_us - edge.wait_us, grown.hold_from_us)
    shares = timeline.profile(grown.transaction, from_us, grown.end_us)
    grown.profile += [(template, share * weight) for template, share in shares]


def _episode(grown: _Growing, timeline: Timeline, period_s: float) -> Episode:
    lock_type, mode, relation = next(iter(summed(grown.locks)))
    keys, states = summed(grown.keys), summed(grown.states)
    profile = summed(grown.profile)
    pause = profile.pop(PAUSE, 0.0)
    statements: tuple[str, ...] = ()
    hold_us = 0
    if grown.transaction is not None:
        statements = timeline.templates(grown.transaction)
        hold_us = grown.end_us - grown.hold_from_us
    return Episode(
        root=grown.root,
        ours=grown.transaction is not None,
        culprit=next(iter(profile or summed(grown.seen))),
        statements=statements,
        pause_share=round(pause / ((pause + sum(profile.values())) or 1.0), 3),
        hold_ms=max(hold_us, 0) / 1e3,
        lock_type=lock_type,
        mode=mode,
        relation=relation,
        key=next(iter(keys)) if len(keys) == 1 else "",
        waiting={name: spent * period_s for name, spent in summed(grown.waiting).items()},
        sessions=grown.sessions,
        depth=grown.depth,
        blocked_s=grown.blocked * period_s,
        foremost_s=grown.foremost * period_s,
        longest_ms=grown.longest_us / 1e3,
        pids=frozenset(grown.pids),
        from_us=grown.from_us,
        to_us=grown.to_us,
        idle_s=states.get("idle", 0.0) * period_s,
        startup_s=states.get("startup", 0.0) * period_s,
        heads={
            name: (spent * period_s, grown.crowd[name])
            for name, spent in summed(grown.heads).items()
        },
        leaked_by=next(iter(summed(grown.leaked))),
    )
