"""When which kept transaction arrives: pure arithmetic over a workload, with no clock inside."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from replay.errors import InputError
from replay.load import refuse
from replay.load.pace import Curve, Stretch, steady
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.settings import Settings, only_sets
from replay.sql.slots import Linked, render
from replay.workload import Statement, Transaction, Workload

_BLOCK = 4096  # arrivals drawn at a time
LEFT_OUT_EMPTY = "empty"  # a transaction of which no statement was kept
LEFT_OUT_SETS = "session_setting"  # set on the pool's connections where a transaction needs it

Values = tuple[tuple[str | None, ...], ...]  # of each statement, one a slot


def mix(
    workload: Workload,
    *,
    rate: float,
    boosts: Mapping[str, float],
    duration_s: float,
    rng: np.random.Generator,
    stretches: Sequence[Stretch] = (),
) -> Iterator[tuple[int, Transaction]]:
    """Poisson arrivals, due µs since the origin and never falling, all under the duration.

    Each kept transaction arrives at `rate` times the rate of those that it stands for (its weight
    over the captured window); one that holds boosted templates at the highest of their boosts
    times that. `stretches` say how the rate changes, instead of `rate`. Raises InputError where
    that makes no arrival possible.
    """
    kept = tuple(workload.transactions)
    usual, raised = _per_s(kept, workload.window_s), _boosts(kept, boosts)
    if not rate > 0 or not usual.sum() > 0:
        raise InputError(
            "the workload has no transaction that could arrive: capture a busy window, "
            "and run with a rate above 0"
        )
    stretches = stretches or steady(rate, duration_s)
    curve = Curve(workload) if any(stretch.bin >= 0 for stretch in stretches) else None
    when, which = rng.spawn(2)
    begin_us = 0.0
    for stretch in stretches:
        rates = usual * stretch.rate * (raised if stretch.boosted else 1.0)
        if curve is not None:
            rates = rates * curve.shares(stretch.bin)
        for due_us, position in _drawn(rates, begin_us, stretch.end_us, when, which):
            yield due_us, kept[position]
        begin_us = stretch.end_us


def expected(
    workload: Workload, boosts: Mapping[str, float], stretches: Sequence[Stretch]
) -> float:
    """How many arrivals `mix` draws in these stretches, in the mean."""
    kept = tuple(workload.transactions)
    usual = _per_s(kept, workload.window_s)
    per_s = {False: usual.sum(), True: (usual * _boosts(kept, boosts)).sum()}
    lengths_s = np.diff([0.0, *(stretch.end_us / 1e6 for stretch in stretches)])
    return float(
        sum(
            per_s[stretch.boosted] * stretch.rate * length_s
            for stretch, length_s in zip(stretches, lengths_s.tolist(), strict=True)
        )
    )


def _per_s(kept: Sequence[Transaction], window_s: float) -> np.ndarray:
    """Production's rate of what each kept transaction stands for."""
    return np.array([one.weight for one in kept]) / window_s


def _boosts(kept: Sequence[Transaction], boosts: Mapping[str, float]) -> np.ndarray:
    return np.array([_boost(one, boosts) for one in kept])


def _drawn(
    rates: np.ndarray,
    begin_us: float,
    end_us: float,
    when: np.random.Generator,
    which: np.random.Generator,
) -> Iterator[tuple[int, int]]:
    """Arrivals of a stretch, each with the position of its transaction."""
    edges = np.cumsum(rates)
    if not edges[-1] > 0:
        return
    now_us = begin_us
    while now_us < end_us:
        due = now_us + np.cumsum(when.exponential(1e6 / edges[-1], _BLOCK))
        drawn = np.searchsorted(edges, which.random(_BLOCK) * edges[-1], side="right")
        now_us = float(due[-1])
        for due_us, position in zip(due[due < end_us].tolist(), drawn.tolist(), strict=False):
            yield int(due_us), min(position, len(rates) - 1)


def plan(
    due_us: int,
    transaction: Transaction,
    values: Values,
    *,
    gaps: float = 1.0,
    session: str = "",
    connect_us: int = 0,
    settings: Settings = (),
) -> PlannedTransaction:
    """The arrival with its bound values, ready for a shard; or left out, with the reason.

    `gaps` stretches the client's own time between its statements; with a `session`, it is one of
    that session's, which connects at that time; without one, what does nothing but set is left out.
    Where the connection has not been given exactly `settings`, it is before this.
    """
    left_out = refuse.first_reason(transaction.statements)
    if not left_out and not session and only_sets(transaction):
        left_out = LEFT_OUT_SETS
    if left_out or not transaction.statements:
        return PlannedTransaction(due_us=due_us, statements=(), left_out=left_out or LEFT_OUT_EMPTY)
    statements: list[PlannedStatement] = []
    answered_us = 0  # when production's client had the answer before, since its start
    for statement, bound in zip(transaction.statements, values, strict=True):
        gap_us = max(statement.offset_us - answered_us, 0) if statements else 0
        gap_us = round(gap_us * gaps)
        statements.append(_planned(statement, bound, gap_us))
        answered_us = statement.offset_us + statement.duration_us
    return PlannedTransaction(
        due_us=due_us,
        statements=tuple(statements),
        session=session,
        connect_us=connect_us,
        settings=settings,
    )


def _planned(statement: Statement, bound: tuple[str | None, ...], gap_us: int) -> PlannedStatement:
    sql, parameters = render(statement.sql, statement.slots, bound, linked=True)
    is_linked = any(isinstance(value, Linked) for value in bound)
    return PlannedStatement(
        template=statement.template,
        sql=sql,
        # A text of its own does not go under the name of the others.
        prepared="" if is_linked and statement.prepared else statement.prepared,
        values=tuple(None if value is None else value.encode() for value in parameters),
        gap_us=gap_us,
        expected_error=statement.error,
    )


def _boost(transaction: Transaction, boosts: Mapping[str, float]) -> float:
    return max(
        (boosts[s.template] for s in transaction.statements if s.template in boosts), default=1.0
    )
