"""Deadlock candidates, found without running anything: from the order in which shapes lock. Pure.

Two transactions can wait for each other where one locks A then B and the other B then A; a shape can
do it with itself where it locks several rows of one table in no fixed order, or first shares a row
and then wants it for itself (two that share it wait for each other).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from replay.hunt.footprint import RowLock
from replay.hunt.model import conflict

_Orders = Mapping[tuple[str, str], tuple[str, str]]  # (table, later table) -> their modes

UPGRADE, UNSORTED, INVERSION = "lock upgrade", "rows in no fixed order", "order inversion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Transactions that could deadlock, and how."""

    paths: tuple[str, ...]  # keys of one or two paths
    kind: str  # UPGRADE, UNSORTED or INVERSION
    tables: tuple[str, ...]
    why: str


def candidates(locks: Mapping[str, Sequence[tuple[RowLock, ...]]]) -> tuple[Candidate, ...]:
    """All candidates among paths; `locks` has, by path, the row locks of its kept transactions."""
    orders = {path: _orders(kept) for path, kept in locks.items()}
    found = dict.fromkeys(
        [
            *(c for path, kept in locks.items() for c in _with_itself(path, kept)),
            *(c for pair in combinations(orders.items(), 2) for c in _inverted(*pair)),
        ]
    )
    return tuple(found)


def _with_itself(path: str, kept: Sequence[tuple[RowLock, ...]]) -> Iterator[Candidate]:
    for taken in kept:
        for first, second in combinations(taken, 2):
            if _upgrades(first, second):
                yield Candidate(
                    paths=(path,),
                    kind=UPGRADE,
                    tables=(first.table,),
                    why=f"{first.table}: a row is held {first.mode}, then wanted {second.mode}",
                )
    yield from _unsorted(path, kept)


def _upgrades(first: RowLock, second: RowLock) -> bool:
    """Whether two of them, each after `first`, would stand in each other's way at `second`."""
    return (
        (first.table, first.column, first.token) == (second.table, second.column, second.token)
        and first.position < second.position
        and not conflict(first.mode, first.mode)
        and conflict(first.mode, second.mode)
    )


def _unsorted(path: str, kept: Sequence[tuple[RowLock, ...]]) -> Iterator[Candidate]:
    """Pairs of rows of one table that one kept transaction locks in the order opposite to another's."""
    seen: set[tuple[str, str, str, str]] = set()
    for taken in kept:
        for first, second in combinations(_exclusive(taken), 2):
            if (first.table, first.column) != (second.table, second.column):
                continue
            if first.token == second.token:
                continue
            seen.add((first.table, first.column, first.token, second.token))
    tables = {t for t, c, one, other in seen if (t, c, other, one) in seen}
    tables |= _falling_and_rising(seen)
    for table in sorted(tables):
        yield Candidate(
            paths=(path,),
            kind=UNSORTED,
            tables=(table,),
            why=f"{table}: several rows are locked, by their keys now upwards and now downwards",
        )


def _falling_and_rising(seen: Iterable[tuple[str, str, str, str]]) -> set[str]:
    """Tables whose rows are locked by rising keys and by falling ones."""
    ways: dict[str, set[bool]] = {}
    for table, _, one, other in seen:
        ways.setdefault(table, set()).add(_rank(one) < _rank(other))
    return {table for table, both in ways.items() if len(both) > 1}


def _rank(token: str) -> tuple[float, str]:
    try:
        return float(token), ""
    except ValueError:
        return 0.0, token


def _exclusive(taken: Sequence[RowLock]) -> list[RowLock]:
    return [lock for lock in taken if conflict(lock.mode, lock.mode)]


def _inverted(one: tuple[str, _Orders], other: tuple[str, _Orders]) -> Iterator[Candidate]:
    for (first, second), modes in one[1].items():
        back = other[1].get((second, first))
        if back and conflict(modes[0], back[1]) and conflict(modes[1], back[0]):
            yield Candidate(
                paths=(one[0], other[0]),
                kind=INVERSION,
                tables=(first, second),
                why=f"one locks {first} before {second}, the other the other way round",
            )


def _orders(kept: Sequence[tuple[RowLock, ...]]) -> _Orders:
    """(table, later table) -> modes, as any kept transaction locks them."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for taken in kept:
        for first, second in combinations(taken, 2):
            if first.table != second.table and first.position <= second.position:
                found[first.table, second.table] = (first.mode, second.mode)
    return found
