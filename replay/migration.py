"""A release's migration that ran in the middle of a load: what it waited for, what it held up.

These types are `during.json` of a run. Times are seconds since the run's origin.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """What a statement of the migration waited for, behind one template."""

    lock: str  # lock type and mode
    relation: str
    blocker: str  # template that stood in the way; empty: a session that is not the replay's
    blocker_state: str  # active, idle in transaction …
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Sessions of one template that waited behind the migration."""

    template: str  # empty: sessions that are not the replay's
    lock: str
    relation: str
    sessions: int  # that waited here, each once
    seconds: float  # all of them together
    longest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatement:
    """One statement as it ran."""

    round: int  # of the repetitions, from 1
    line: int  # in the file
    sql: str
    template: str  # the id by which samples name it
    began_s: float
    ended_s: float
    outcome: str  # see outcome.py
    error: str = ""  # what the server said
    waited: tuple[Waited, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    waited_s: float = 0.0  # on locks; behind several at once counts once
    blocked_s: float = 0.0  # that sessions waited behind it, all together

    @property
    def took_s(self) -> float:
        """From sent to answered."""
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One run of the file, and how the load bore it."""

    began_s: float
    ended_s: float
    complete: bool  # every statement was ok
    before_p95_ms: float  # of transactions, from due, before it
    slow_ms: float  # above it a transaction counts as slow
    worst_p95_ms: float  # of the steps from its beginning until the load had recovered
    disturbed_s: float  # steps in which too many transactions were slow or failed; 0: none
    recovered_s: float | None  # when the load was itself again; None: not before its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """The whole of it."""

    file: str  # base name
    at_s: float
    repeat: int
    rounds: tuple[Round, ...]
    statements: tuple[MigrationStatement, ...]
