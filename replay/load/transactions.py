"""Attempts, a row a statement, as whole transactions: what all figures of a load are over.

A transaction's latency runs from its due time, so that waiting for the pool is in it; one that
failed, was cancelled or gave up counts with the time it took until then.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay import outcome as outcomes

OK, FAILED, CANCELLED, SKIPPED = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transactions:
    """One entry an arrival, in order of number."""

    arrival: np.ndarray
    outcome: np.ndarray  # OK …
    due_us: np.ndarray  # since the origin
    latency_ms: np.ndarray  # from due to the end, or to giving up
    pool_wait_ms: np.ndarray
    lag_ms: np.ndarray  # of the first statement


def transactions(attempts: pa.Table) -> Transactions:
    """The transactions of a run's attempts (rundir.ATTEMPTS)."""
    table = attempts.sort_by([("arrival", "ascending"), ("ordinal", "ascending")])
    columns = {
        name: table[name].to_numpy()
        for name in ("arrival", "due_us", "began_us", "ended_us", "lag_us")
    }
    arrival, first = np.unique(columns["arrival"], return_index=True)
    outcome = _outcomes(table["outcome"])
    due, lag = columns["due_us"][first], columns["lag_us"][first]
    ended = np.maximum.reduceat(columns["ended_us"], first) if len(first) else first
    sent = columns["began_us"][first]
    waited_until = np.where(sent < 0, columns["ended_us"][first], sent)
    return Transactions(
        arrival=arrival,
        # The worst of a transaction's statements, in the order OK < FAILED …: only one is final.
        outcome=np.maximum.reduceat(outcome, first) if len(first) else first,
        due_us=due,
        latency_ms=(ended - due) / 1e3,
        pool_wait_ms=np.maximum(waited_until - due - lag, 0) / 1e3,
        lag_ms=lag / 1e3,
    )


def _outcomes(column: pa.ChunkedArray) -> np.ndarray:
    names = pc.cast(column, pa.string()).to_numpy(zero_copy_only=False)
    kinds = {name: _kind(name) for name in np.unique(names.astype(str)).tolist()}
    return np.array([kinds[name] for name in names.tolist()], dtype=np.int8)


def _kind(outcome: str) -> int:
    if outcome == outcomes.OK or outcome.startswith(outcomes.RETRIED_AFTER):
        return OK
    if outcome == outcomes.CANCELLED:
        return CANCELLED
    return SKIPPED if outcome.startswith("skipped:") else FAILED
