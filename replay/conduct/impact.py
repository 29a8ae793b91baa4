"""What a migration did to the load: how slow it became, and when it was itself again.

Who waited for whom is told by `waits`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from replay.conduct.during import Ran, Script
from replay.conduct.waits import with_waits
from replay.groups import Groups
from replay.load.transactions import OK, Block, Transactions
from replay.migration import Migration, MigrationStatement, Round
from replay.outcome import OK as OUTCOME_OK

_STEP_S = 0.5
_IN_A_STEP = 10  # transactions on average: steps are longer where the load is thin
_BEFORE_S = 30.0  # how far back "before" goes
_BEFORE_LEAST = 20  # transactions; with fewer the objective is the measure
_SLOW_TIMES, _SLOW_MORE_MS = 3.0, 20.0  # of the p95 before it, whichever is more
_DISTURBED_SHARE = 0.2  # of a step's transactions slow or failed, beyond the share before
_CALM_STEPS = 2  # on end: then the load is itself again


def measure(
    script: Script,
    ran: Sequence[Ran],
    *,
    t0_ns: int,
    at_s: float,
    repeat: int,
    blocking: pa.Table,
    attempts: Callable[[], Iterable[pa.Table]],
    done: Transactions,
    expected: np.ndarray,
    objective_ms: float,
    duration_s: float,
) -> Migration:
    """The migration's record.

    `blocking` is rundir's, `attempts` gives rundir's by blocks, `done` is their transactions;
    `expected` has, by arrival, whether production had its errors too.
    """
    statements = tuple(_statement(one, t0_ns) for one in ran)
    return Migration(
        file=script.name,
        at_s=at_s,
        repeat=repeat,
        rounds=tuple(
            _rounds(
                statements,
                len(script.steps),
                _Load(done, expected),
                objective_ms,
                duration_s,
            )
        ),
        statements=tuple(with_waits(statements, ran, blocking, attempts(), t0_ns)),
    )


def _statement(one: Ran, t0_ns: int) -> MigrationStatement:
    return MigrationStatement(
        round=one.round,
        line=one.step.line,
        sql=one.step.sql,
        template=one.step.template,
        began_s=round((one.began_ns - t0_ns) / 1e9, 6),
        ended_s=round((one.ended_ns - t0_ns) / 1e9, 6),
        outcome=one.outcome,
        error=one.error,
    )


def _rounds(
    statements: Sequence[MigrationStatement],
    steps: int,
    load: "_Load",
    objective_ms: float,
    duration_s: float,
) -> Iterator[Round]:
    numbers = sorted({statement.round for statement in statements})
    begins = {n: min(s.began_s for s in statements if s.round == n) for n in numbers}
    for number in numbers:
        mine = [statement for statement in statements if statement.round == number]
        yield _round(
            begins[numbers[0]],
            begins[number],
            max(statement.ended_s for statement in mine),
            begins.get(number + 1, duration_s),
            sum(statement.outcome == OUTCOME_OK for statement in mine) == steps,
            load,
            objective_ms,
        )


def _round(
    first_began_s: float,
    began_s: float,
    ended_s: float,
    until_s: float,
    complete: bool,
    load: "_Load",
    objective_ms: float,
) -> Round:
    before = load.done.due((first_began_s - _BEFORE_S) * 1e6, first_began_s * 1e6)
    before = before.where(before.due_us / 1e6 + before.latency_ms / 1e3 < first_began_s)
    p95_ms, slow_ms = 0.0, objective_ms
    if len(before.arrival) >= _BEFORE_LEAST:
        p95_ms = float(np.percentile(before.latency_ms, 95))
        slow_ms = max(_SLOW_TIMES * p95_ms, p95_ms + _SLOW_MORE_MS)
    usual = float(load.wrong(before, slow_ms).mean()) if len(before.arrival) else 0.0
    width_s = load.width_s
    # Whoever was under way when it began may be its first victim.
    first_s = began_s - width_s
    share, p95s = load.by_step(first_s, until_s, slow_ms)
    disturbed = share > usual + _DISTURBED_SHARE
    back = _recovered(disturbed, int((ended_s - first_s) / width_s))
    recovered_s = None if back is None else max(first_s + back * width_s, began_s)
    return Round(
        began_s=began_s,
        ended_s=ended_s,
        complete=complete,
        before_p95_ms=round(p95_ms, 3),
        slow_ms=round(slow_ms, 3),
        worst_p95_ms=round(max(p95s[: back or None], default=0.0), 3),
        disturbed_s=round(float(disturbed.sum()) * width_s, 3),
        recovered_s=None if recovered_s is None else round(recovered_s, 3),
    )


class _Load:
    """The load's transactions in steps of time, read a block at a time."""

    def __init__(self, done: Transactions, expected: np.ndarray) -> None:
        self.done = done
        self._expected = expected
        count, first_us, last_us = 0, np.inf, -np.inf
        for some in done.blocks():
            count += len(some.due_us)
            first_us = min(first_us, float(some.due_us.min()))
            last_us = max(last_us, float(some.due_us.max()))
        rate = count / max((last_us - first_us) / 1e6, _STEP_S)
        self.width_s = _STEP_S if count < 2 else max(_STEP_S, _IN_A_STEP / rate)

    def wrong(self, some: Block, slow_ms: float) -> np.ndarray:
        """Whether each was slow, or failed as it did not in production."""
        bad = (some.outcome != OK) & ~self._expected[some.arrival]
        found: np.ndarray = bad | (some.latency_ms > slow_ms)
        return found

    def by_step(
        self, first_s: float, until_s: float, slow_ms: float
    ) -> tuple[np.ndarray, Sequence[float]]:
        """Of each step, up to the last one that has a transaction: the share that is wrong, and the p95."""
        steps = max(int((until_s - first_s) / self.width_s) + 1, 1)
        count, wrong = np.zeros(steps, np.int64), np.zeros(steps)
        for some, step in self._inside(first_s, until_s):
            count += np.bincount(step, minlength=steps)
            wrong += np.bincount(step, self.wrong(some, slow_ms), minlength=steps)
        latency_ms = Groups(count, self.done.directory)
        for some, step in self._inside(first_s, until_s):
            latency_ms.add(step, some.latency_ms)
        last = int(np.flatnonzero(count).max(initial=-1)) + 1
        p95s = [latency_ms.percentiles(number, (95,))[0] for number in range(last)]
        return (wrong / np.maximum(count, 1))[:last], p95s

    def _inside(self, first_s: float, until_s: float) -> Iterator[tuple[Block, np.ndarray]]:
        for block in self.done.blocks():
            due_s = block.due_us / 1e6
            inside = (due_s >= first_s) & (due_s < until_s)
            yield block.where(inside), ((due_s[inside] - first_s) / self.width_s).astype(np.int64)


def _recovered(disturbed: np.ndarray, last: int) -> int | None:
    """The step from which the load was calm; 0 where it never was anything else.

    None where it was not, in what is left of the load after the migration's last step.
    """
    if not disturbed.any():
        return 0
    first = int(np.flatnonzero(disturbed)[0])
    for step in range(max(first, last), len(disturbed) - _CALM_STEPS + 1):
        if not disturbed[step : step + _CALM_STEPS].any():
            return step
    return None
