"""What `replay audit` says: statements and foreign keys that no index serves, and the one that would."""

from dataclasses import dataclass

from replay.finding import Culprit

_COST_FALLS = 2.0  # times
_BUFFERS_FALL = 10.0
_TIME_FALLS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An index to try."""

    relation: str  # qualified
    table: str  # as SQL
    keys: tuple[str, ...]  # columns or expressions, as SQL

    @property
    def sql(self) -> str:
        """How to build it in production."""
        return f"CREATE INDEX CONCURRENTLY ON {self.table} ({', '.join(self.keys)})"

    @property
    def plain(self) -> str:
        """The same inside a transaction."""
        return f"CREATE INDEX ON {self.table} ({', '.join(self.keys)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an index does to one execution."""

    cost_before: float
    cost_after: float
    buffers_before: int  # blocks of tables and indexes; 0 where nothing was executed
    buffers_after: int
    ms_before: float | None
    ms_after: float | None
    build_s: float
    bytes: int

    @property
    def helps(self) -> bool:
        """Whether the blocks that are read drop tenfold, and the cost halves.

        Where the planner misjudged the plan that it had, as a generic plan may be, a tenth of the time
        stands for the cost. Where nothing was executed, the planner's cost drops tenfold.
        """
        if not self.buffers_before:
            return self.cost_after * _BUFFERS_FALL <= self.cost_before
        times = (
            self.ms_before or 0.0,
            self.ms_after if self.ms_after is not None else float("inf"),
        )
        cheaper = self.cost_after * _COST_FALLS <= self.cost_before
        quicker = times[1] * _TIME_FALLS <= times[0]
        read_less = self.buffers_after * _BUFFERS_FALL <= self.buffers_before
        return read_less and (cheaper or quicker)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementGap:
    """A scan of a captured statement that an index would serve, or that none was found for."""

    template: Culprit
    relation: str
    node: str
    condition: str
    values: str  # which: as captured, most frequent, median, rarest; or "generic plan"
    rows_read: int
    rows_kept: int
    took_ms: float | None  # one execution
    peak_per_s: float  # calls in production's busiest slice
    writing: str  # why its time holds locks; else ""
    index: Candidate | None  # None: nothing that was tried helps
    effect: Effect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGap:
    """A foreign key without an index, whose parent loses rows or changes keys."""

    constraint: str
    relation: str  # the child
    columns: tuple[str, ...]
    parent: str
    child_bytes: int
    templates: tuple[Culprit, ...]  # that delete parents or change their key
    index: Candidate
    build_s: float
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A statement that was looked at, with all its values."""

    template: Culprit
    plans: tuple[str, ...]  # the distinct shapes
    why_not: str  # why no plan could be had; empty where it could


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The whole of it."""

    workload: str
    target: str
    checked: tuple[Checked, ...]
    keys: int  # foreign keys that were looked at
    gaps: tuple[StatementGap, ...]  # with an index that helps
    noted: tuple[StatementGap, ...]  # scans that matter, and that no index was found for
    key_gaps: tuple[KeyGap, ...]
    executed: bool = True  # False: planned on restored statistics

    @property
    def clean(self) -> bool:
        """Whether nothing lacks an index."""
        return not self.gaps and not self.key_gaps
