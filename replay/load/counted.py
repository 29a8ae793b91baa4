"""A load's transactions, counted a block at a time: by outcome, and which of them are the service."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from replay.load.report import LoadReport
from replay.load.transactions import OK, Block, Transactions


def shapes_with(report: LoadReport, templates: Collection[str]) -> np.ndarray:
    """Whether each of a load's shapes holds one of the templates."""
    return np.array([any(t in templates for t in shape) for shape in report.shapes], dtype=bool)


class Service:
    """Which transactions are the service, and which the load that it is to bear."""

    def __init__(
        self, report: LoadReport, boosted: Collection[str], until_us: float | None
    ) -> None:
        """It is what holds no boosted template, and was due before `until_us`."""
        self._report = report
        self._boosted = shapes_with(report, boosted)
        self._until_us = until_us

    def has(self, some: Block) -> np.ndarray:
        """Whether each of some transactions is the service's own."""
        ordinary: np.ndarray = ~self._boosted[self._report.shape_of[some.arrival]]
        if self._until_us is not None:
            ordinary &= some.due_us < self._until_us
        ordinary &= some.came
        return ordinary

    def expected(self, some: Block) -> np.ndarray:
        """Whether each failed as it did in production."""
        return np.asarray(self._report.expected[some.arrival])


@dataclass(slots=True, kw_only=True)
class Counted:
    """A load's transactions."""

    outcomes: np.ndarray  # by OK …
    expected: int = 0
    ordinary: int = 0
    not_ok: int = 0  # of those


def count(done: Transactions, mine: Service) -> Counted:
    """All of them, read once."""
    counted = Counted(outcomes=np.zeros(4, np.int64))
    for some in done.blocks():
        ordinary, expected = mine.has(some), mine.expected(some)
        counted.outcomes += np.bincount(some.outcome, minlength=4)
        counted.expected += int(expected.sum())
        counted.ordinary += int(ordinary.sum())
        counted.not_ok += int((ordinary & (some.outcome != OK) & ~expected).sum())
    return counted
