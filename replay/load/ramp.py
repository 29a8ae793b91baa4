"""Whether a step of a ramp holds: by the slope of latency, not by a threshold alone. Pure arithmetic.

Past capacity a queue grows as long as the step lasts, slowly just past it: at 2 % over, by 20 ms a
second. So a step breaks when the medians of its parts climb, or when too much of it fails.
"""

from collections.abc import Collection, Sequence
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


def driven(ramp: Sequence[Step], done: Transactions, expected: Collection[int]) -> Capacity:
    """What a ramp's transactions say, up to the first step that breaks, or that was not reached.

    `expected` are arrivals that failed as they did in production: these are no failures.
    """
    due_s, bad = done.due_us / 1e6, (done.outcome == FAILED) | (done.outcome == SKIPPED)
    bad &= ~np.isin(done.arrival, list(expected))
    last_s = float((due_s + done.latency_ms / 1e3).max(initial=0.0))
    found: list[StepFigures] = []
    for step in ramp:
        inside = (due_s >= step.begin_s) & (due_s < step.end_s)
        if step.end_s > last_s + (step.end_s - step.begin_s) / 4:
            break
        found.append(figures(step, due_s[inside], done.latency_ms[inside], bad[inside]))
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
        self._ramp = list(ramp)
        self._due_s = due_us / 1e6
        self._ended_s = np.full(len(due_us), np.nan)
        self._bad = np.zeros(len(due_us), dtype=bool)

    def saw(self, records: np.ndarray, origin_ns: int) -> None:
        """Take note of a block of records; one whose error production had too is no failure."""
        last = records[records["flags"] & FINAL != 0]
        self._ended_s[last["arrival"]] = (last["ended"] - origin_ns) / 1e9
        self._bad[last["arrival"]] = (last["outcome"] != CODE_OK) & (last["flags"] & EXPECTED == 0)

    def passed(self, now_s: float) -> bool:
        """Whether a step that is over, and has had a moment to end, did not hold."""
        while self._ramp and now_s >= self._ramp[0].end_s + min(self._length_s / 4, 1.0):
            step = self._ramp.pop(0)
            first, last = np.searchsorted(self._due_s, [step.begin_s, step.end_s])
            due_s, ended_s = self._due_s[first:last], self._ended_s[first:last]
            pending = np.isnan(ended_s)
            latency_ms = (np.where(pending, now_s, ended_s) - due_s) * 1e3
            if not figures(step, due_s, latency_ms, self._bad[first:last]).holds:
                return True
        return False

    @property
    def _length_s(self) -> float:
        return self._ramp[0].end_s - self._ramp[0].begin_s
