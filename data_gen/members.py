"""What may be coupled in a table's joint: a column of values, a foreign key, the children in a table.

Each has its codes in the sampled cells, and says how many rows have which of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from data_gen.codes import NO_PARENT, NULL, Coder, distinct
from data_gen.couple import Part
from data_gen.profile import Joint, JointColumn
from data_gen.runs import Runs
from data_gen.shuffle import Ints
from data_gen.sources import Own
from data_gen.spread import Spread

UNKNOWN = -3  # a combination that no generated parent has
_FAR = 1000  # another code is further than any distance of codes


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
        """The combination that each row of codes is; UNKNOWN where no parent has it."""
        index = {tuple(codes): kind for kind, codes in enumerate(self._known[0].tolist())}
        return np.array([index.get(tuple(codes), UNKNOWN) for codes in cells.tolist()], np.int64)


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


class OwnMember:
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


class KeyMember:
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


class ChildrenMember:
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


def own_of(table: Planned, joint: Joint) -> Iterator[OwnMember]:
    """The columns of values that the joint says something of."""
    for number, found in enumerate(joint.columns, 1):
        if found.kind == "own" and (column := table.own(found.name)) is not None:
            yield OwnMember(found.name, number, column)


def keys_of(table: Planned, joint: Joint, cells: Ints) -> list[KeyMember]:
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
                found.append(KeyMember(parents.like(sampled), chosen))
    return found


def children_of(joint: Joint) -> Iterator[ChildrenMember]:
    """What the joint says of how many children rows have."""
    for number, column in enumerate(joint.columns, 1):
        if column.kind == "children":
            yield ChildrenMember(column, number)
