"""Production's lock waits and what failed for a lock, each event told once.

The server may tell of one event by two lines: a wait when it has lasted and when it ends, a deadlock
or a lock refused when it is found and when the statement fails. See `workload.Conflict`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replay.workload import Conflict

# What is told of first -> the failure that may follow it.
_FAILURE_OF = {"detected": "deadlock", "unobtained": "refused"}
_WAITING = ("waiting", "acquired")
_WORDS = {
    "detected": "deadlock, caught",
    "timeout": "lock_timeout",
    "refused": "refused (NOWAIT)",
    "unobtained": "refused, caught",
    "cancelled": "cancelled while waiting",
    "failed": "gave up waiting",
    "avoided": "deadlock avoided",
}

Tables = Callable[[str], tuple[str, ...]]
"""The tables of a template, by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Waits longer than deadlock_timeout."""

    template: str
    waits: int
    ended: int  # that got the lock
    mean_ms: float | None  # of those that got it
    longest_ms: float  # so far as told
    queued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Waits for one kind of thing, and the templates that waited."""

    what: str  # in words
    all: Wait
    by_template: tuple[Wait, ...]  # those that waited longest in all first


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlock:
    """Deadlocks among the same templates, whichever of them the server chose to fail."""

    failed: tuple[tuple[str, int], ...]  # (template, how often it was the one that failed)
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Statements of one template that did not get a lock, in one way."""

    template: str
    how: str
    what: str
    count: int


def waits(conflicts: Sequence[Conflict], tables: Tables) -> tuple[Waits, ...]:
    """All waits by what was waited for, the longest in all first."""
    grouped: dict[str, dict[str, list[Conflict]]] = {}
    for conflict in conflicts:
        if conflict.kind in _WAITING:
            by_template = grouped.setdefault(thing(conflict, tables), {})
            by_template.setdefault(conflict.template, []).append(conflict)
    found = [
        Waits(
            what=what,
            all=_wait("", [conflict for group in by_template.values() for conflict in group]),
            by_template=tuple(
                sorted((_wait(*item) for item in by_template.items()), key=_weight),
            ),
        )
        for what, by_template in grouped.items()
    ]
    return tuple(sorted(found, key=lambda one: _weight(one.all)))


def deadlocks(conflicts: Sequence[Conflict]) -> tuple[Deadlock, ...]:
    """Deadlocks by the templates they were among, the most frequent first."""
    grouped: dict[tuple[str, ...], dict[str, int]] = {}
    for conflict in conflicts:
        if conflict.kind == "deadlock":
            among = tuple(sorted({conflict.template, *conflict.peers}))
            failed = grouped.setdefault(among, dict.fromkeys(among, 0))
            failed[conflict.template] += conflict.count
    found = [
        Deadlock(
            failed=tuple(sorted(failed.items(), key=lambda one: (-one[1], one[0]))),
            count=sum(failed.values()),
        )
        for failed in grouped.values()
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, one.failed)))


def failed(conflicts: Sequence[Conflict], tables: Tables) -> tuple[Failed, ...]:
    """All other failures, by how they failed; caught ones are those whose error was not logged."""
    known: dict[tuple[str, str], int] = {}
    for conflict in conflicts:
        key = (conflict.kind, conflict.template)
        known[key] = known.get(key, 0) + conflict.count
    counts: dict[tuple[str, str, str], int] = {}
    for conflict in conflicts:
        if conflict.kind in _WORDS:
            what = thing(conflict, tables)
            failure = (conflict.template, _WORDS[conflict.kind], what)
            more = _not_told_twice(conflict, known)
            counts[failure] = counts.get(failure, 0) + more
    found = [
        Failed(template=template, how=how, what=what, count=count)
        for (template, how, what), count in counts.items()
        if count
    ]
    return tuple(sorted(found, key=lambda one: (one.how, one.what, -one.count, one.template)))


def thing(conflict: Conflict, tables: Tables) -> str:
    """What a lock is on, in words.

    Who waits for a row waits for the transaction that holds it, or, behind others, for its turn. Where
    the log has a number for a name, it is the statement's table, if that has only one.
    """
    own = tables(conflict.template)
    name = conflict.relation or (own[0] if len(own) == 1 else "")
    if conflict.on == "transaction":
        return f"row of {conflict.relation}" if conflict.relation else "another transaction"
    if conflict.on == "tuple":
        queued = ", in its queue" if conflict.lock else ""
        return f"row of {name}{queued}" if name else f"row{queued}"
    if conflict.on == "relation":
        mode = f" ({conflict.lock.removesuffix('Lock')})" if conflict.lock else ""
        return f"table {name}{mode}".replace("  ", " ")
    return conflict.on


def _wait(template: str, conflicts: Sequence[Conflict]) -> Wait:
    acquired = [conflict for conflict in conflicts if conflict.kind == "acquired"]
    ended = sum(conflict.count for conflict in acquired)
    begun = sum(conflict.count for conflict in conflicts) - ended
    return Wait(
        template=template,
        waits=max(begun, ended),  # of a wait that began before the log did, only the end is told
        ended=ended,
        mean_ms=sum(conflict.total_ms for conflict in acquired) / ended if ended else None,
        longest_ms=max(conflict.longest_ms for conflict in conflicts),
        queued=max(conflict.most_queued for conflict in conflicts),
    )


def _weight(one: Wait) -> tuple[float, int, str]:
    return -(one.mean_ms or 0.0) * one.ended, -one.waits, one.template


def _not_told_twice(conflict: Conflict, known: dict[tuple[str, str], int]) -> int:
    """How often an event was told by this kind of line alone; takes what it finds from `known`."""
    failure = _FAILURE_OF.get(conflict.kind)
    if failure is None:
        return conflict.count
    key = (failure, conflict.template)
    twice = min(conflict.count, known.get(key, 0))
    known[key] = known.get(key, 0) - twice
    return conflict.count - twice
