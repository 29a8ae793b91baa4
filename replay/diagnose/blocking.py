"""Blocking edges folded into episodes: one root transaction, who waited for it, and why so long.

The root of a chain is who waits for nobody. What its session was seen to run is often not what
made the others wait: a COMMIT, or the update that took the lock. So the wait is laid over the
statements of the root's transaction, as the client recorded them, from the moment that the root
itself waited no more to the transaction's end: the statement that fills most of it is the culprit.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from replay.diagnose.attempts import Attempts
from replay.diagnose.edges import Edge, read, roots, waits, whole_waits
from replay.diagnose.sums import summed
from replay.diagnose.timeline import PAUSE, Timeline


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
    relation: str  # the same; "" where the server did not tell
    waiting: Mapping[str, float]  # template -> seconds that its sessions waited
    sessions: int  # most sessions behind it at once
    depth: int  # longest chain of waiters
    blocked_s: float
    foremost_s: float  # of blocked_s: while most waiters on that relation were behind this root
    longest_ms: float  # longest wait of one statement, as far as it was seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """All episodes, and who was held up in each sample."""

    episodes: tuple[Episode, ...]  # those that blocked longest first
    behind: Mapping[tuple[int, int], str]  # (sample's time, pid of root or waiter) -> culprit


@dataclass(slots=True)
class _Growing:
    """An episode while it is put together."""

    root: int
    transaction: int | None  # position in Attempts.first; None: no transaction of ours
    seen: list[tuple[str, float]] = field(default_factory=list)  # tag of the root, weight
    profile: list[tuple[str, float]] = field(default_factory=list)  # template or PAUSE, weight
    waiting: list[tuple[str, float]] = field(default_factory=list)
    locks: list[tuple[tuple[str, str], float]] = field(default_factory=list)
    held_up: set[tuple[int, int]] = field(default_factory=set)
    sessions: int = 0
    depth: int = 0
    blocked: float = 0.0  # in samples
    foremost: float = 0.0
    longest_us: int = 0
    hold_from_us: int = 0
    end_us: int = 0


_Growth = dict[tuple[int, int | None], _Growing]  # by root and transaction


def analyse(
    table: pa.Table, attempts: Attempts, targets: Mapping[str, str], period_s: float
) -> Blocking:
    """Episodes of a table of rundir.BLOCKING, sampled every `period_s` seconds.

    `targets` has the relation that a template works on: a session that follows a row through its
    new versions waits for their transaction and for nothing that has the relation's name.
    """
    edges = read(table, targets)
    timeline = Timeline(attempts, waits(edges))
    samples: dict[int, list[Edge]] = defaultdict(list)
    for edge in whole_waits(edges, timeline):
        samples[edge.at_us].append(edge)
    growing: _Growth = {}
    for seen in samples.values():
        _add_sample(growing, seen, timeline)
    episodes = [(grown, _episode(grown, timeline, period_s)) for grown in growing.values()]
    return Blocking(
        episodes=tuple(sorted((e for _, e in episodes), key=lambda e: -e.blocked_s)),
        behind={where: episode.culprit for grown, episode in episodes for where in grown.held_up},
    )


def _add_sample(growing: _Growth, edges: list[Edge], timeline: Timeline) -> None:
    behind: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        behind[edge.waiter].append(edge)
    tags = {edge.blocker: edge.blocker_template for edge in edges}
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
    grown = {root: _grown(growing, root, at_us, tags[root], timeline) for root in below}
    foremost = {relation: max(on, key=lambda r: on[r]) for relation, on in on_relation.items()}
    for root, depth, edge, weight in parts:
        one = grown[root]
        _add_wait(one, edge, weight, timeline)
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


def _add_wait(grown: _Growing, edge: Edge, weight: float, timeline: Timeline) -> None:
    grown.blocked += weight
    grown.waiting.append((edge.waiter_template, weight))
    grown.locks.append(((edge.lock_type, edge.relation), weight))
    grown.longest_us = max(grown.longest_us, edge.wait_us)
    grown.held_up.add((edge.at_us, edge.waiter))
    if grown.transaction is None:
        idle = edge.blocker_state.startswith("idle")
        grown.profile.append((PAUSE if idle else edge.blocker_template, weight))
        return
    from_us = max(edge.at_us - edge.wait_us, grown.hold_from_us)
    shares = timeline.profile(grown.transaction, from_us, grown.end_us)
    grown.profile += [(template, share * weight) for template, share in shares]


def _episode(grown: _Growing, timeline: Timeline, period_s: float) -> Episode:
    lock_type, relation = next(iter(summed(grown.locks)))
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
        relation=relation,
        waiting={name: spent * period_s for name, spent in summed(grown.waiting).items()},
        sessions=grown.sessions,
        depth=grown.depth,
        blocked_s=grown.blocked * period_s,
        foremost_s=grown.foremost * period_s,
        longest_ms=grown.longest_us / 1e3,
    )
