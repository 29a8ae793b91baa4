"""A table's joint brought to life: which columns go together, and how many children each row has.

The parts of a coupling are columns of the table, foreign keys by what their parents look like, and the
children that a row has in each table that refers to it. Rows of one root code share their cells: those
of one part of the table, or those whose parent, by a foreign key in physical order, is of one kind.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from data_gen.codes import NO_PARENT, NULL, Coder, children, distinct
from data_gen.couple import Coupling, Part, Root
from data_gen.profile import Joint, JointColumn
from data_gen.runs import Runs, Turns
from data_gen.shuffle import Flags, Ints
from data_gen.sources import Own
from data_gen.spread import Spread

PLACES = 32
_FAR = 1000  # another code is further than any distance of codes
_UNKNOWN = -3  # a combination that no generated parent has


@dataclass(frozen=True, eq=False, kw_only=True)
class Parents:
    """The parents of a foreign key by position of their key: what they look like, and their children."""

    column: str  # of the child: the foreign key's
    columns: tuple[str, ...]  # of the parent, that the codes are of
    codes: Ints  # parents × columns
    counts: Ints  # children of each; of one that is not clustered without those that are NULL
    spread: Spread  # of the child's column, the counts'
    nulls: int  # children without a parent
    clustered: bool  # the child's rows follow the order of the key, more or less
    in_place: bool  # so closely that a row's place is its parent's

    @cached_property
    def _known(self) -> tuple[Ints, Ints]:
        return distinct(self.codes)

    @property
    def kinds(self) -> Ints:
        """Of each parent, the number of its combination of codes."""
        return self._known[1]

    def like(self, sampled: Ints) -> "Parents":
        """The parents, each looking like the nearest of the sampled rows of codes.

        A kind of parent that the sample does not have would get no children else.
        """
        looks, _ = distinct(sampled)
        known, kinds = self._known
        far = (known[:, None, :] != looks[None, :, :]).sum(axis=2) * _FAR
        far = far + np.abs(known[:, None, :] - looks[None, :, :]).sum(axis=2)
        return replace(self, codes=looks[np.argmin(far, axis=1)][kinds])

    def kind_of(self, cells: Ints) -> Ints:
        """The combination that each row of codes is; _UNKNOWN where no parent has it."""
        index = {tuple(codes): kind for kind, codes in enumerate(self._known[0].tolist())}
        return np.array([index.get(tuple(codes), _UNKNOWN) for codes in cells.tolist()], np.int64)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """An own column that may be coupled."""

    spread: Spread
    coder: Coder
    nulls: int  # rows without a value


class Planned(Protocol):
    """What a coupling needs to know of the table that it is made for."""

    rows: int

    @property
    def joint(self) -> Joint | None:
        """What the sample said."""

    @property
    def key(self) -> int:
        """Randomness of the coupling."""

    def own(self, name: str) -> Column | None:
        """A column of values that follows nothing else; None where it may not be coupled."""

    def parents(self, via: str, columns: Sequence[str]) -> Parents | None:
        """The parents by the foreign key of that name, as far as columns of theirs are coded."""

    def source(self, name: str) -> Own | None:
        """A column that is planned already, by a spread and an order of its own."""


class Joined:
    """The coupling of a table, with a source for each column in it."""

    def __init__(self, table: Planned) -> None:
        self.sources: dict[str, OfCoupling] = {}
        self.nulls: dict[str, NullsOfCoupling] = {}
        self.children: dict[tuple[str, str], int] = {}  # (table, foreign key) -> part
        self.coupling: Coupling | None = None
        self.root = ""  # the foreign key that the rows follow, if any
        self._made: list[_Own | _Key | _Children] = []
        joint = table.joint
        if joint is not None and table.rows:
            self._couple(table, joint)

    def _couple(self, table: Planned, joint: Joint) -> None:
        cells, counts = np.array(joint.cells, np.int64), np.array(joint.counts, np.int64)
        keys = _keys(table, joint, cells)
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
        keep = roots != _UNKNOWN
        made: list[_Own | _Key | _Children] = [
            *(_Own(name, place, column) for name, place, column in _own(table, joint)),
            *(key for key in keys if not key.parents.clustered),
            *(
                _Children(column, n + 1)
                for n, column in enumerate(joint.columns)
                if column.kind == "children"
            ),
        ]
        codes = [one.codes(cells) for one in made]
        for code in codes:
            keep &= code != _UNKNOWN
        if not made or not keep.any():
            return
        cells, counts, roots = np.stack(codes, axis=1)[keep], counts[keep], roots[keep]
        parts = [one.part(cells[:, n], counts, table.rows) for n, one in enumerate(made)]
        self.coupling = coupling = Coupling(root, roots, cells, counts, parts, table.key)
        self._made = made
        self.root = root_key.name if root_key is not None else ""
        for number, one in enumerate(made):
            if isinstance(one, _Children):
                self.children[one.column.name, one.column.via] = number
            else:
                # A key's parents have as many children as were counted; values go by their looks.
                turns = coupling.turns(number, one.runs, exact=isinstance(one, _Key))
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
            if isinstance(one, _Children):
                far += 2 * np.abs(np.log2((children(here) + 1) / (children(np.array([there])) + 1)))
            else:
                far += here != there
        return int(np.argmin(far))


class _Own:
    """A column of values, as a part."""

    def __init__(self, name: str, place: int, column: Column) -> None:
        self.name = name
        self.spread = column.spread
        self.nulls = column.nulls
        self.runs = column.coder.runs(column.spread)
        self._place = place

    def codes(self, cells: Ints) -> Ints:
        """Its codes in the sample's cells."""
        return cells[:, self._place]

    def part(self, codes: Ints, _counts: Ints, rows: int) -> Part:
        """As many rows of each code as the column has slots of it, the rest NULL."""
        return _part(np.unique(codes), self.runs, rows, self.nulls)


