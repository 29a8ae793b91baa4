"""The model: from solo profiles to the rate at which each path collapses. Pure arithmetic.

A path is what arrives together: the templates that share their transactions. Its rate can grow until
the cores are full, or a lock target is held all the time, or the pool is, or too many of the others
fail with it, or two of it deadlock. The nearest is predicted; of all but the deadlocks
r* = min((cores - background) / D,  (1 - held by others) / (share x H),  free slots / E,  allowed / F)
with D the server's seconds a transaction, H the seconds that it holds a target, `share` the part of
its transactions that meet at that very target, E the seconds that it occupies a connection, F how
many of the others failed with each of it in production, and `allowed` the objective's part of all
transactions a second.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from replay.load.verdict import NOT_OK_SHARE

# Row lock modes by strength, and which two conflict (PostgreSQL manual, 13.3.2).
KEY_SHARE, SHARE, NO_KEY_UPDATE, UPDATE = "key share", "share", "no key update", "update"
_ROW_CONFLICTS: Mapping[str, frozenset[str]] = {
    KEY_SHARE: frozenset({UPDATE}),
    SHARE: frozenset({NO_KEY_UPDATE, UPDATE}),
    NO_KEY_UPDATE: frozenset({SHARE, NO_KEY_UPDATE, UPDATE}),
    UPDATE: frozenset({KEY_SHARE, SHARE, NO_KEY_UPDATE, UPDATE}),
}
# Table lock modes (13.3.1); advisory locks are exclusive or share.
_TABLE_CONFLICTS: Mapping[str, frozenset[str]] = {
    "AccessShareLock": frozenset({"AccessExclusiveLock"}),
    "RowShareLock": frozenset({"ExclusiveLock", "AccessExclusiveLock"}),
    "RowExclusiveLock": frozenset(
        {"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
    ),
    "ShareUpdateExclusiveLock": frozenset(
        {
            "ShareUpdateExclusiveLock",
            "ShareLock",
            "ShareRowExclusiveLock",
            "ExclusiveLock",
            "AccessExclusiveLock",
        }
    ),
    "ShareLock": frozenset(
        {
            "RowExclusiveLock",
            "ShareUpdateExclusiveLock",
            "ShareRowExclusiveLock",
            "ExclusiveLock",
            "AccessExclusiveLock",
        }
    ),
    "ShareRowExclusiveLock": frozenset(
        {
            "RowExclusiveLock",
            "ShareUpdateExclusiveLock",
            "ShareLock",
            "ShareRowExclusiveLock",
            "ExclusiveLock",
            "AccessExclusiveLock",
        }
    ),
    "ExclusiveLock": frozenset(
        {
            "RowShareLock",
            "RowExclusiveLock",
            "ShareUpdateExclusiveLock",
            "ShareLock",
            "ShareRowExclusiveLock",
            "ExclusiveLock",
            "AccessExclusiveLock",
        }
    ),
}
EXCLUSIVE = "AccessExclusiveLock"
_UNTIL_DEADLOCK_S = 5.0  # of load, in which one is expected: about a trial's length


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One lock that a path takes, and for how long."""

    target: str  # "row public.counter id=…", "table public.acct", "advisory 0/42"
    mode: str
    share: float  # of its transactions that take it
    hold_s: float  # from the statement that takes it to the transaction's end


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What arrives together, with its solo profile."""

    templates: tuple[str, ...]
    rare: bool
    rate: float  # of its transactions in production, a second, on average
    peak: float  # the same in its busiest slice
    demand_s: float  # server seconds of one transaction, alone
    elapsed_s: float  # seconds that one transaction occupies a connection
    holds: tuple[Hold, ...] = ()
    statements: int = 1
    gap_s: float = 0.0  # of elapsed: the client's own time, inside the transaction
    lists: bool = False  # a statement takes a list
    prepared: bool = False  # a statement goes by a prepared plan
    leaks: bool = False  # a session-level lock outlives the transaction
    fails: float = 0.0  # of others' transactions in production, with each of its own
    failed: str = ""  # SQLSTATE with which it failed alone, as production's did not

    @property
    def key(self) -> str:
        """By which files and documents know it."""
        return self.templates[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What all paths share."""

    cores: float
    pool: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """When a path, or two together, are expected to collapse."""

    templates: tuple[str, ...]
    limit: str  # "cores", "pool", "failures", or the lock target
    rate_s: float  # r*: transactions a second; of a pair, of its first path
    headroom_x: float  # the same as a multiple of production's peak
    why: str


