"""How hard the load is when: bursts, the captured curve, steps; and which step of a ramp breaks."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from test_schedule import WINDOW_S, drawn, workload

from replay.conduct.options import RunOptions
from replay.errors import InputError
from replay.load import pace, ramp, schedule
from replay.load.pace import Step
from replay.load.transactions import transactions
from replay.workload import Template, Workload


def spans(stretches: object) -> list[tuple[float, bool]]:
    return [(one.end_us / 1e6, one.boosted) for one in stretches]  # type: ignore[attr-defined]


def test_bursts_come_at_the_end_of_each_period():
    cut = pace.in_bursts(pace.steady(1.0, 25.0), burst_s=3.0, every_s=10.0)
    assert spans(cut) == [(7, False), (10, True), (17, False), (20, True), (25, False)]


def test_bursts_cut_through_a_curve():
    cut = list(pace.in_bursts(pace.curve(1.0, 10.0, 2), burst_s=6.0, every_s=10.0))
    assert [(s.end_us / 1e6, s.boosted, s.bin) for s in cut] == [
        (4, False, 0),
        (5, True, 0),
        (10, True, 1),
    ]


def test_boosted_templates_arrive_in_their_bursts():
    stretches = tuple(pace.in_bursts(pace.steady(1.0, 100.0), burst_s=2.0, every_s=10.0))
    found = drawn(workload((100, "a"), (2, "b")), boosts={"b": 100.0}, stretches=stretches)
    inside = [due % 10_000_000 >= 8_000_000 for due, name in found if name == "b"]
    assert sum(inside) == pytest.approx(400, abs=100)  # 20 a second, for 20 s
    assert inside.count(False) == pytest.approx(16, abs=16)
    others = sum(name == "a" for _, name in found)
    assert others == pytest.approx(1000, abs=5 * 1000**0.5)


def with_curve(**slices: dict[int, int]) -> Workload:
    """A workload of so many calls of each template in each second of its window."""
    source = workload(*((float(sum(calls.values())), name) for name, calls in slices.items()))
    templates = tuple(
        Template(
            id=name,
            sql="",
            kind="select",
            tables=(),
            calls=sum(calls.values()),
            errors=0,
            total_ms=0,
            calls_per_slice=tuple(calls.items()),
        )
        for name, calls in slices.items()
    )
    return replace(source, templates=templates)


def test_each_template_follows_its_own_curve():
    even = dict.fromkeys(range(int(WINDOW_S)), 100)
    source = with_curve(a=even, b={-1: 7, 4: 50})  # one that failed before the window has no place
    stretches = pace.curve(1.0, 100.0, pace.Curve(source).bins)  # ten times as long
    found = drawn(source, stretches=stretches)
    per_bin = {
        name: Counter(due // 10_000_000 for due, other in found if other == name) for name in "ab"
    }
    assert set(per_bin["b"]) == {4}
    assert sum(per_bin["b"].values()) == pytest.approx(570, abs=130)
    assert all(count == pytest.approx(1000, abs=160) for count in per_bin["a"].values())
    assert len(per_bin["a"]) == 10


def test_how_many_will_arrive_is_known_before():
    source = workload((300, "a"), (20, "b"))
    boosts = {"b": 20.0}
    for stretches in (
        pace.stepped(pace.steps(1.0, 2.0, 5.0, 20.0)),
        pace.curve(2.0, 20.0, 10),
        tuple(pace.in_bursts(pace.steady(1.0, 20.0), 2.0, 10.0)),
    ):
        found = len(drawn(source, boosts=boosts, stretches=stretches))
        assert found == pytest.approx(schedule.expected(source, boosts, stretches), rel=0.1)


def test_steps_grow_by_the_factor_and_end_with_the_duration():
    found = pace.steps(0.5, 2.0, 10.0, 35.0)
    assert [(s.begin_s, s.end_s, s.rate) for s in found] == [
        (0, 10, 0.5),
        (10, 20, 1.0),
        (20, 30, 2.0),
    ]


STEP = Step(begin_s=10.0, end_s=20.0, rate=2.0)


def served(rate: float, capacity: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Due and latency of a queue with one server, Poisson arrivals and even service."""
    rng = np.random.default_rng(seed)
    due = STEP.begin_s + np.cumsum(rng.exponential(1 / rate, int(rate * 12)))
    due = due[due < STEP.end_s]
    free, ended = 0.0, []
    for at in due:
        free = max(free, at) + 1 / capacity
        ended.append(free)
    return due, (np.array(ended) - due) * 1e3


@pytest.mark.parametrize(
    ("rate", "holds"), [(50, True), (150, True), (180, True), (240, False), (400, False)]
)
def test_a_queue_past_its_capacity_breaks_the_step(rate, holds):
    due, latency = served(rate, capacity=200)
    found = ramp.figures(STEP, due, latency, np.zeros(len(due), dtype=bool))
    assert found.holds == holds, found