class _Key:
    """A foreign key, as a part or as the root: its code is what kind of parent it leads to."""

    def __init__(self, parents: Parents, places: Sequence[int]) -> None:
        self.parents = parents
        self.places = list(places)
        self.name = parents.column
        self.nulls = parents.nulls
        self.spread = parents.spread
        kinds = parents.kinds[parents.spread.low]
        self.runs = Runs.of(parents.spread.starts, kinds, parents.spread.rows)

    def codes(self, cells: Ints) -> Ints:
        """The kind of parent of the sample's cells."""
        chosen = cells[:, self.places]
        kinds = self.parents.kind_of(chosen)
        return np.where(chosen[:, 0] == NO_PARENT, NO_PARENT, kinds)

    def part(self, codes: Ints, _counts: Ints, rows: int) -> Part:
        """As many rows of each kind as its parents have children."""
        return _part(np.unique(codes), self.runs, rows, self.nulls)


class _Children:
    """How many children rows have in one table, as a part."""

    def __init__(self, column: JointColumn, place: int) -> None:
        self.column = column
        self._place = place

    def codes(self, cells: Ints) -> Ints:
        """Its codes in the sample's cells."""
        return cells[:, self._place]

    def part(self, codes: Ints, counts: Ints, rows: int) -> Part:
        """As the sample has them."""
        known, groups = np.unique(codes, return_inverse=True)
        return Part(known, np.bincount(groups, counts) / counts.sum() * rows)


def _part(known: Ints, runs: Runs, rows: int, nulls: int) -> Part:
    at = np.minimum(np.searchsorted(runs.codes, known), runs.codes.size - 1)
    slots = np.where(runs.codes[at] == known, runs.total[at], 0)
    weights = slots * (rows - nulls) / max(int(runs.total.sum()), 1)
    return Part(known, np.where((known == NULL) | (known == NO_PARENT), float(nulls), weights))


def _own(table: Planned, joint: Joint) -> Iterator[tuple[str, int, Column]]:
    for number, found in enumerate(joint.columns, 1):
        if found.kind == "own" and (column := table.own(found.name)) is not None:
            yield found.name, number, column


def _keys(table: Planned, joint: Joint, cells: Ints) -> list[_Key]:
    """The foreign keys that the joint says something of."""
    found = []
    for via in dict.fromkeys(c.via for c in joint.columns if c.kind == "parent"):
        places = {
            c.name: n for n, c in enumerate(joint.columns, 1) if c.kind == "parent" and c.via == via
        }
        parents = table.parents(via, list(places))
        if parents is not None:
            chosen = [places[name] for name in parents.columns]
            sampled = cells[:, chosen]
            sampled = sampled[sampled[:, 0] != NO_PARENT]
            if sampled.size:
                found.append(_Key(parents.like(sampled), chosen))
    return found


def _root_of_place(rows: int, cells: Ints) -> tuple[Root, Ints]:
    starts = -(-np.arange(PLACES + 1, dtype=np.int64) * rows // PLACES)

    def find(numbers: Ints) -> tuple[Ints, Ints]:
        codes = numbers * PLACES // rows
        return codes, numbers - starts[codes]

    return Root(np.diff(starts), find), cells[:, 0]


def _root_of_parent(table: Planned, key: _Key, cells: Ints) -> tuple[Root, Ints]:
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
    return Root(sizes, find), np.where(known[at] == wanted, at, _UNKNOWN)
