"""How hard the load is when: stretches of time in which arrivals have one rate. Pure arithmetic.

A load is steady, follows the captured curve, or is stepped up; in any of them the boosted
templates may come in bursts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from replay.workload import Workload

POISSON, CURVE = ARRIVALS = ("poisson", "curve")
_BIN_S = 60.0  # of the curve: production's minutes, where the window has ten of them
_BINS_LEAST, _BINS_MOST = 10, 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time of one rate."""

    end_us: float  # since the origin; it begins where the one before ends
    rate: float  # multiple of production's
    boosted: bool = True  # boosts are in force
    bin: int = -1  # of the curve; -1: production's mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of a ramp."""

    begin_s: float
    end_s: float
    rate: float  # multiple of production's


def steady(rate: float, duration_s: float) -> tuple[Stretch, ...]:
    """One rate for all of the time."""
    return (Stretch(end_us=duration_s * 1e6, rate=rate),)


def curve(rate: float, duration_s: float, bins: int) -> tuple[Stretch, ...]:
    """The captured window's bins, over all of the time."""
    return tuple(
        Stretch(end_us=duration_s * 1e6 * (number + 1) / bins, rate=rate, bin=number)
        for number in range(bins)
    )


def steps(first: float, factor: float, step_s: float, duration_s: float) -> tuple[Step, ...]:
    """Steps of a ramp, each so many times the one before, as many as have room."""
    return tuple(
        Step(begin_s=number * step_s, end_s=(number + 1) * step_s, rate=first * factor**number)
        for number in range(max(int(duration_s / step_s + 1e-9), 1))
    )


def stepped(ramp: Sequence[Step]) -> tuple[Stretch, ...]:
    """A ramp's stretches."""
    return tuple(Stretch(end_us=step.end_s * 1e6, rate=step.rate) for step in ramp)


def in_bursts(stretches: Sequence[Stretch], burst_s: float, every_s: float) -> Iterator[Stretch]:
    """The same with boosts in force only in the last part, `burst_s`, of each `every_s`."""
    begin_us = 0.0
    for stretch in stretches:
        while begin_us < stretch.end_us:
            period_us = begin_us // (every_s * 1e6) * every_s * 1e6
            calm_us, ends_us = period_us + (every_s - burst_s) * 1e6, period_us + every_s * 1e6
            boosted = begin_us >= calm_us
            begin_us = min(ends_us if boosted else calm_us, stretch.end_us)
            yield replace(stretch, end_us=begin_us, boosted=boosted)


class Curve:
    """How often each kept transaction arrived in each bin of the window, 1 being its mean.

    A transaction follows the rarest of its templates: a nightly job comes at night.
    """

    def __init__(self, workload: Workload) -> None:
        slice_s = workload.manifest.slice_s
        slices = max(int(np.ceil(workload.window_s / slice_s)), 1)
        wanted = min(max(workload.window_s / _BIN_S, _BINS_LEAST), _BINS_MOST)
        self.bins = max(min(int(wanted), slices), 1)
        self._by_template: dict[str, np.ndarray] = {}
        self._calls: dict[str, int] = {}
        for template in workload.templates:
            counts = np.zeros(self.bins)
            for number, calls in template.calls_per_slice:
                if number >= 0:
                    counts[min(number * self.bins // slices, self.bins - 1)] += calls
            if counts.sum():
                self._by_template[template.id] = counts / counts.mean()
                self._calls[template.id] = template.calls
        kept = [
            min(
                (s.template for s in transaction.statements if s.template in self._calls),
                key=lambda name: self._calls[name],
                default="",
            )
            for transaction in workload.transactions
        ]
        self._template_of, numbers = np.unique(kept, return_inverse=True)
        self._number = numbers

    def shares(self, number: int) -> np.ndarray:
        """One factor a kept transaction, in a bin."""
        level = np.array(
            [
                self._by_template[name][number] if name in self._by_template else 1.0
                for name in self._template_of.tolist()
            ]
        )
        found: np.ndarray = level[self._number]
        return found
