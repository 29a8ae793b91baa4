"""A table's joint brought to life: which columns go together, and how many children each row has.

The parts of a coupling are columns of the table, foreign keys by what their parents look like, and the
children that a row has in each table that refers to it. Rows of one root code share their cells: those
of one part of the table, or those whose parent, by a foreign key in physical order, is of one kind.
"""

from dataclasses import dataclass

import numpy as np

from data_gen.codes import NO_PARENT, NULL, children, distinct
from data_gen.couple import Coupling, Root
from data_gen.members import (
    UNKNOWN,
    ChildrenMember,
    KeyMember,
    OwnMember,
    Planned,
    children_of,
    keys_of,
    own_of,
)
from data_gen.profile import Joint
from data_gen.runs import Turns
from data_gen.shuffle import Flags, Ints
from data_gen.spread import Spread

PLACES = 32


@dataclass(frozen=True, slots=True, eq=False)
class OfCoupling:
    """A column's points by its code in the coupling."""

    coupling: Coupling
    turns: Turns
    spread: Spread

    def points(self, rows: Ints) -> Ints:
        """The next slot of each row's code, and its point."""
        return self.spread.points(self.coupling.slots(rows, self.turns))


@dataclass(frozen=True, slots=True, eq=False)
class NullsOfCoupling:
    """Which rows of a coupled column are NULL."""

    coupling: Coupling
    number: int

    def flags(self, rows: Ints) -> Flags:
        """Whether each row is."""
        cell, _ = self.coupling.find(rows)
        codes = self.coupling.cells[cell, self.number]
        flags: Flags = (codes == NULL) | (codes == NO_PARENT)
        return flags


class Joined:
    """The coupling of a table, with a source for each column in it."""

    def __init__(self, table: Planned) -> None:
        self.sources: dict[str, OfCoupling] = {}
        self.nulls: dict[str, NullsOfCoupling] = {}
        self.children: dict[tuple[str, str], int] = {}  # (table, foreign key) -> part
        self.coupling: Coupling | None = None
        self.root = ""  # the foreign key that the rows follow, if any
        self._made: list[OwnMember | KeyMember | ChildrenMember] = []
        joint = table.joint
        if joint is not None and table.rows:
            self._couple(table, joint)

    def _couple(self, table: Planned, joint: Joint) -> None:
        cells, counts = np.array(joint.cells, np.int64), np.array(joint.counts, np.int64)
        keys = keys_of(table, joint, cells)
        root_key = max(
            (key for key in keys if key.parents.clustered),
            key=lambda key: len(key.places),
            default=None,
        )
        root, roots = (
            _root_of_place(table.rows, cells)
            if root_key is None
            else _root_of_parent(table, root_key, cells)
        )
        keep = roots != UNKNOWN
        made: list[OwnMember | KeyMember | ChildrenMember] = [
            *own_of(table, joint),
            *(key for key in keys if not key.parents.clustered),
            *children_of(joint),
        ]
        codes = [one.codes(cells) for one in made]
        for code in codes:
            keep &= code != UNKNOWN
        if not made or not keep.any():
            return
        cells, counts, roots = np.stack(codes, axis=1)[keep], counts[keep], roots[keep]
        parts = [one.part(cells[:, n], counts, table.rows) for n, one in enumerate(made)]
        self.coupling = coupling = Coupling(root, roots, cells, counts, parts, table.key)
        self._made = made
        self.root = root_key.name if root_key is not None else ""
        for number, one in enumerate(made):
            if isinstance(one, ChildrenMember):
                self.children[one.column.name, one.column.via] = number
            else:
                # A key's parents have as many children as were counted; values go by their looks.
                turns = coupling.turns(number, one.runs, exact=isinstance(one, KeyMember))
                self.sources[one.name] = OfCoupling(coupling, turns, one.spread)
                if one.nulls:
                    self.nulls[one.name] = NullsOfCoupling(coupling, number)

    def children_of(self, table: str, key: str, rows: Ints) -> Ints | None:
        """How many children each row has by a foreign key; None where that is not known."""
        number = self.children.get((table, key))
        if number is None or self.coupling is None:
            return None
        return children(self.coupling.part(number, rows)[0])

    def pin(self, rows: Ints, cells: Ints, count: int) -> None:
        """Let rows that are known by their key look as they did, each in place of one that looks so."""
        if self.coupling is None or not rows.size:
            return
        wanted = np.stack([one.codes(cells) for one in self._made], axis=1)
        cell, _ = self.coupling.find(np.arange(count, dtype=np.int64))
        looks, kinds = distinct(self.coupling.cells)
        kind = kinds[cell]
        order = np.argsort(kind, kind="stable")
        known, first = np.unique(kind[order], return_index=True)
        free = dict(zip(known.tolist(), map(list, np.split(order, first[1:])), strict=True))
        index = {tuple(looks[one].tolist()): one for one in free}
        pinned, moved = set(rows.tolist()), dict[int, int]()
        for row, codes in zip(rows.tolist(), wanted.tolist(), strict=True):
            like = index.get(tuple(codes))
            if like is None:
                like = int(known[self._nearest(np.array(codes), looks[known])])
            if kind[row] == like or row in moved:
                continue
            while free[like]:
                other = int(free[like].pop())
                if other not in pinned and other not in moved:
                    moved[row], moved[other] = other, row
                    break
        here = np.array(sorted(moved), np.int64)
        self.coupling.swap(here, np.array([moved[row] for row in here.tolist()], np.int64))

    def _nearest(self, codes: Ints, looks: Ints) -> int:
        """Which looks are most like these codes: children count by magnitude, all else alike or not."""
        far = np.zeros(looks.shape[0])
        for number, one in enumerate(self._made):
            here, there = looks[:, number], codes[number]
            if isinstance(one, ChildrenMember):
                far += 2 * np.abs(np.log2((children(here) + 1) / (children(np.array([there])) + 1)))
            else:
                far += here != there
        return int(np.argmin(far))


