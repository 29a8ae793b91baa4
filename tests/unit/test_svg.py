"""The charts' geometry: heights add up, gaps stay gaps, a storm's decades fit."""

import re

import pytest

from replay.report import svg

AXIS = svg.Axis(width_s=1.0, count=4, planned_s=4.0)
LEFT, TOP, RIGHT, BOTTOM = 58, 14, 988, 222


def series(name, *values):
    return svg.Plotted(name=name, tone="cpu-1", values=values)


def points(path):
    return [tuple(map(float, pair.split(","))) for pair in re.findall(r"[-\d.]+,[-\d.]+", path)]


def test_areas_stand_on_one_another():
    chart = svg.stacked(
        "t", "n", AXIS, [series("a", 1, 2, 0, 4), series("b", 1, 0, 4, 4)], lambda value: f"{value}"
    )
    low, high = (points(shape.path) for shape in chart.shapes)
    assert low[:4] == list(reversed(high[4:]))
    level = {float(tick.label): tick.at for tick in chart.y_ticks}
    assert high[3][1] == level[8.0]
    assert [y for _, y in low[4:]] == [level[0.0]] * 4


@pytest.mark.parametrize("top", [0.0, 0.3, 1, 7, 20, 20.4, 99, 1234])
def test_the_scale_holds_the_highest_value(top):
    chart = svg.stacked("t", "n", AXIS, [series("a", 0, top, 0, 0)], str)
    assert min(y for _, y in points(chart.shapes[0].path)) >= TOP
    assert 2 <= len(chart.y_ticks) <= 6


def test_a_line_breaks_off_where_nothing_was_seen():
    chart = svg.lines("t", "n", AXIS, [series("a", 1.0, None, 10.0, 100.0)], str)
    path = chart.shapes[0].path
    assert path.count("M") == 2
    assert path.count("L") == 1


@pytest.mark.parametrize("values", [(None,), (0.0,), (0.004, 9_000.0), (250.0,), (None, None)])
def test_decades_hold_every_value_and_the_objective(values):
    axis = svg.Axis(width_s=0.5, count=len(values), planned_s=1.0)
    chart = svg.lines("t", "n", axis, [series("a", *values)], str, 250.0)
    assert all(TOP <= y <= BOTTOM for _, y in points(chart.shapes[0].path))
    assert TOP <= chart.rule.at <= BOTTOM
    assert chart.y_ticks[0].at == BOTTOM
    assert chart.y_ticks[-1].at == TOP


def test_the_end_of_arrivals_is_drawn_where_the_run_had_a_tail():
    assert AXIS.end() is None
    tail = svg.Axis(width_s=1.0, count=8, planned_s=4.0)
    assert tail.end().at == (LEFT + RIGHT) / 2
    assert [tick.label for tick in tail.ticks()][:3] == ["0 s", "1 s", "2 s"]
