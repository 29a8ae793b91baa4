"""The run's attempts as sorted columns, and joined to the transactions that they belong to.

Statements of one transaction stand together, in order. The wait for a pool slot is what lies
between due and began of a transaction's first statement, less the generator's own lag; one that
never got a slot waited until it was given up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Codes = NDArray[np.integer[Any]]

_NUMBERS: dict[str, type[np.generic]] = {
    "arrival": np.int64,
    "ordinal": np.int32,
    "pid": np.int32,
    "due_us": np.int64,
    "began_us": np.int64,
    "ended_us": np.int64,
    "lag_us": np.int64,
}
_NAMED: dict[str, type[np.generic]] = {"template": np.int32, "outcome": np.int32}


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """A run's attempts, a row a statement; see runtables.ATTEMPTS."""

    arrival: Ints
    template: Codes  # position in `names`
    names: tuple[str, ...]  # template ids
    pid: Codes
    due_us: Ints
    began_us: Ints  # -1: never sent
    ended_us: Ints
    lag_us: Ints
    outcome: Codes  # position in `outcomes`
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
    def mainly(self) -> Codes:
        """Of each transaction: the template of the statement that took the longest."""
        slowest = np.lexsort((self.service_us, self.number))[self.last]
        return self.template[slowest]


def from_blocks(blocks: Iterable[pa.Table]) -> Attempts:
    """Columns of a run's attempts (blocks of runtables.ATTEMPTS, in any order), let go one by one."""
    parts: dict[str, list[np.ndarray]] = {
        name: [np.zeros(0, dtype)] for name, dtype in (*_NUMBERS.items(), *_NAMED.items())
    }
    known: dict[str, dict[str, int]] = {name: {} for name in _NAMED}
    for block in blocks:
        for name, dtype in _NUMBERS.items():
            parts[name].append(block[name].to_numpy().astype(dtype))
        for name in _NAMED:
            parts[name].append(_codes(block[name], known[name]))
    order = np.lexsort((np.concatenate(parts.pop("ordinal")), np.concatenate(parts["arrival"])))
    columns = {name: np.concatenate(parts.pop(name))[order] for name in tuple(parts)}
    template, names = _by_appearance(columns.pop("template"), known["template"])
    outcome, outcomes = _by_appearance(columns.pop("outcome"), known["outcome"])
    return Attempts(template=template, names=names, outcome=outcome, outcomes=outcomes, **columns)


def _codes(column: pa.ChunkedArray, known: dict[str, int]) -> np.ndarray:
    """Each value's place among those that are known, to which new ones are added."""
    plain = pc.fill_null(column.cast(pa.string()), "").combine_chunks()
    encoded = plain.dictionary_encode()
    places = [known.setdefault(name, len(known)) for name in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    found: np.ndarray = np.array(places, np.int32)[codes]
    return found


def _by_appearance(codes: Codes, known: dict[str, int]) -> tuple[Codes, tuple[str, ...]]:
    """The codes, and the names that they stand for, in the order in which these come first."""
    present, first = np.unique(codes, return_index=True)
    order = np.argsort(first)
    rank = np.zeros(len(known), np.int32)
    rank[present[order]] = np.arange(len(order))
    names = list(known)
    return rank[codes], tuple(names[code] for code in present[order].tolist())
