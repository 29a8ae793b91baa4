"""Which kept transaction arrives when in a run, as its options ask, and how many about there will be."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from replay.conduct.amplify import arrivals as amplified
from replay.conduct.options import RECORDED, RunOptions
from replay.errors import InputError
from replay.load import pace, schedule, timeline
from replay.load.settings import at_begin, before_each
from replay.workload import Transaction, Workload

_PLANNED_AT_MOST = 20_000_000  # transactions: more are a slip of the keyboard
_RAMP_AT_MOST = 200_000  # of a ramp: most of its steps are never reached


def arrivals(
    workload: Workload,
    options: RunOptions,
    boosts: Mapping[str, float],
    steps: Sequence[pace.Step],
    rng: np.random.Generator,
) -> Iterator[tuple[int, Transaction, dict[str, Any]]]:
    """When each transaction is due, µs since the origin, and what else its plan has to know."""
    if options.scenario == RECORDED:
        gaps = timeline.gaps_of(options.speed, options.think)
        standing = at_begin(workload.standing)
        for due in timeline.as_recorded(workload, speed=options.speed, think=options.think):
            if due.due_us < options.duration_s * 1e6:
                session = due.transaction.session
                yield (
                    due.due_us,
                    due.transaction,
                    {
                        "gaps": gaps,
                        "session": session,
                        "connect_us": due.connect_us,
                        "settings": standing.get(session, ()),
                    },
                )
        return
    mixed = schedule.mix(
        workload,
        rate=options.rate,
        boosts=boosts,
        duration_s=options.duration_s,
        rng=rng,
        stretches=_stretches(workload, options, steps),
    )
    if options.amplify is not None:
        mixed = amplified(mixed, options.amplify)
    settings = before_each(workload.transactions, workload.standing)
    for due_us, transaction in mixed:
        yield due_us, transaction, {"settings": settings.get(transaction.id, ())}


def expected(
    workload: Workload,
    options: RunOptions,
    boosts: Mapping[str, float],
    steps: Sequence[pace.Step],
) -> int:
    """How many transactions arrive, about; of a recording, at most.

    Raises InputError where that is more than anybody can want.
    """
    if options.scenario == RECORDED:
        return len(workload.transactions)
    found = schedule.expected(workload, boosts, _stretches(workload, options, steps))
    if found > _PLANNED_AT_MOST:
        raise InputError(
            f"that is {found:,.0f} transactions in {options.duration_s:g} s; "
            "give a lower --rate or --boost, or a shorter --duration"
        )
    return round(found)


def steps_of(workload: Workload, options: RunOptions) -> tuple[pace.Step, ...]:
    """A ramp's steps, as many of them as can be planned."""
    usual_per_s = sum(t.weight for t in workload.transactions) / workload.window_s
    wanted = pace.steps(options.first, options.factor, options.step_s, options.duration_s)
    planned = np.cumsum([step.rate for step in wanted]) * options.step_s * usual_per_s
    return wanted[: max(int((planned <= _RAMP_AT_MOST).sum()), 1)]


def _stretches(
    workload: Workload, options: RunOptions, steps: Sequence[pace.Step]
) -> tuple[pace.Stretch, ...]:
    """How hard the mix is when."""
    if steps:
        return pace.stepped(steps)
    if options.arrivals == pace.CURVE:
        bins = pace.Curve(workload).bins
        stretches = pace.curve(options.rate, options.duration_s, bins)
    else:
        stretches = pace.steady(options.rate, options.duration_s)
    if options.burst_s is None or options.every_s is None:
        return stretches
    return tuple(pace.in_bursts(stretches, options.burst_s, options.every_s))