def conflict(one: str, other: str) -> bool:
    """Whether a lock in one mode excludes one in the other."""
    if one in _ROW_CONFLICTS:
        return other in _ROW_CONFLICTS[one]
    return EXCLUSIVE in (one, other) or other in _TABLE_CONFLICTS.get(one, frozenset())


def predict(path: Path, paths: Sequence[Path], server: Server) -> Prediction:
    """The rate at which `path` collapses while the others keep production's."""
    others = [other for other in paths if other is not path]
    rate_s, limit, why = min(_limits(path, others, server))
    return Prediction(
        templates=path.templates,
        limit=limit,
        rate_s=rate_s,
        headroom_x=rate_s / max(path.peak, 1e-9),
        why=why,
    )


def predict_pair(one: Path, other: Path, paths: Sequence[Path]) -> Prediction:
    """When two paths collapse that grow together, each from its own peak, on what both lock."""
    rest = [path for path in paths if path is not one and path is not other]
    best: tuple[float, str, str] | None = None
    for target, mine, theirs in shared_targets(one, other):
        grows = one.peak * mine.share * mine.hold_s + other.peak * theirs.share * theirs.hold_s
        free = max(1.0 - held(target, mine.mode, rest), 0.01)
        found = (free / max(grows, 1e-9), target, f"both hold {target}")
        best = min(best, found) if best else found
    assert best is not None, "only paths with a shared target make a pair"
    return Prediction(
        templates=(*one.templates, *other.templates),
        limit=best[1],
        rate_s=best[0] * one.peak,
        headroom_x=best[0],
        why=best[2],
    )


def shared_targets(one: Path, other: Path) -> Iterable[tuple[str, Hold, Hold]]:
    """Lock targets that two paths take in modes that exclude each other."""
    theirs: dict[str, list[Hold]] = {}
    for hold in other.holds:
        theirs.setdefault(hold.target, []).append(hold)
    for mine in one.holds:
        for found in theirs.get(mine.target, ()):
            if conflict(mine.mode, found.mode):
                yield mine.target, mine, found


def held(target: str, mode: str, paths: Iterable[Path]) -> float:
    """Share of the time that others hold the target against that mode, at production's rates."""
    return sum(
        path.rate * hold.share * hold.hold_s
        for path in paths
        for hold in path.holds
        if hold.target == target and conflict(mode, hold.mode)
    )


def _limits(path: Path, others: Sequence[Path], server: Server) -> Iterable[tuple[float, str, str]]:
    busy = sum(other.rate * other.demand_s for other in others)
    free = max(server.cores - busy, 0.05 * server.cores)
    yield (
        free / max(path.demand_s, 1e-6),
        "cores",
        f"{path.demand_s * 1e3:,.1f} ms of the server each, {free:.2f} cores free",
    )
    occupied = sum(other.rate * other.elapsed_s for other in others)
    slots = max(server.pool - occupied, 1.0)
    yield (
        slots / max(path.elapsed_s, 1e-6),
        "pool",
        f"{path.elapsed_s * 1e3:,.1f} ms of a connection each, {slots:.1f} free",
    )
    if path.fails:
        allowed = NOT_OK_SHARE * (path.rate + sum(other.rate for other in others))
        yield (
            allowed / path.fails,
            "failures",
            f"{path.fails:,.1f} others failed with each in production, {allowed:,.1f}/s may",
        )
    for hold in path.holds:
        if not conflict(hold.mode, hold.mode) or not hold.hold_s:
            continue
        left = max(1.0 - held(hold.target, hold.mode, others), 0.01)
        yield (
            left / max(hold.share * hold.hold_s, 1e-9),
            hold.target,
            f"{hold.share:.0%} of them hold {hold.target} for {hold.hold_s * 1e3:,.1f} ms",
        )
    yield from _upgrades(path)


def _upgrades(path: Path) -> Iterable[tuple[float, str, str]]:
    """When two of a path that share a row, and then both want it for themselves, meet at it.

    Of r a second, r x share x window come to the row that one of them shares already.
    """
    for shared, wanted in permutations(path.holds, 2):
        window_s = shared.hold_s - wanted.hold_s
        if (
            shared.target == wanted.target
            and window_s > 0
            and not conflict(shared.mode, shared.mode)
            and conflict(shared.mode, wanted.mode)
        ):
            yield (
                (max(shared.share * window_s, 1e-9) * _UNTIL_DEADLOCK_S) ** -0.5,
                shared.target,
                (
                    f"{shared.share:.0%} of them share {shared.target} for {window_s * 1e3:,.1f} ms "
                    f"before they want it alone: a deadlock every {_UNTIL_DEADLOCK_S:g} s"
                ),
            )
