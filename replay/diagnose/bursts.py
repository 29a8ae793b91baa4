"""Bad seconds in a run whose averages may be normal: a stall of two seconds hides in any p95.

A second is bad where its p95 is over the objective and far over what is usual in this run, or where
much of what was due in it was not served. Bad seconds that follow one another are one burst.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replay.diagnose.templates import Second

_TIMES_USUAL = 5.0  # the median second's p95
_NOT_OK = 0.1  # of a second's transactions
_LEAST_NOT_OK = 5
_TRANSACTIONS = 5  # due in a second: fewer tell nothing of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Bad seconds in a row."""

    from_s: int  # first second, since the origin
    to_s: int  # the second after the last one
    worst_p95_ms: float
    transactions: int
    not_ok: int


def find(series: Sequence[Second], objective_ms: float) -> tuple[Burst, ...]:
    """Bursts in order of time; empty where the usual second is bad itself."""
    told = [second for second in series if second.transactions >= _TRANSACTIONS]
    if len(told) < 3:  # nothing is usual yet
        return ()
    usual_ms = float(np.median([second.p95_ms for second in told]))
    bad = [second for second in told if _is_bad(second, objective_ms, usual_ms)]
    rows: list[list[Second]] = []
    for second in bad:
        if rows and second.second == rows[-1][-1].second + 1:
            rows[-1].append(second)
        else:
            rows.append([second])
    return tuple(_burst(row) for row in rows)


def _is_bad(second: Second, objective_ms: float, usual_ms: float) -> bool:
    slow = second.p95_ms > max(objective_ms, _TIMES_USUAL * usual_ms)
    return slow or second.not_ok >= max(_LEAST_NOT_OK, _NOT_OK * second.transactions)


def _burst(seconds: Sequence[Second]) -> Burst:
    return Burst(
        from_s=seconds[0].second,
        to_s=seconds[-1].second + 1,
        worst_p95_ms=max(second.p95_ms for second in seconds),
        transactions=sum(second.transactions for second in seconds),
        not_ok=sum(second.not_ok for second in seconds),
    )
