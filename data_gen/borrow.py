"""Foreign keys of several columns: in all of them, a row shows one row of the parent.

The first key of a table draws its parents. A later one that shares columns with it, as all keys of a
schema with a tenant in them do, and one that leads back to the table itself, take a parent that has
the same in the shared columns. Which rows those are is found once and lies in memory, so only tables
up to some million rows have it; and a unique key over such columns counts on within each of its groups.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from data_gen.agreeing import MOST, Agreeing, Lacking, Listed, alike, alike_rows, nth, told_apart
from data_gen.nulls import nulls_of
from data_gen.profile import ForeignKey
from data_gen.sharing import shared
from data_gen.shuffle import Ints, Order, Permutation, key_of, mixed
from data_gen.sources import Borrowed, CellSource, Filled, NullFlags, Own

if TYPE_CHECKING:
    from data_gen.plan import TablePlan


class Borrowing:
    """What a table's columns take from rows of its parents."""

    def __init__(self, table: "TablePlan") -> None:
        self._table = table
        self._name = table.table.qualified
        self._claimed: set[str] = set()  # columns of the keys that were drawn
        self._names: set[str] = set()  # columns that were borrowed
        self._even: list[ForeignKey] = []  # keys that found their parents by nothing else
        self._later: list[ForeignKey] = []
        self._matched = 0

    def draw(self) -> None:
        """The keys that have their columns for themselves; those without NULLs come first."""
        table = self._table
        keys = [
            key
            for key in table.table.foreign_keys
            if len(key.columns) > 1 or not table.is_key(key.columns[0])
        ]
        for key in sorted(keys, key=self._may_be_null):
            own = key.parent == self._name
            told = self._claimed | {name for name in key.columns if self._is_constant(name)}
            if len(key.columns) > 1 and (own or told.intersection(key.columns)):
                self._later.append(key)
            else:
                self._claimed.update(key.columns)
                self._draw(key)

    def match(self) -> None:
        """The other keys, and what has to be unique beside borrowed columns; all else is filled."""
        for key in self._later:
            if key.parent != self._name:
                self._match(key)
        for names in self._table.keys:
            self._count_on(names)
        for key in self._later:
            if key.parent == self._name:
                self._match(key)

    def _may_be_null(self, key: ForeignKey) -> bool:
        columns = (self._table.table.column(name) for name in key.columns)
        return not all(column is not None and column.not_null for column in columns)

    def _is_constant(self, name: str) -> bool:
        """Whether a column has one value, which tells its rows' parents from others."""
        column = self._table.table.column(name)
        return column is not None and column.n_distinct == 1 and not self._table.is_key(name)

    def _draw(self, key: ForeignKey) -> None:
        """Where one column alone is a key, it goes by its own statistics and finds the row."""
        table = self._table
        theirs = self._theirs(key)
        pairs = _pairs(key)
        names = [name for name in pairs if name in table.drafts and pairs[name] in theirs]
        if not names:
            return
        domains = table.plan.domains
        anchors = (
            name
            for name in names
            if (domain := domains.get((self._name, name))) is not None
            if (domain.table, domain.column) == (key.parent, pairs[name])
            if isinstance(theirs[pairs[name]], Filled)
        )
        anchor = next(anchors, None)
        if anchor is None:
            self._even.append(key)
            rows = self._drawn(key, names)
        else:
            rows = self._found(anchor, theirs[pairs[anchor]])
        for name in names:
            if name != anchor and name not in table.filled:
                self._borrow(name, rows, theirs[pairs[name]], nulls_of(table, name))

    def _theirs(self, key: ForeignKey) -> Mapping[str, CellSource]:
        """The parent's columns; none where it has no rows."""
        plan = self._table.plan
        parent = plan.profile.table(key.parent)
        if parent is None or not plan.counts[parent.qualified]:
            return {}
        return self._table.filled if key.parent == self._name else plan.columns(parent)

    def _borrow(
        self,
        name: str,
        rows: Callable[[Ints], Ints],
        column: CellSource,
        nulls: NullFlags | None,
    ) -> None:
        self._names.add(name)
        self._table.filled[name] = Borrowed(rows, column, nulls)

    def _found(self, anchor: str, root: CellSource) -> Callable[[Ints], Ints]:
        """Rows of the parent by the key in one column."""
        assert isinstance(root, Filled)
        assert isinstance(root.source, Own)
        order, sources = root.source.order, self._table.sources
        return lambda rows: order.rows_at(sources[anchor].points(rows))

    def _drawn(self, key: ForeignKey, names: Sequence[str]) -> Callable[[Ints], Ints]:
        """Rows of the parent, evenly, as many different ones as the columns show."""
        table = self._table
        last = table.plan.counts[key.parent] - 1
        distinct = max((table.drafts[name].distinct for name in names), default=1)
        seed = self._seed("parents", key.name)
        spread = shared(
            table.rows, common=(), bounds=(0, last), distinct=min(distinct, last + 1), scatter=seed
        )
        return Own(spread, Order.of(table.rows, 0.0, table=seed, column=seed)).points

    def _match(self, key: ForeignKey) -> None:
        """A parent for each row that has the same as the row in the columns that are there already."""
        table, theirs, pairs = self._table, self._theirs(key), _pairs(key)
        if not all(name in table.filled and pairs[name] in theirs for name in pairs):
            return
        own = key.parent == self._name
        fixed = [
            name
            for name in pairs
            if self._is_constant(name) or (pairs[name] == name if own else name in self._claimed)
        ]
        free = [name for name in pairs if name not in fixed]
        agreeing = self._agreeing(key, fixed, table.filled, table.rows)
        if agreeing is None:
            return
        turns = self._turns(key, free, agreeing.many)
        if turns is None:
            self._pair(key, fixed, free)
            return
        lacking = agreeing.many == 0
        rows = Listed(agreeing.at(np.arange(table.rows), turns))
        self._matched += 1
        for name in free:
            nulls: NullFlags | None = nulls_of(table, name)
            if lacking.any():
                nulls = Lacking(lacking, nulls)
            self._borrow(name, rows.points, theirs[pairs[name]], nulls)

    def _agreeing(
        self, key: ForeignKey, fixed: Sequence[str], here: Mapping[str, CellSource], count: int
    ) -> Agreeing | None:
        """Rows of a table and of a key's parent that agree in some columns, as far as that can be told."""
        table, theirs, pairs = self._table, self._theirs(key), _pairs(key)
        parents = table.plan.counts[key.parent]
        if max(parents, count) > MOST or not parents:
            return None
        ours, others = [np.zeros(count, np.int64)], [np.zeros(parents, np.int64)]
        for name in fixed:
            places = (self._name, name), (key.parent, pairs[name])
            same = table.plan.is_one_domain(*places)
            found = alike(here[name], theirs[pairs[name]], (count, parents), same=same)
            if found is None:
                return None
            ours.append(found[0])
            others.append(found[1])
        return Agreeing.of(ours, others)

    def _turns(self, key: ForeignKey, free: Sequence[str], many: Ints) -> Ints | None:
        """Which of the parents that agree each row takes: any, or the next where that is to be unique.

        None where there are too few of them for that.
        """
        table, seed = self._table, self._seed("match", key.name)
        drawn = mixed(np.arange(table.rows, dtype=np.int64), seed)
        # As many different parents as the columns show, the first ones of every group.
        wanted = max(
            (table.drafts[name].distinct for name in free if name in table.drafts), default=1
        )
        share = min(wanted / max(table.plan.counts[key.parent], 1), 1.0)
        among = np.maximum(np.rint(many * share).astype(np.int64), 1)
        for names in self._resting_on(free):
            groups = alike_rows(table, [name for name in names if name not in free])
            if groups is None:
                continue
            turn = nth(groups)
            if (turn >= many).any():
                return None
            among = np.maximum(many, 1)
            drawn = mixed(groups, seed) % np.uint64(table.rows) + turn.astype(np.uint64)
        turns: Ints = (drawn % among.astype(np.uint64)).astype(np.int64)
        return turns

    def _resting_on(self, free: Sequence[str]) -> Iterator[Sequence[str]]:
        """The unique keys with these columns."""
        for names in self._table.keys:
            apart = self._table.unique.difference(free)
            if set(free).intersection(names) and not apart.intersection(names):
                yield names

    def _pair(self, key: ForeignKey, fixed: Sequence[str], free: Sequence[str]) -> None:
        """Two keys that are unique together: every row has one of the pairs of parents that agree."""
        table = self._table
        other = next((one for one in self._even if set(fixed) <= {*one.columns}), None)
        if other is None or self._matched:
            return
        ones, others = _pairs(other), _pairs(key)
        theirs, count = self._theirs(other), table.plan.counts[other.parent]
        agreeing = self._agreeing(key, fixed, {n: theirs[ones[n]] for n in fixed}, count)
        turns = Permutation(table.rows, self._seed("pairs", key.name))
        numbers = turns.forward(np.arange(table.rows, dtype=np.int64))
        found = None if agreeing is None else agreeing.pairs(numbers, table.rows)
        if found is None:
            return
        for name in self._names.intersection(ones):
            self._borrow(name, Listed(found[0]).points, theirs[ones[name]], nulls_of(table, name))
        for name in free:
            column = self._theirs(key)[others[name]]
            self._borrow(name, Listed(found[1]).points, column, nulls_of(table, name))

    def _count_on(self, names: Sequence[str]) -> None:
        """A unique key with borrowed columns and one of values: that one counts within each group."""
        table = self._table
        values = [name for name in names if name not in self._names]
        if table.unique.intersection(names) or len(values) != 1 or len(names) == 1:
            return
        (name,) = values
        groups = alike_rows(table, [other for other in names if other != name])
        draft = table.drafts.get(name)
        if draft is None or groups is None:
            return
        turn = nth(groups)
        most = int(turn.max(initial=0)) + 1
        made = draft.made(table.rows)
        points = told_apart(made)
        if points.size < most:
            made = draft.made(table.rows, distinct=2 * most)
            points = told_apart(made)
        if draft.rotates and made.spread.rows:
            drawn = mixed(groups, self._seed("follow", name)) % np.uint64(made.spread.rows)
            turn = turn + made.spread.ranks(drawn.astype(np.int64))
        table.place(name, Listed(points[turn % points.size]), made)

    def _seed(self, purpose: str, name: str) -> int:
        return key_of(self._table.plan.seed, purpose, self._name, name)


def _pairs(key: ForeignKey) -> dict[str, str]:
    return dict(zip(key.columns, key.parent_columns, strict=True))