def _root_of_place(rows: int, cells: Ints) -> tuple[Root, Ints]:
    starts = -(-np.arange(PLACES + 1, dtype=np.int64) * rows // PLACES)

    def find(numbers: Ints) -> tuple[Ints, Ints]:
        codes = numbers * PLACES // rows
        return codes, numbers - starts[codes]

    return Root(np.diff(starts), find), cells[:, 0]


def _root_of_parent(table: Planned, key: KeyMember, cells: Ints) -> tuple[Root, Ints]:
    """Rows by the kind of their parent, and by its place, which is about their own."""
    parents = key.parents
    parts = PLACES if parents.in_place else 1
    places = np.arange(parents.kinds.size, dtype=np.int64) * parts // parents.kinds.size
    mixed = parents.kinds * parts + places
    known, codes = np.unique(mixed[parents.counts > 0], return_inverse=True)
    code_of = np.zeros(parents.kinds.size, np.int64)
    code_of[parents.counts > 0] = codes
    order = np.argsort(code_of, kind="stable")
    before = np.cumsum(parents.counts[order]) - parents.counts[order]
    ranks = np.empty_like(before)
    ranks[order] = before - before[np.searchsorted(code_of[order], code_of[order])]
    sizes = np.bincount(code_of, parents.counts, known.size).astype(np.int64)

    def find(numbers: Ints) -> tuple[Ints, Ints]:
        source = table.source(parents.column)
        assert source is not None
        slots = source.order.slots(numbers)
        position = source.spread.points(slots)
        return code_of[position], ranks[position] + source.spread.occurrences(slots)

    wanted = parents.kind_of(cells[:, key.places]) * parts + cells[:, 0] * parts // PLACES
    at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    return Root(sizes, find), np.where(known[at] == wanted, at, UNKNOWN)
