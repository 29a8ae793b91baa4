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
_LONG_AGO = np.iinfo(np.int64).min


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


def transactions(attempts: Iterable[pa.Table], count: int = 0) -> Transactions:
    """The transactions of a run's attempts (blocks of runtables.ATTEMPTS, in any order).

    `count` is how many were planned, where it is known: room for more is made as they come.
    """
    found = _Found(count)
    lags = [np.zeros(0, dtype=np.float32)]
    for block in attempts:
        found.take_in(block)
        sent = block["began_us"].to_numpy() >= 0
        lags.append(block["lag_us"].to_numpy()[sent].astype(np.float32))
    found.ended_us -= found.due_us
    latency_ms = _ms(found.ended_us)
    del found.ended_us
    number = np.flatnonzero(found.outcome != _NEVER).astype(np.int32)
    whole = slice(len(number)) if len(number) == len(found.outcome) else number
    return Transactions(
        arrival=number,
        outcome=found.outcome[whole],
        due_us=found.due_us[whole],
        latency_ms=latency_ms[whole],
        pool_wait_ms=found.pool_wait_ms[whole],
        lag_ms=found.lag_ms[whole],
        statements_lag_us=np.concatenate(lags),
        retried=found.retried,
    )


class _Found:
    """What is known of each arrival until now, by its number."""

    def __init__(self, count: int) -> None:
        self.outcome = np.full(count, _NEVER, dtype=np.int8)  # the worst: OK < FAILED …
        self.due_us = np.zeros(count, dtype=np.int64)
        self.ended_us = np.full(count, _LONG_AGO, dtype=np.int64)
        self.pool_wait_ms = np.zeros(count, dtype=np.float32)
        self.lag_ms = np.zeros(count, dtype=np.float32)
        self.retried = 0

    def take_in(self, block: pa.Table) -> None:
        """Add a block's statements to their transactions."""
        arrival, due, began, ended, lag = (
            block[name].to_numpy()
            for name in ("arrival", "due_us", "began_us", "ended_us", "lag_us")
        )
        self._make_room(int(arrival.max(initial=-1)) + 1)
        kind, again = _outcomes(block["outcome"])
        self.retried += again
        np.maximum.at(self.outcome, arrival, kind)
        np.maximum.at(self.ended_us, arrival, ended)
        first = block["ordinal"].to_numpy() == 0
        whose, due, lag = arrival[first], due[first], lag[first]
        waited = np.where(began < 0, ended, began)[first]
        self.due_us[whose] = due
        self.pool_wait_ms[whose] = _ms(np.maximum(waited - due - lag, 0))
        self.lag_ms[whose] = _ms(lag)

    def _make_room(self, count: int) -> None:
        if count > len(self.outcome):
            more = _Found(max(count - len(self.outcome), len(self.outcome)))
            for name in ("outcome", "due_us", "ended_us", "pool_wait_ms", "lag_ms"):
                setattr(self, name, np.concatenate([getattr(self, name), getattr(more, name)]))


def _ms(value_us: np.ndarray) -> np.ndarray:
    """Seven digits are more than a clock has."""
    found = np.empty(len(value_us), np.float32)
    np.divide(value_us, 1e3, out=found, casting="same_kind")
    return found


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
