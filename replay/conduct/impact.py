"""What a migration did to the load: how slow it became, and when it was itself again.

Who waited for whom is told by `waits`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from replay.conduct.during import Ran, Script
from replay.conduct.waits import with_waits
from replay.load.transactions import OK, Transactions
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
    expected: Iterable[int],
    objective_ms: float,
    duration_s: float,
) -> Migration:
    """The migration's record.

    `blocking` is rundir's, `attempts` gives rundir's by blocks, `done` is their transactions;
    `expected` are arrivals whose errors production had too.
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
                done,
                frozenset(expected),
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
    done: Transactions,
    expected: frozenset[int],
    objective_ms: float,
    duration_s: float,
) -> Iterator[Round]:
    numbers = sorted({statement.round for statement in statements})
    begins = {n: min(s.began_s for s in statements if s.round == n) for n in numbers}
    bad = (done.outcome != OK) & ~np.isin(done.arrival, list(expected))
    for number in numbers:
        mine = [statement for statement in statements if statement.round == number]
        yield _round(
            begins[numbers[0]],
            begins[number],
            max(statement.ended_s for statement in mine),
            begins.get(number + 1, duration_s),
            sum(statement.outcome == OUTCOME_OK for statement in mine) == steps,
            done,
            bad,
            objective_ms,
        )


def _round(
    first_began_s: float,
    began_s: float,
    ended_s: float,
    until_s: float,
    complete: bool,
    done: Transactions,
    bad: np.ndarray,
    objective_ms: float,
) -> Round:
    due_s = done.due_us / 1e6
    before = (due_s >= first_began_s - _BEFORE_S) & (due_s + done.latency_ms / 1e3 < first_began_s)
    p95_ms, slow_ms = 0.0, objective_ms
    if before.sum() >= _BEFORE_LEAST:
        p95_ms = float(np.percentile(done.latency_ms[before], 95))
        slow_ms = max(_SLOW_TIMES * p95_ms, p95_ms + _SLOW_MORE_MS)
    wrong = bad | (done.latency_ms > slow_ms)
    usual = float(wrong[before].mean()) if before.any() else 0.0
    width_s = _width_s(due_s)
    # Whoever was under way when it began may be its first victim.
    first_s = began_s - width_s
    inside = (due_s >= first_s) & (due_s < until_s)
    step = ((due_s[inside] - first_s) / width_s).astype(np.int64)
    count = np.bincount(step)
    share = np.bincount(step, wrong[inside]) / np.maximum(count, 1)
    disturbed = share > usual + _DISTURBED_SHARE
    p95s = [
        float(np.percentile(done.latency_ms[inside][step == n], 95)) if count[n] else 0.0
        for n in range(len(count))
    ]
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


def _width_s(due_s: np.ndarray) -> float:
    if len(due_s) < 2:
        return _STEP_S
    rate = len(due_s) / max(float(due_s.max() - due_s.min()), _STEP_S)
    return max(_STEP_S, _IN_A_STEP / rate)


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
