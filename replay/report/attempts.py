"""A run's attempts, read a block at a time as often as a figure needs them: they may be more than memory holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from replay import rundir
from replay.outcome import OK
from replay.report.columns import Bools, Ints, ints, names


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some attempts; see runtables.ATTEMPTS."""

    arrival: Ints
    ordinal: Ints
    template: Ints  # position in Attempts.templates
    due_us: Ints
    began_us: Ints  # -1 where the statement was never sent
    ended_us: Ints
    lag_us: Ints
    outcome: Ints  # position in Attempts.outcomes

    @property
    def sent(self) -> Bools:
        """Statements that reached the server."""
        return self.began_us >= 0


class Attempts:
    """Attempts by blocks, and their counts, which one reading has told; none where the run has none."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._templates: dict[str, int] = {}  # id -> code, by appearance
        self._outcomes: dict[str, int] = {OK: 0}
        self.last_us = 0  # when the last one ended
        self.transactions = 0  # above the number of the last one
        counts: dict[tuple[int, int, int], int] = {}
        for block in self.blocks():
            self.last_us = max(self.last_us, int(block.ended_us.max()))
            self.transactions = max(self.transactions, int(block.arrival.max()) + 1)
            kinds, times = np.unique(
                (block.template << 32) + (block.outcome << 1) + block.sent, return_counts=True
            )
            for kind, count in zip(kinds.tolist(), times.tolist(), strict=True):
                key = kind >> 32, (kind & 0xFFFFFFFF) >> 1, kind & 1
                counts[key] = counts.get(key, 0) + count
        # By template, outcome and whether it was sent.
        self.counts = np.zeros((len(self._templates), len(self._outcomes), 2), np.int64)
        for kind, count in counts.items():
            self.counts[kind] = count

    @property
    def templates(self) -> tuple[str, ...]:
        """The ids that there are."""
        return tuple(self._templates)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that there are, OK first; see outcome.py."""
        return tuple(self._outcomes)

    @property
    def sent(self) -> Ints:
        """By template: statements that reached the server."""
        return np.asarray(self.counts[:, :, 1].sum(axis=1))

    @property
    def ok(self) -> Ints:
        """By template: statements that the server answered without an error."""
        return np.asarray(self.counts[:, 0].sum(axis=1))

    def among(self, wanted: Callable[[str], bool]) -> Bools:
        """By template: whether its id is wanted."""
        return np.array([wanted(name) for name in self._templates], dtype=np.bool_)

    def blocks(self) -> Iterator[Block]:
        """All of them, in the order of the run's files; no block is empty."""
        for table in rundir.read_blocks(self._run, "attempts"):
            if len(table):
                yield Block(
                    arrival=ints(table, "arrival"),
                    ordinal=ints(table, "ordinal"),
                    template=_codes(table, "template", self._templates),
                    due_us=ints(table, "due_us"),
                    began_us=ints(table, "began_us"),
                    ended_us=ints(table, "ended_us"),
                    lag_us=ints(table, "lag_us"),
                    outcome=_codes(table, "outcome", self._outcomes),
                )


def _codes(table: pa.Table, name: str, known: dict[str, int]) -> Ints:
    """A column of names by their place among those that are known, to which new ones are added."""
    column = names(table, name)
    places = [known.setdefault(text, len(known)) for text in column.names]
    return np.array(places, dtype=np.int64)[column.codes]
