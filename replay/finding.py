"""What diagnose says: one finding per rule that fires, ranked by the seconds it explains."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# What a replay can do in the application's place, to transactions that hold one of some templates.
LAST = "last"  # those statements come last in their transaction
FIRST = "first"  # those statements come first in it
IN_ORDER = "in order"  # those statements come in the order of their tables and keys
SHORTER = "shorter"  # what only reads commits each statement; else the client does not pause inside
TRANSACTION_LOCK = "transaction lock"  # advisory locks end with their transaction
SKIP_LOCKED = "skip locked"  # those statements pass over rows that others have locked
NO_SAVEPOINTS = "no savepoints"  # nor what failed behind one
WITHOUT = "without"  # those statements are not sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change in the application that a replay can make, to prove that it helps."""

    kind: str  # one of the above
    templates: tuple[str, ...]  # ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A remedy: SQL to run, or a change in the application told in words."""

    kind: str  # index, application, setting, migration, maintenance
    sql: str  # the exact statement; empty for an application change
    why: str
    change: Change | None = None  # what of it a replay can make; None: nothing

    @classmethod
    def in_application(cls, why: str, change: str = "", templates: Iterable[str] = ()) -> "Fix":
        """A change in the application; a replay makes it to what holds these templates, if any."""
        of = tuple(templates)
        made = Change(kind=change, templates=of) if of else None
        return cls(kind="application", sql="", why=why, change=made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A template named by a finding, with its share of production's calls."""

    id: str
    sql: str
    share: float  # of all captured executions, 0 … 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause, who did it, why, and what ends it."""

    rule: int  # number of the rule; 0: none of the catalogue, "unexplained" for one
    name: str  # short name of the rule
    summary: str  # what happened, one sentence with the figures
    templates: tuple[Culprit, ...]
    routes: tuple[str, ...] = ()
    routes_known: Mapping[str, str] = field(default_factory=dict)  # how; see Template.routes_known
    relations: tuple[str, ...] = ()
    blocked_s: float = 0.0  # seconds that sessions waited on locks because of it
    queue_s: float = 0.0  # seconds that transactions waited for a pool slot because of it
    slowed_s: float = 0.0  # seconds that statements ran longer because of it, waits apart
    fixes: tuple[Fix, ...] = ()
    confidence: float = 0.0  # 0 … 1
    evidence: Mapping[str, object] = field(default_factory=dict)  # figures to check it by, as JSON

    @property
    def explained_s(self) -> float:
        """Blocked, queue and slowed seconds together: by which findings are ranked."""
        return self.blocked_s + self.queue_s + self.slowed_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofStep:
    """One replay of a proof."""

    name: str  # "storm", "with the fix", "without it again"
    run: str  # base name of its run directory
    healthy: bool
    valid: bool
    figures: Mapping[str, float]  # p95_ms, pool_wait_p95_ms, not_ok_share …


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCost:
    """What an index does to one execution of a statement that writes to its table; medians, alone."""

    template: str
    before_ms: float
    after_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFix:
    """A fix that was really in force in a replay, and what it cost."""

    sql: str  # empty for a change in the application
    build_s: float
    bytes: int
    planned: str = ""  # how the planner was asked: "hypothetical" (hypopg), "built"; "" not at all
    used: bool | None = None  # whether a named statement's plan uses it; None: not asked
    writes: tuple[WriteCost, ...] = ()
    change: Change | None = None  # that was made to the load in the application's place
    changed: int = 0  # kept transactions that it made others


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Fails, passes with the fix, fails without it: the verdict is by outcome."""

    proven: bool
    why: str  # one sentence
    steps: tuple[ProofStep, ...]
    fixes: tuple[BuiltFix, ...]
    finding: int | None = None  # its number among the run's findings, from 1; None: all of them
    restored: bool = False  # each replay began on the same data, made anew
    untried: tuple[str, ...] = ()  # findings whose fix no replay can make, and what to do instead
