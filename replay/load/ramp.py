"""Whether a step of a ramp holds: by the slope of latency, not by a threshold alone. Pure arithmetic.

Past capacity a queue grows as long as the step lasts, slowly just past it: at 2 % over, by 20 ms a
second. So a step breaks when the medians of its parts climb, or when too much of it fails.
"""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from replay.capacity import Capacity, StepFigures
from replay.load.pace import Step
from replay.load.record import CODE_OK, EXPECTED, FINAL
from replay.load.transactions import FAILED, SKIPPED, Transactions

STEPS = "ramp.json"  # beside the shards
SLOPE_MS_S = 10.0
_GREW_MS = 20.0  # from the first part to the last, at least …
_GREW_TIMES = 1.5  # … and so many times
_PARTS = 5
_NOT_OK_SHARE = 0.05
_LEAST = 20  # transactions: fewer show no slope


def write_steps(shards: Path, ramp: Sequence[Step]) -> None:
    """Let the worker know that its load is a ramp."""
    (shards / STEPS).write_bytes(msgspec.json.encode(ramp))


def read_steps(shards: Path) -> tuple[Step, ...]:
    """The steps of a load that is a ramp; none of any other."""
    file = shards / STEPS
    return msgspec.json.decode(file.read_bytes(), type=tuple[Step, ...]) if file.is_file() else ()


def figures(step: Step, due_s: np.ndarray, latency_ms: np.ndarray, bad: np.ndarray) -> StepFigures:
    """Judge one step: its transactions' due, since the origin, latency, and whether they failed."""
    length_s = step.end_s - step.begin_s
    medians = _medians(step, due_s, latency_ms)
    at_s = (np.flatnonzero(~np.isnan(medians)) + 0.5) * length_s / _PARTS
    known = medians[~np.isnan(medians)]
    slope = float(np.polyfit(at_s, known, 1)[0]) if len(known) > 1 else 0.0
    climbs = (
        len(due_s) >= _LEAST
        and slope > SLOPE_MS_S
        and known[-1] > max(known[0] + _GREW_MS, known[0] * _GREW_TIMES)
    )
    share = float(bad.mean()) if len(bad) else 0.0
    return StepFigures(
        rate=round(step.rate, 4),
        due_per_s=round(len(due_s) / length_s, 2),
        done_per_s=round(float((~bad).sum()) / length_s, 2),
        p50_ms=_percentile(latency_ms, 50),
        p95_ms=_percentile(latency_ms, 95),
        slope_ms_s=round(slope, 3),
        not_ok_share=round(share, 5),
        holds=not climbs and share <= _NOT_OK_SHARE,
    )


def capacity(found: Sequence[StepFigures]) -> Capacity:
    """What the steps say together; what comes after the first that breaks says nothing."""
    held = [step for step in found if step.holds]
    broke = next((step for step in found if not step.holds), None)
    held = [step for step in held if broke is None or step.rate < broke.rate]
    return Capacity(
        steps=tuple(found),
        holds=held[-1].rate if held else None,
        holds_per_s=held[-1].done_per_s if held else None,
        breaks=broke.rate if broke is not None else None,
    )


def driven(ramp: Sequence[Step], done: Transactions, expected: np.ndarray) -> Capacity:
    """What a ramp's transactions say, up to the first step that breaks, or that was not reached.

    `expected` has, by arrival, whether it failed as it did in production: that is no failure. Those of
    one step are in memory together.
    """
    came = (some.where(some.came) for some in done.blocks())
    ends_s = (some.due_us / 1e6 + some.latency_ms / 1e3 for some in came)
    last_s = max((float(end_s.max(initial=0.0)) for end_s in ends_s), default=0.0)
    found: list[StepFigures] = []
    for step in ramp:
        if step.end_s > last_s + (step.end_s - step.begin_s) / 4:
            break
        mine = done.due(step.begin_s * 1e6, step.end_s * 1e6)
        mine = mine.where(mine.came)
        bad = (mine.outcome == FAILED) | (mine.outcome == SKIPPED)
        bad &= ~expected[mine.arrival]
        found.append(figures(step, mine.due_us / 1e6, mine.latency_ms, bad))
        if not found[-1].holds:
            break
    return capacity(found)


def borne_us(ramp: Sequence[Step], found: Capacity) -> float:
    """The end of the last step that held, or of the first: what is past it is not to be borne."""
    held = [step for step in ramp if found.holds is not None and step.rate <= found.holds + 1e-4]
    return (held[-1] if held else ramp[0]).end_s * 1e6


def _medians(step: Step, due_s: np.ndarray, latency_ms: np.ndarray) -> np.ndarray:
    part = ((due_s - step.begin_s) / (step.end_s - step.begin_s) * _PARTS).astype(np.int64)
    return np.array(
        [
            np.median(latency_ms[part == number]) if (part == number).any() else np.nan
            for number in range(_PARTS)
        ]
    )


def _percentile(values: np.ndarray, percent: float) -> float:
    return round(float(np.percentile(values, percent)), 3) if len(values) else 0.0


class Lookout:
    """Sees a ramp while it is driven, and says when the knee is passed."""

    def __init__(self, ramp: Sequence[Step], due_us: np.ndarray) -> None:
        """`due_us` has every arrival's, by its number: they are in order."""
        self._due_us = due_us
        self._ahead = [_Watched(step, due_us) for step in ramp]

    def saw(self, records: np.ndarray, origin_ns: int) -> None:
        """Take note of a block of records; one whose error production had too is no failure."""
        last = records[records["flags"] & FINAL != 0]
        for watched in self._ahead:
            mine = last[(last["arrival"] >= watched.first) & (last["arrival"] < watched.end)]
            if len(mine):
                watched.saw(mine, origin_ns)

    def passed(self, now_s: float) -> bool:
        """Whether a step that is over, and has had a moment to end, did not hold."""
        while self._ahead and now_s >= self._ahead[0].over_s:
            watched = self._ahead.pop(0)
            due_us = self._due_us[watched.first : watched.end]
            if not watched.figures(due_us, now_s).holds:
                return True
        return False


class _Watched:
    """A step that is not yet judged, and what was seen of its arrivals."""

    def __init__(self, step: Step, due_us: np.ndarray) -> None:
        self._step = step
        self.first, self.end = (bisect_left(due_us, s * 1e6) for s in (step.begin_s, step.end_s))
        self.over_s = step.end_s + min((step.end_s - step.begin_s) / 4, 1.0)
        # Untouched pages of these cost no memory.
        self._ended_us = np.zeros(self.end - self.first, dtype=np.int64)  # 0: it has not
        self._bad = np.zeros(self.end - self.first, dtype=np.bool_)

    def saw(self, last: np.ndarray, origin_ns: int) -> None:
        """Take note of the last records of its arrivals."""
        place = last["arrival"] - self.first
        self._ended_us[place] = (last["ended"] - origin_ns) // 1000
        self._bad[place] = (last["outcome"] != CODE_OK) & (last["flags"] & EXPECTED == 0)

    def figures(self, due_us: np.ndarray, now_s: float) -> StepFigures:
        """What it comes to, with what has not ended as long as it was until now."""
        ended_us = np.where(self._ended_us == 0, now_s * 1e6, self._ended_us)
        return figures(self._step, due_us / 1e6, (ended_us - due_us) / 1e3, self._bad)
