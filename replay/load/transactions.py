"""Attempts, a row a statement, as whole transactions: what all figures of a load are over.

They come a block at a time and are let go: some tens of bytes a transaction stay. A transaction's
latency runs from its due time, so that waiting for the pool is in it; one that failed, was
cancelled or gave up counts with the time it took until then.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from replay import outcome as outcomes

OK, FAILED, CANCELLED, SKIPPED = range(4)
_NEVER = -1  # of outcomes: no attempt has this arrival
# Of its first statement, but the end and the worst of its outcomes: OK < FAILED …
_TRANSACTION = np.dtype(
    [("due", "<i8"), ("waited", "<i8"), ("lag", "<i8"), ("ended", "<i8"), ("outcome", "i1")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transactions:
    """One entry an arrival, in order of number; and what is over single statements."""

    arrival: np.ndarray
    outcome: np.ndarray  # OK …
    due_us: np.ndarray  # since the origin
    latency_ms: np.ndarray  # from due to the end, or to giving up
    pool_wait_ms: np.ndarray
    lag_ms: np.ndarray  # of the first statement
    statements_lag_us: np.ndarray  # of every statement that was sent
    retried: int  # times that a transaction began again


def transactions(attempts: Iterable[pa.Table]) -> Transactions:
    """The transactions of a run's attempts (blocks of rundir.ATTEMPTS, in any order)."""
    found = _nothing(0)
    lags: list[np.ndarray] = []
    retried = 0
    for block in attempts:
        arrival = block["arrival"].to_numpy()
        if len(arrival) and (most := int(arrival.max())) >= len(found):
            found = np.concatenate([found, _nothing(max(most + 1 - len(found), len(found)))])
        again = _take_in(found, arrival, block)
        retried += again
        sent = block["began_us"].to_numpy() >= 0
        lags.append(block["lag_us"].to_numpy()[sent])
    number = np.flatnonzero(found["outcome"] != _NEVER)
    found = found[number]
    return Transactions(
        arrival=number,
        outcome=found["outcome"],
        due_us=found["due"],
        latency_ms=(found["ended"] - found["due"]) / 1e3,
        pool_wait_ms=np.maximum(found["waited"] - found["due"] - found["lag"], 0) / 1e3,
        lag_ms=found["lag"] / 1e3,
        statements_lag_us=np.concatenate(lags) if lags else np.zeros(0),
        retried=retried,
    )


def _nothing(count: int) -> np.ndarray:
    none = np.zeros(count, dtype=_TRANSACTION)
    none["ended"] = np.iinfo(np.int64).min
    none["outcome"] = _NEVER
    return none


def _take_in(found: np.ndarray, arrival: np.ndarray, block: pa.Table) -> int:
    """Add a block's statements to their transactions; how many of them began again after it."""
    due, began, ended, lag = (
        block[name].to_numpy() for name in ("due_us", "began_us", "ended_us", "lag_us")
    )
    kind, again = _outcomes(block["outcome"])
    np.maximum.at(found["outcome"], arrival, kind)
    np.maximum.at(found["ended"], arrival, ended)
    first = block["ordinal"].to_numpy() == 0
    whose = arrival[first]
    found["due"][whose], found["lag"][whose] = due[first], lag[first]
    found["waited"][whose] = np.where(began[first] < 0, ended[first], began[first])
    return again


def _outcomes(column: pa.ChunkedArray) -> tuple[np.ndarray, int]:
    """OK … of each statement, and how many of them were not the last try."""
    coded = column.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):  # without a single row
        return np.zeros(0, dtype=np.int8), 0
    names = coded.dictionary.to_pylist()
    codes = coded.indices.to_numpy()
    kinds = np.array([_kind(name) for name in names], dtype=np.int8)
    again = np.array([name.startswith(outcomes.RETRIED_AFTER) for name in names], dtype=bool)
    return kinds[codes], int(again[codes].sum())


def _kind(outcome: str) -> int:
    if outcome == outcomes.OK or outcome.startswith(outcomes.RETRIED_AFTER):
        return OK
    if outcome == outcomes.CANCELLED:
        return CANCELLED
    return SKIPPED if outcome.startswith("skipped:") else FAILED
