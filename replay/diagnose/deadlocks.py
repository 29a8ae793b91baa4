"""Deadlocks of the run: who was ended, and the whole cycle where the server's log tells it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from replay.diagnose.attempts import Attempts
from replay.diagnose.timeline import Timeline

SQLSTATE = "40P01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One process of a cycle."""

    who: str  # template, or text, of the statement that waited
    mode: str  # lock that it waited for; "" where only the client tells
    lock_type: str
    shape: tuple[str, ...]  # templates of its transaction, in order; empty where none of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlocks:
    """Deadlocks that are the same, by their sides."""

    sides: tuple[Side, ...]  # the one that was ended first; only it where the log does not tell
    relation: str  # whose row it was about; "" where not told
    count: int
    lost_s: float  # the ended statements took so long


def find(
    attempts: Attempts, locklog: pa.Table, timeline: Timeline, who: Callable[[str, str], str]
) -> tuple[Deadlocks, ...]:
    """All deadlocks, the most frequent first: the log's, and what failed with no word in the log."""
    told: dict[tuple[tuple[Side, ...], str], list[float]] = defaultdict(list)
    ended = _ended(attempts)
    for cycle in _cycles(locklog):
        first = cycle[0]
        rows = ended.get(first["pid"], [])
        near = min(
            rows, key=lambda row: abs(int(attempts.ended_us[row]) - first["at_us"]), default=-1
        )
        if near >= 0:
            rows.remove(near)
        sides = tuple(_side(row, timeline, who) for row in cycle)
        told[sides, next((row["relation"] for row in cycle if row["relation"]), "")].append(
            _service_s(attempts, near) if near >= 0 else 0.0
        )
    for row in (row for rows in ended.values() for row in rows):
        name = attempts.names[attempts.template[row]]
        shape = timeline.templates(int(attempts.arrival[row]))
        side = Side(who=name, mode="", lock_type="", shape=shape)
        told[(side,), ""].append(_service_s(attempts, row))
    found = [
        Deadlocks(sides=sides, relation=relation, count=len(lost), lost_s=sum(lost))
        for (sides, relation), lost in told.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.count))


def _service_s(attempts: Attempts, row: int) -> float:
    return max(int(attempts.ended_us[row] - attempts.began_us[row]), 0) / 1e6


def _ended(attempts: Attempts) -> dict[int, list[int]]:
    """Session -> positions of its statements that a deadlock ended."""
    codes = np.array([name == SQLSTATE for name in attempts.outcomes], dtype=bool)
    found: dict[int, list[int]] = defaultdict(list)
    begin = 0
    for part in attempts.parts():
        for row in np.flatnonzero(codes[part.outcome]).tolist():
            found[int(part.pid[row])].append(begin + row)
        begin += len(part.arrival)
    return found


def _cycles(locklog: pa.Table) -> Iterator[list[dict[str, Any]]]:
    """Rows of each deadlock, the ended one's first."""
    cycles: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in locklog.to_pylist():
        if row["kind"] == "deadlock":
            cycles[row["event"]].append(row)
    yield from cycles.values()


def _side(row: Mapping[str, Any], timeline: Timeline, who: Callable[[str, str], str]) -> Side:
    name = who(row["template"], row["text"])
    transaction = timeline.transaction(row["pid"], row["at_us"], name)
    return Side(
        who=name,
        mode=row["mode"],
        lock_type=row["lock_type"],
        shape=timeline.templates(transaction) if transaction is not None else (),
    )
