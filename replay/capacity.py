"""What a ramp found: how much of production's rate the target bears, and where it stops to.

These types are `capacity.json` of a run.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures:
    """One step of a ramp, over the transactions that were due in it."""

    rate: float  # multiple of production's
    due_per_s: float
    done_per_s: float  # that ended well
    p50_ms: float  # from due
    p95_ms: float
    slope_ms_s: float  # by how much the median grew in a second: the queue's growth
    not_ok_share: float
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The knee lies between what held and what broke."""

    steps: tuple[StepFigures, ...]  # that were driven to their end
    holds: float | None  # the highest multiple that held; None: not even the first
    holds_per_s: float | None  # transactions a second at that
    breaks: float | None  # the multiple that did not; None: all held, so the knee is further up

    def in_words(self) -> str:
        """The capacity in a sentence."""
        if self.holds is None:
            low = f" at {self.breaks:g} x production's rate" if self.breaks is not None else ""
            return f"capacity: below the first step, which broke{low}; begin lower with --from"
        held = f"{self.holds:g} x production's rate holds ({self.holds_per_s:,.0f} transactions/s)"
        if self.breaks is None:
            return f"capacity: {held}, and no step broke; go on with a higher --from or --duration"
        return f"capacity: {held}, {self.breaks:g} x breaks it"
