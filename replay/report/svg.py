"""Geometry of the report's charts: paths, ticks and what hovering tells. The page draws them.

Nothing here makes markup: text reaches the page through the template, which escapes it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 988, 14, 222

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A grid line: where it lies, and what it says."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A line or an area of one series."""

    name: str
    tone: str  # CSS class that colours it
    path: str  # SVG path data
    filled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart, ready to be drawn in a box of 1000 by 250."""

    title: str
    note: str
    shapes: tuple[Shape, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    end: Tick | None = None  # where arrivals end
    rule: Tick | None = None  # a promised level
    hover: Mapping[str, object] = field(default_factory=dict)  # read by page.js

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the plot."""
        return _LEFT, _TOP, _RIGHT, _BOTTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Plotted:
    """A series as it comes in."""

    name: str
    tone: str
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The time that a chart spans."""

    width_s: float  # of a step
    count: int  # steps
    planned_s: float  # arrivals end here

    def x(self, at_s: float) -> float:
        """Where a moment lies."""
        return round(_LEFT + (_RIGHT - _LEFT) * at_s / (self.width_s * self.count), 1)

    def middle(self, step: int) -> float:
        """Where the middle of a step lies."""
        return self.x((step + 0.5) * self.width_s)

    def ticks(self) -> tuple[Tick, ...]:
        """Ten round moments at most."""
        length = self.width_s * self.count
        step = _round_step(length / 10)
        return tuple(
            Tick(at=self.x(number * step), label=f"{number * step:g} s")
            for number in range(int(length / step + 1e-9) + 1)
        )

    def end(self) -> Tick | None:
        """The end of arrivals, where the run went on after it."""
        if self.planned_s > (self.count - 1) * self.width_s:
            return None
        return Tick(at=self.x(self.planned_s), label="arrivals end")


def stacked(
    title: str, note: str, axis: Axis, series: Sequence[Plotted], tell: Callable[[float], str]
) -> Chart:
    """Areas on top of one another, the first at the bottom."""
    sums = [0.0] * axis.count
    layers = []
    for one in series:
        below = sums
        sums = [low + (value or 0.0) for low, value in zip(below, one.values, strict=True)]
        layers.append((one, below, sums))
    highest = max(*sums, 1.0)
    level = _round_step(highest / 5)
    levels = math.ceil(round(highest / level, 6))
    scale = _linear(levels * level)
    shapes = tuple(
        Shape(name=one.name, tone=one.tone, path=_area(axis, low, high, scale), filled=True)
        for one, low, high in layers
    )
    return Chart(
        title=title,
        note=note,
        shapes=shapes,
        x_ticks=axis.ticks(),
        y_ticks=tuple(
            Tick(at=scale(number * level), label=f"{number * level:g}")
            for number in range(levels + 1)
        ),
        end=axis.end(),
        hover=_hover(axis, series, tell),
    )


def lines(
    title: str,
    note: str,
    axis: Axis,
    series: Sequence[Plotted],
    tell: Callable[[float], str],
    promised: float | None = None,
) -> Chart:
    """Lines on a logarithmic scale of ms: a storm spans four decades."""
    known = [value for one in series for value in one.values if value is not None and value > 0]
    known += [promised] if promised else []
    low = math.floor(math.log10(max(min(known, default=1.0), 0.1)))
    high = max(math.ceil(math.log10(max(known, default=10.0))), low + 1)
    scale = _logarithmic(low, high)
    return Chart(
        title=title,
        note=note,
        shapes=tuple(
            Shape(name=one.name, tone=one.tone, path=_line(axis, one.values, scale), filled=False)
            for one in series
        ),
        x_ticks=axis.ticks(),
        y_ticks=tuple(
            Tick(at=scale(10.0**power), label=_decade(power)) for power in range(low, high + 1)
        ),
        end=axis.end(),
        rule=Tick(at=scale(promised), label=f"objective {tell(promised)}") if promised else None,
        hover=_hover(axis, series, tell),
    )


def _hover(
    axis: Axis, series: Sequence[Plotted], tell: Callable[[float], str]
) -> dict[str, object]:
    return {
        "left": _LEFT,
        "right": _RIGHT,
        "steps": axis.count,
        "width_s": axis.width_s,
        "series": [
            {
                "name": one.name,
                "tone": one.tone,
                "values": [None if value is None else tell(value) for value in one.values],
            }
            for one in series
        ],
    }


def _area(
    axis: Axis, low: Sequence[float], high: Sequence[float], y: Callable[[float], float]
) -> str:
    xs = [axis.middle(step) for step in range(axis.count)]
    there = [f"{x},{y(value)}" for x, value in zip(xs, high, strict=True)]
    back = [f"{x},{y(value)}" for x, value in zip(xs, low, strict=True)]
    return "M" + "L".join([*there, *reversed(back)]) + "Z"


def _line(axis: Axis, values: Values, y: Callable[[float], float]) -> str:
    """A path that breaks off where a step saw nothing; a lone step is a short dash."""
    path = []
    pen_down = False
    for step, value in enumerate(values):
        if value is None:
            pen_down = False
            continue
        at = f"{axis.middle(step)},{y(value)}"
        path.append(f"L{at}" if pen_down else f"M{at}h0.1")
        pen_down = True
    return "".join(path)


def _linear(top: float) -> Callable[[float], float]:
    return lambda value: round(_BOTTOM - (_BOTTOM - _TOP) * value / top, 1)


def _logarithmic(low: int, high: int) -> Callable[[float], float]:
    def y(value: float) -> float:
        exponent = min(max(math.log10(max(value, 1e-9)), low), high)
        return round(_BOTTOM - (_BOTTOM - _TOP) * (exponent - low) / (high - low), 1)

    return y


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no less than `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least - 1e-9)


def _decade(power: int) -> str:
    return f"{10.0 ** (power - 3):g} s" if power >= 3 else f"{10.0**power:g} ms"
