"""Attempts, a row a statement, as whole transactions: what all figures of a load are over.

They come a block at a time and are let go; what stays stands on disk, some tens of bytes a transaction,
and is read a block at a time. A transaction's latency runs from its due time, so that waiting for the
pool is in it; one that failed, was cancelled or gave up counts with the time it took until then.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa

from replay import ondisk
from replay import outcome as outcomes
from replay.load.tally import Histogram

OK, FAILED, CANCELLED, SKIPPED = range(4)
_COLUMNS = {  # of what is known of each arrival, by its number; 0: nothing is
    "outcome": np.int8,  # one more than the worst: OK < FAILED …
    "due_us": np.int64,
    "ended_us": np.int64,
    "pool_wait_ms": np.float32,
    "lag_ms": np.float32,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some transactions in order of number, an entry each."""

    arrival: np.ndarray
    outcome: np.ndarray  # OK …
    due_us: np.ndarray  # since the origin
    latency_ms: np.ndarray  # from due to the end, or to giving up
    pool_wait_ms: np.ndarray
    lag_ms: np.ndarray  # of the first statement

    @property
    def came(self) -> np.ndarray:
        """Which came due: what did not, in a run that was stopped, says nothing of the service."""
        found: np.ndarray = (self.outcome != SKIPPED) | (self.latency_ms > 0)
        return found

    def where(self, chosen: np.ndarray) -> "Block":
        """Those for which the mask holds."""
        return Block(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


class Transactions:
    """The transactions of a load, and what is over its single statements."""

    def __init__(self, count: int = 0, directory: Path | None = None) -> None:
        """Room for so many, on disk in that directory; there is more as they come."""
        self.directory = directory
        self._columns = {
            name: ondisk.zeros(directory, count, dtype) for name, dtype in _COLUMNS.items()
        }
        self.retried = 0  # times that a transaction began again
        self.lags = Histogram()  # of every statement that was sent

    def blocks(self) -> Iterator[Block]:
        """All of them, a block at a time, none of which is empty."""
        for begin in range(0, len(self._columns["outcome"]), ondisk.BLOCK):
            outcome, due, ended, waited, lag = (
                np.array(column[begin : begin + ondisk.BLOCK]) for column in self._columns.values()
            )
            known = np.flatnonzero(outcome)
            if not len(known):
                continue
            yield Block(
                arrival=begin + known,
                outcome=outcome[known] - 1,
                due_us=due[known],
                latency_ms=_ms(ended[known] - due[known]),
                pool_wait_ms=waited[known],
                lag_ms=lag[known],
            )

    def due(self, since_us: float, until_us: float) -> Block:
        """Those that were due in some time, which is not long, together."""
        found = [
            block.where((block.due_us >= since_us) & (block.due_us < until_us))
            for block in self.blocks()
        ]
        return Block(
            **{
                field.name: np.concatenate(
                    [getattr(block, field.name) for block in found] or [np.zeros(0)]
                )
                for field in fields(Block)
            }
        )

    def take_in(self, attempts: pa.Table) -> None:
        """Add a block's statements (runtables.ATTEMPTS) to their transactions."""
        arrival, due, began, ended, lag = (
            attempts[name].to_numpy()
            for name in ("arrival", "due_us", "began_us", "ended_us", "lag_us")
        )
        self._make_room(int(arrival.max(initial=-1)) + 1)
        kind, again = _outcomes(attempts["outcome"])
        self.retried += again
        self.lags.add(lag[began >= 0])
        known = self._columns
        np.maximum.at(known["outcome"], arrival, kind + 1)
        np.maximum.at(known["ended_us"], arrival, ended)
        first = attempts["ordinal"].to_numpy() == 0
        whose, due, lag = arrival[first], due[first], lag[first]
        waited = np.where(began < 0, ended, began)[first]
        known["due_us"][whose] = due
        known["pool_wait_ms"][whose] = _ms(np.maximum(waited - due - lag, 0))
        known["lag_ms"][whose] = _ms(lag)

    def _make_room(self, count: int) -> None:
        for name, column in self._columns.items():
            self._columns[name] = ondisk.grown(self.directory, column, count)


def transactions(
    attempts: Iterable[pa.Table], count: int = 0, directory: Path | None = None
) -> Transactions:
    """The transactions of a run's attempts (blocks of runtables.ATTEMPTS, in any order).

    `count` is how many were planned, where it is known. They stand in the directory, or where the
    system has its temporary files; raises EnvironmentFaultError where there is no room.
    """
    found = Transactions(count, directory)
    for block in attempts:
        found.take_in(block)
    return found


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
