"""The slots of a column by code, and how the rows of a coupling's cells come to them.

Whole rows of cells give each code only about as many rows as the column has slots of it. Where the
number of rows of every value is known they are to come out exactly: rows of a code that has too many
take slots that codes with too few leave, in the order of the codes, which are sorted by likeness.
"""

from dataclasses import dataclass

import numpy as np

from data_gen.shuffle import Ints
from data_gen.steps import Steps


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The slots of each code, as runs of neighbouring ones."""

    codes: Ints  # ascending
    first: Ints  # of each code, in `sums`
    total: Ints  # slots of each code
    sums: Steps  # slots before each run, runs sorted by code
    starts: Ints  # first slot of each run

    @classmethod
    def of(cls, starts: Ints, codes: Ints, end: int) -> "Runs":
        """Runs that begin at these slots, ascending, each of one code; the last ends before `end`."""
        lengths = np.diff(np.append(starts, end))
        order = np.argsort(codes, kind="stable")
        sums = np.concatenate(([0], np.cumsum(lengths[order])))
        known, first = np.unique(codes[order], return_index=True)
        total = np.diff(np.append(sums[first], sums[-1]))
        return cls(known, sums[first], total, Steps.of(sums[:-1]), starts[order])

    def of_codes(self, codes: Ints) -> tuple[Ints, Ints]:
        """Where the slots of each code begin among all, and how many they are.

        A code without slots has all of them.
        """
        at = np.minimum(np.searchsorted(self.codes, codes), self.codes.size - 1)
        known = (self.codes[at] == codes) & (self.total[at] > 0)
        return np.where(known, self.first[at], 0), np.where(known, self.total[at], self.total.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Spare:
    """The slots that the rows of their own code leave, and who takes them."""

    before: Ints  # per code of the cells: rows over, of the codes before it; -1 where none is over
    sums: Steps  # slots left before each code that leaves some, and all of them in the end
    lines: Ints  # of each such code: its first slot among all, its rows, how many slots it leaves

    @classmethod
    def none(cls, codes: int) -> "Spare":
        """Nothing is passed on."""
        nothing = np.zeros(1, np.int64)
        return cls(np.full(codes, -1), Steps.of(nothing), np.empty((0, 3), np.int64))

    @classmethod
    def of(cls, runs: Runs, codes: Ints, rows: Ints) -> "Spare":
        """For codes, ascending, and the rows of each; codes without slots of their own are left out."""
        at = np.minimum(np.searchsorted(runs.codes, codes), runs.codes.size - 1)
        known = runs.codes[at] == codes
        over = np.where(known & (runs.total[at] > 0), np.maximum(rows - runs.total[at], 0), 0)
        taken = np.zeros_like(runs.total)
        taken[at[known]] = rows[known]
        left = np.maximum(runs.total - taken, 0)
        some = left > 0
        lines = np.stack((runs.first, taken, left), axis=1)[some]
        sums = np.concatenate(([0], np.cumsum(left[some])))
        return cls(np.where(over > 0, np.cumsum(over) - over, -1), Steps.of(sums), lines)


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """What takes a row of each cell to a slot of a column.

    Of a cell: rows of earlier cells with its code, rows of the code, step and offset of their shuffle,
    first slot of the code in the runs and how many it has, and its place in Spare.before.
    """

    cells: Ints  # cells × 7; a cell's lie side by side
    runs: Runs
    spare: Spare

    def slots(self, cells: Ints, within: Ints) -> Ints:
        """The slot of each row, by its cell and its number in it."""
        from data_gen.loops import coded  # noqa: PLC0415 - the compiler, by who needs it

        out = np.empty(cells.shape, np.int64)
        spare, runs = self.spare, self.runs
        coded(
            *(out, cells, within, self.cells),
            *(spare.sums.places, spare.sums.guide, spare.sums.shift, spare.lines),
            *(runs.sums.places, runs.sums.guide, runs.sums.shift, runs.starts),
        )
        return out
