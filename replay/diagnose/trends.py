"""How a template's time changes within the run, and with the number of its execution in a session.

Time that a statement was seen waiting for a lock does not count: it is another's doing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replay.diagnose.attempts import Attempts, Codes, Ints
from replay.outcome import OK

CUSTOM_PLANS = (
    5  # executions of a prepared statement before a generic plan is tried (manual, PREPARE)
)
_PARTS = 6  # of the run: the first is the beginning, the last two are the end
_END = 4
_CALLS_AT_LEAST = 5  # in the parts that are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One template's service time, of calls that were served; means in ms unless named otherwise."""

    calls: int
    first_ms: float  # in the run's first sixth; 0 where there are too few calls
    last_ms: float  # in its last third
    slowed_s: float  # by what all calls were longer than those of the first sixth
    custom_p50_ms: float  # executions 1 to 5 of each session, after the very first
    generic_p50_ms: float  # from the 6th on
    beyond_s: float  # by what the calls from the 6th on were longer than those before

    @property
    def growth(self) -> float:
        """How many times longer at the end than in the beginning; 1 where too few calls tell."""
        return self.last_ms / self.first_ms if self.first_ms > 0 and self.last_ms > 0 else 1.0

    @property
    def jump(self) -> float:
        """How many times longer from the 6th execution on; 1 where too few calls tell."""
        if self.custom_p50_ms <= 0 or self.generic_p50_ms <= 0:
            return 1.0
        return self.generic_p50_ms / self.custom_p50_ms


def trends(attempts: Attempts, waiting: Mapping[int, list[int]]) -> dict[str, Trend]:
    """Template -> its trend; `waiting` has when each session was seen waiting for a lock, in order."""
    good = np.array([name == OK for name in attempts.outcomes], dtype=bool)[attempts.outcome]
    rows = np.flatnonzero(attempts.sent & good & ~_waited(attempts, waiting))
    if not len(rows):
        return {}
    span_us = int(attempts.began_us[rows].max()) + 1
    order = rows[np.lexsort((attempts.began_us[rows], attempts.template[rows]))]
    codes = attempts.template[order]
    groups = np.split(order, np.flatnonzero(np.diff(codes)) + 1)
    return {
        attempts.names[int(attempts.template[mine[0]])]: _trend(attempts, mine, span_us)
        for mine in groups
    }


def _waited(attempts: Attempts, waiting: Mapping[int, list[int]]) -> np.ndarray:
    waited = np.zeros(len(attempts.pid), dtype=bool)
    for pid, moments in waiting.items():
        mine = np.flatnonzero((attempts.pid == pid) & attempts.sent)
        at = np.asarray(moments)
        begin = np.searchsorted(at, attempts.began_us[mine], "left")
        waited[mine] = np.searchsorted(at, attempts.ended_us[mine], "right") > begin
    return waited


def _trend(attempts: Attempts, rows: Ints, span_us: int) -> Trend:
    took_ms = attempts.service_us[rows] / 1e3
    part = attempts.began_us[rows] * _PARTS // span_us
    first, last = took_ms[part == 0], took_ms[part >= _END]
    first_ms, last_ms = _mean(first), _mean(last)
    nth = _number_in_session(attempts.pid[rows])
    custom = took_ms[(nth > 1) & (nth <= CUSTOM_PLANS)]
    generic = took_ms[nth > CUSTOM_PLANS]
    custom_p50, generic_p50 = _median(custom), _median(generic)
    return Trend(
        calls=len(rows),
        first_ms=first_ms,
        last_ms=last_ms,
        slowed_s=max(float((took_ms - first_ms).sum()), 0.0) / 1e3 if first_ms else 0.0,
        custom_p50_ms=custom_p50,
        generic_p50_ms=generic_p50,
        beyond_s=max(float((generic - custom_p50).sum()), 0.0) / 1e3 if custom_p50 else 0.0,
    )


def _number_in_session(pids: Codes) -> Ints:
    """Of each row, in order of time: which execution it is in its session, from 1."""
    order = np.argsort(pids, kind="stable")
    starts = np.flatnonzero(np.diff(pids[order], prepend=-1))
    counts = np.diff(np.append(starts, len(pids)))
    number = np.empty(len(pids), dtype=np.int64)
    number[order] = np.arange(len(pids)) - np.repeat(starts, counts) + 1
    return number


def _mean(took_ms: np.ndarray) -> float:
    return float(took_ms.mean()) if len(took_ms) >= _CALLS_AT_LEAST else 0.0


def _median(took_ms: np.ndarray) -> float:
    return float(np.median(took_ms)) if len(took_ms) >= _CALLS_AT_LEAST else 0.0
