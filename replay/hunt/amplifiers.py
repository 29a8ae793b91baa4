"""What to make more of for which path, and by how much it is expected to bear. Pure.

A higher rate alone does not turn every incident on. What a path holds, pauses in, lists or prepares
says which other dial is worth a trial, and the model says where to begin.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from replay.hunt.model import Path, Server, conflict

RATE = "rate"
TOGETHER = "simultaneity"  # arrivals on one tick
IDLE = "idle time"  # the client's time inside a transaction
LISTS = "list length"
PLANS = "generic plan"  # an on or off
SESSIONS = "sessions"
STATISTICS = "statistics"  # ANALYZE again, an on or off
WHOLE = frozenset({TOGETHER, LISTS})  # counted, not measured
ON_OR_OFF = frozenset({PLANS, STATISTICS})
MOST = 64.0  # a dial is not turned further
_LONG_S = 1.0  # a pause that keeps a snapshot open for so long keeps dead rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """One thing to make more of."""

    name: str
    bears_x: float  # predicted: the factor at which it breaks
    why: str


def dials(path: Path, server: Server, objective_s: float) -> tuple[Dial, ...]:
    """What is worth a trial beside the rate, the nearest to breaking first."""
    found = (dial for dial in _dials(path, server, objective_s) if dial.bears_x <= MOST)
    return tuple(sorted(found, key=lambda dial: dial.bears_x))


def _dials(path: Path, server: Server, objective_s: float) -> Iterator[Dial]:
    own = [hold for hold in path.holds if conflict(hold.mode, hold.mode) and hold.hold_s > 0]
    longest = max(own, key=lambda hold: hold.share * hold.hold_s, default=None)
    if longest is not None:
        yield Dial(
            name=TOGETHER,
            bears_x=max(objective_s / max(longest.hold_s * longest.share, 1e-4), 2.0),
            why=f"each waits {longest.hold_s * 1e3:,.1f} ms for the one before on {longest.target}",
        )
    if path.gap_s > 0 and longest is not None:
        used = path.peak * longest.share * longest.hold_s
        grows = path.peak * longest.share * path.gap_s
        yield Dial(
            name=IDLE,
            bears_x=max(1 + (1 - used) / max(grows, 1e-6), 2.0),
            why=f"the client pauses {path.gap_s * 1e3:,.1f} ms while it holds {longest.target}",
        )
    elif path.gap_s >= _LONG_S:
        yield Dial(name=IDLE, bears_x=4.0, why=f"a snapshot stays open for {path.gap_s:,.1f} s")
    if path.lists:
        yield Dial(
            name=LISTS,
            bears_x=max(server.cores / max(path.peak * path.demand_s, 1e-6), 2.0),
            why="its time grows with its list",
        )
    if path.prepared:
        yield Dial(name=PLANS, bears_x=1.0, why="from its sixth execution it may be planned anew")
