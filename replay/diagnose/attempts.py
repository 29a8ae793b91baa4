"""The run's attempts as sorted columns, and joined to the transactions that they belong to.

Statements of one transaction stand together, in order. The wait for a pool slot is what lies
between due and began of a transaction's first statement, less the generator's own lag; one that
never got a slot waited until it was given up.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Rows of attempts.parquet, one a statement; see rundir.ATTEMPTS."""

    arrival: Ints
    template: Ints  # position in `names`
    names: tuple[str, ...]  # template ids
    pid: Ints
    due_us: Ints
    began_us: Ints  # -1: never sent
    ended_us: Ints
    lag_us: Ints
    outcome: Ints  # position in `outcomes`
    outcomes: tuple[str, ...]

    @cached_property
    def first(self) -> Ints:
        """Position of each transaction's first statement."""
        return np.flatnonzero(np.diff(self.arrival, prepend=-1))

    @cached_property
    def last(self) -> Ints:
        """Position of each transaction's last statement."""
        return np.append(self.first[1:], len(self.arrival))[: len(self.first)] - 1

    @cached_property
    def number(self) -> Ints:
        """Of each statement: which transaction it is in, by position in `first`."""
        return np.repeat(np.arange(len(self.first)), self.last - self.first + 1)

    @cached_property
    def sent(self) -> NDArray[np.bool_]:
        """Statements that reached the server."""
        return self.began_us >= 0

    @cached_property
    def service_us(self) -> Ints:
        """Time from sent to answered; 0 where it was never sent."""
        return np.where(self.sent, np.maximum(self.ended_us - self.began_us, 0), 0)

    @cached_property
    def slot_us(self) -> Ints:
        """Of each transaction: when it got its pool slot, or was given up."""
        got = np.where(self.sent, self.began_us - self.lag_us, self.ended_us)[self.first]
        return np.maximum(got, self.due_us[self.first])

    @cached_property
    def pool_wait_us(self) -> Ints:
        """Of each transaction: how long it waited for a pool slot."""
        return self.slot_us - self.due_us[self.first]

    @cached_property
    def latency_us(self) -> Ints:
        """Of each transaction: from due to the end of its last statement."""
        return self.ended_us[self.last] - self.due_us[self.first]

    @cached_property
    def mainly(self) -> Ints:
        """Of each transaction: the template of the statement that took the longest."""
        slowest = np.lexsort((self.service_us, self.number))[self.last]
        return self.template[slowest]


def from_table(table: pa.Table) -> Attempts:
    """Columns of a table of rundir.ATTEMPTS."""
    table = table.sort_by([("arrival", "ascending"), ("ordinal", "ascending")])
    template, names = _named(table["template"])
    outcome, outcomes = _named(table["outcome"])
    return Attempts(
        arrival=_ints(table, "arrival"),
        template=template,
        names=names,
        pid=_ints(table, "pid"),
        due_us=_ints(table, "due_us"),
        began_us=_ints(table, "began_us"),
        ended_us=_ints(table, "ended_us"),
        lag_us=_ints(table, "lag_us"),
        outcome=outcome,
        outcomes=outcomes,
    )


def _ints(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def _named(column: pa.ChunkedArray) -> tuple[Ints, tuple[str, ...]]:
    plain = pc.fill_null(column.cast(pa.string()), "").combine_chunks()
    encoded = plain.dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    return codes, tuple(encoded.dictionary.to_pylist())
