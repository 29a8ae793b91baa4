"""How a template's time changes within the run, and with the number of its execution in a session.

Time that a statement was seen waiting for a lock does not count: it is another's doing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from replay.diagnose.attempts import Attempts, Codes, Ints
from replay.groups import Groups
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
    span_us = max((int(part.began_us.max()) for part in _served(attempts, waiting)), default=-1) + 1
    sums = _Sums(len(attempts.names))
    for part in _served(attempts, waiting):
        sums.add(part, part.began_us * _PARTS // span_us)
    medians = _Medians(sums)
    for part in _served(attempts, waiting):
        medians.add(part)
    return {
        name: _trend(sums, medians, code)
        for code, name in enumerate(attempts.names)
        if sums.calls[code]
    }


@dataclass(frozen=True, slots=True)
class _Calls:
    """Calls that were served and not seen waiting."""

    template: Codes
    pid: Codes
    began_us: Ints
    took_ms: np.ndarray


def _served(attempts: Attempts, waiting: Mapping[int, list[int]]) -> Iterator[_Calls]:
    good = np.array([name == OK for name in attempts.outcomes], dtype=bool)
    for part in attempts.parts():
        rows = np.flatnonzero(part.sent & good[part.outcome] & ~_waited(part, waiting))
        if len(rows):
            rows = rows[np.argsort(part.began_us[rows], kind="stable")]
            yield _Calls(
                part.template[rows],
                part.pid[rows],
                part.began_us[rows],
                part.service_us[rows] / 1e3,
            )


def _waited(attempts: Attempts, waiting: Mapping[int, list[int]]) -> np.ndarray:
    waited = np.zeros(len(attempts.pid), dtype=bool)
    for pid, moments in waiting.items():
        mine = np.flatnonzero((attempts.pid == pid) & attempts.sent)
        at = np.asarray(moments)
        begin = np.searchsorted(at, attempts.began_us[mine], "left")
        waited[mine] = np.searchsorted(at, attempts.ended_us[mine], "right") > begin
    return waited


class _Sums:
    """Calls and their time by template: of all, in the beginning, at the end, and from the 6th on."""

    def __init__(self, templates: int) -> None:
        self.calls, self.first, self.last = (np.zeros(templates, np.int64) for _ in range(3))
        self.took_ms, self.first_ms, self.last_ms = (np.zeros(templates) for _ in range(3))

    def add(self, calls: _Calls, part: Ints) -> None:
        """Add some, which fell into these parts of the run."""
        for counts, times_ms, chosen in (
            (self.calls, self.took_ms, part >= 0),
            (self.first, self.first_ms, part == 0),
            (self.last, self.last_ms, part >= _END),
        ):
            np.add.at(counts, calls.template[chosen], 1)
            np.add.at(times_ms, calls.template[chosen], calls.took_ms[chosen])


class _Medians:
    """Calls by template, and by whether they were among a session's first five, but for the very first."""

    def __init__(self, sums: _Sums) -> None:
        self._custom, self._generic = Groups(sums.calls), Groups(sums.calls)
        self._before: dict[tuple[int, int], int] = {}  # template, session -> executions
        self.beyond_ms = np.zeros(len(sums.calls))  # of those from the 6th on, in sum

    def add(self, calls: _Calls) -> None:
        """Add some that came after those before, in order of time."""
        nth = self._number(calls)
        custom, generic = (nth > 1) & (nth <= CUSTOM_PLANS), nth > CUSTOM_PLANS
        self._custom.add(calls.template[custom], calls.took_ms[custom])
        of, took_ms = calls.template[generic], calls.took_ms[generic]
        self._generic.add(of, took_ms)
        self.beyond_ms += np.bincount(of, took_ms, minlength=len(self.beyond_ms))

    def custom(self, code: int) -> float:
        """Their median; 0 where they are too few."""
        return _median(self._custom, code)

    def generic(self, code: int) -> tuple[int, float]:
        """How many came later, and their median; 0 where they are too few."""
        return self._generic.count(code), _median(self._generic, code)

    def _number(self, calls: _Calls) -> Ints:
        """Of each call: which execution it is in its session, from 1."""
        order = np.lexsort((calls.pid, calls.template))
        template, pid = calls.template[order], calls.pid[order]
        is_new = (np.diff(template, prepend=-1) != 0) | (np.diff(pid, prepend=-1) != 0)
        starts = np.flatnonzero(is_new)
        counts = np.diff(np.append(starts, len(order)))
        kinds = list(zip(template[starts].tolist(), pid[starts].tolist(), strict=True))
        before = np.array([self._before.get(kind, 0) for kind in kinds])
        number = np.empty(len(order), dtype=np.int64)
        number[order] = np.arange(len(order)) - np.repeat(starts - before, counts) + 1
        for kind, count in zip(kinds, counts.tolist(), strict=True):
            self._before[kind] = self._before.get(kind, 0) + count
        return number


def _trend(sums: _Sums, medians: _Medians, code: int) -> Trend:
    calls = int(sums.calls[code])
    first_ms = _mean(sums.first_ms[code], sums.first[code])
    custom_p50 = medians.custom(code)
    later, generic_p50 = medians.generic(code)
    slowed_ms = float(sums.took_ms[code]) - calls * first_ms
    beyond_ms = float(medians.beyond_ms[code]) - later * custom_p50
    return Trend(
        calls=calls,
        first_ms=first_ms,
        last_ms=_mean(sums.last_ms[code], sums.last[code]),
        slowed_s=max(slowed_ms, 0.0) / 1e3 if first_ms else 0.0,
        custom_p50_ms=custom_p50,
        generic_p50_ms=generic_p50,
        beyond_s=max(beyond_ms, 0.0) / 1e3 if custom_p50 else 0.0,
    )


def _mean(total_ms: float, count: int) -> float:
    return float(total_ms / count) if count >= _CALLS_AT_LEAST else 0.0


def _median(groups: Groups, code: int) -> float:
    return groups.percentiles(code, (50,))[0] if groups.count(code) >= _CALLS_AT_LEAST else 0.0
