"""What `replay verify` found, as frozen values: the meeting place of conduct and report."""

from dataclasses import dataclass

from data_gen.verify import Check

_TWICE = 2.0
_HALF_A_ROW = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateCheck:
    """A template's work here against production's; None where one of both is not known."""

    id: str
    sql: str
    calls: int
    rows_captured: float | None  # a call, by pg_stat_statements
    rows_generated: float | None
    plans_equal: float | None  # share of executions with production's plans, 0 … 1
    plan_captured: str = ""  # the commonest, as a shape
    plan_generated: str = ""
    errors: tuple[tuple[str, int], ...] = ()  # SQLSTATEs that production did not have

    @property
    def rows_alike(self) -> bool | None:
        """Whether rows a call are within a factor of two; under half a row both are none."""
        if self.rows_captured is None or self.rows_generated is None:
            return None
        low, high = sorted((self.rows_captured, self.rows_generated))
        return high <= _TWICE * low or high < _HALF_A_ROW


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All of it."""

    workload_id: str
    scale: float
    tables: tuple[Check, ...]
    templates: tuple[TemplateCheck, ...]  # by calls, most first

    @property
    def rows_share(self) -> float | None:
        """Share of calls whose template's rows are alike; None where nothing is known."""
        return _weighted(
            [(t.calls, float(t.rows_alike)) for t in self.templates if t.rows_alike is not None]
        )

    @property
    def plans_share(self) -> float | None:
        """Share of calls with production's plans."""
        return _weighted(
            [(t.calls, t.plans_equal) for t in self.templates if t.plans_equal is not None]
        )

    @property
    def errors_share(self) -> float:
        """Share of calls whose template failed here in a way that it did not in production."""
        return _weighted([(t.calls, float(bool(t.errors))) for t in self.templates]) or 0.0


def _weighted(pairs: list[tuple[int, float]]) -> float | None:
    total = sum(calls for calls, _ in pairs)
    return sum(calls * share for calls, share in pairs) / total if total else None