def test_slow_is_not_broken_and_failing_is():
    due, _ = served(100, 200)
    slow = ramp.figures(STEP, due, np.full(len(due), 900.0), np.zeros(len(due), dtype=bool))
    assert slow.holds
    assert slow.p95_ms == 900
    failing = ramp.figures(STEP, due, np.full(len(due), 1.0), np.arange(len(due)) % 10 == 0)
    assert not failing.holds
    assert failing.done_per_s == pytest.approx(0.9 * failing.due_per_s, rel=0.01)


def test_the_capacity_is_the_last_step_that_held():
    due, latency = served(100, 200)
    none = np.zeros(len(due), dtype=bool)
    good = ramp.figures(STEP, due, latency, none)
    bad = replace(good, rate=4.0, holds=False)
    found = ramp.capacity([good, bad, replace(good, rate=8.0)])
    assert (found.holds, found.breaks) == (2.0, 4.0)
    assert "2 x production's rate holds" in found.in_words()
    assert ramp.capacity([bad]).holds is None
    assert "begin lower" in ramp.capacity([bad]).in_words()
    assert "go on" in ramp.capacity([good]).in_words()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"burst_s": 1.0}, "go together"),
        ({"scenario": "storm", "boosts": {"rare": 2.0}, "burst_s": 5.0, "every_s": 4.0}, "no room"),
        ({"burst_s": 1.0, "every_s": 2.0}, "--scenario storm"),
        ({"arrivals": "curve", "scenario": "ramp"}, "mix and storm"),
        ({"scenario": "ramp", "rate": 2.0}, "--from and --factor"),
        ({"scenario": "ramp", "workers": 2}, "--workers"),
        ({"scenario": "ramp", "factor": 1.0}, "goes up"),
        ({"factor": 2.0}, "--scenario ramp"),
        ({"speed": 2.0}, "as_recorded"),
        ({"scenario": "as_recorded", "pool": 20}, "connection of its own"),
        ({"scenario": "as_recorded", "pool_timeout_ms": 9}, "connection of its own"),
        ({"workers": 9, "pool": 8}, "with --pool"),
        ({"service": "http://localhost:1", "retries": 1}, "--retry is of statements"),
    ],
)
def test_options_that_contradict_one_another_are_told(options, said):
    with pytest.raises(InputError, match=said):
        RunOptions(**options).check()


def test_a_recording_has_as_many_workers_as_are_asked_for():
    RunOptions(scenario="as_recorded", workers=40).check()
    with pytest.raises(InputError, match="cannot share a pool of 20"):
        RunOptions(workers=40).check()


def attempts(due_us: np.ndarray, outcome: np.ndarray, took_us: int = 5000) -> pa.Table:
    """One statement each, of which those that are skipped never came due."""
    zeros, skipped = np.zeros(len(due_us), dtype=np.int64), np.char.startswith(outcome, "skipped")
    columns = {
        "arrival": np.arange(len(due_us)),
        "ordinal": zeros,
        "due_us": due_us,
        "began_us": np.where(skipped, -1, due_us),
        "ended_us": np.where(skipped, due_us, due_us + took_us),
        "lag_us": zeros,
        "outcome": pa.array(outcome).dictionary_encode(),
    }
    return pa.table(columns)


@pytest.mark.parametrize("stopped_s", [23.0, 29.0])
def test_a_ramp_that_was_stopped_is_judged_by_what_it_came_to(stopped_s):
    steps = pace.steps(1.0, 2.0, 10.0, 60.0)
    due_us = np.arange(0, 60_000_000, 50_000)
    outcome = np.where(due_us < stopped_s * 1e6, "ok", "skipped:end")
    done = transactions([attempts(due_us, outcome)], len(due_us))
    found = ramp.driven(steps, done, np.zeros(len(due_us), dtype=bool))
    assert [step.rate for step in found.steps] == [1.0, 2.0, 4.0][: 2 + (stopped_s > 25)]
    assert (found.holds, found.breaks) == (found.steps[-1].rate, None)


def test_what_failed_in_production_too_is_no_failure_of_a_step() -> None:
    """A tenth of the requests asks for what was not there either."""
    count = 400
    number = np.arange(count)
    due_us = 10_000_000 + number * 25_000
    outcome = np.where(number % 10 == 0, "http 404", "ok")
    done = transactions([attempts(due_us, outcome)], count)
    steps = (STEP,)
    assert ramp.driven(steps, done, number % 10 == 0).holds == STEP.rate
    found = ramp.driven(steps, done, np.zeros(count, dtype=bool))
    assert (found.holds, found.breaks) == (None, STEP.rate)
