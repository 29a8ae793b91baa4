"""A table among its kin while it is planned: what its parents look like, how many children they have.

Stands between the plan, which knows drafts and sources, and `joined`, which knows joints.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from data_gen.codes import NULL, Coder, children, distinct
from data_gen.drafts import KeyDraft, ValueDraft
from data_gen.fans import scaled, shared_out
from data_gen.joined import Joined
from data_gen.members import Column, Parents
from data_gen.profile import ColumnProfile, ForeignKey, Joint
from data_gen.shuffle import Ints, key_of
from data_gen.sizes import foreign_key_of
from data_gen.sources import Filled, Own
from data_gen.spread import Spread, counted

if TYPE_CHECKING:
    from data_gen.plan import TablePlan

_MOST_PARENTS = 1 << 22  # what is known of each lies in memory
_SLOTS = 1 << 20  # looked at at a time
_IN_ORDER = 0.2  # correlation from which a foreign key keeps its own order of rows
_CLUSTERED = 0.9  # correlation from which a column follows the rows' order by itself


class Kin:
    """What a coupling asks of one table's plan."""

    def __init__(self, table: "TablePlan") -> None:
        self._table = table
        self._counts: dict[tuple[str, int], Ints | None] = {}
        self._joined: Joined | None = None
        self.rows = table.rows

    @property
    def joint(self) -> Joint | None:
        """What the sample said of the table."""
        return self._table.table.joint

    @property
    def key(self) -> int:
        """Randomness of the coupling."""
        return key_of(self._table.plan.seed, "joint", self._table.table.qualified)

    def join(self) -> Joined:
        """The table's coupling; made once."""
        if self._joined is None:
            self._joined = Joined(self)
        return self._joined

    def pin(self) -> None:
        """Rows whose key the joint knows by name take the cell that it tells of them."""
        joint, table = self.joint, self._table
        if joint is None or not joint.keys or self._joined is None or table.rows > _MOST_PARENTS:
            return
        for (name, column), domain in table.plan.domains.items():
            source = table.sources.get(column)
            if (name, column) != (domain.table, domain.column) or name != table.table.qualified:
                continue
            known = [(domain.place(key), cell) for key, cell in joint.keys if key in domain.known]
            if not isinstance(source, Own) or not known:
                continue
            rows = source.order.rows_at(np.array([place for place, _ in known], np.int64))
            self._joined.pin(rows, np.array([cell for _, cell in known], np.int64), table.rows)

    def looks(self, key: str) -> tuple[Ints, Ints] | None:
        """What the rows look like by position of a key: kinds by their values, and all their children."""
        joined, source = self.join(), self.source(key)
        if joined.coupling is None or source is None or self.rows > _MOST_PARENTS:
            return None
        rows = source.order.rows_at(np.arange(self.rows, dtype=np.int64))
        codes = joined.coupling.cells[joined.coupling.find(rows)[0]]
        parts = sorted(joined.children.values())
        kinds = distinct(np.delete(codes, parts, axis=1))[1]
        return kinds, children(codes[:, parts]).sum(axis=1)

    def own(self, name: str) -> Column | None:
        """A column of values, in no key, that does not follow the rows' order by itself."""
        table = self._table
        draft = table.drafts.get(name)
        if not isinstance(draft, ValueDraft) or name in table.filled:
            return None
        if name in table.unique or any(name in key for key in table.keys):
            return None
        column = draft.wanted.column
        if _is_clustered(column):
            return None
        return Column(
            spread=draft.made(self.rows).spread,
            coder=Coder.of(column, draft.family()),
            nulls=self._nulls(column),
        )

    def parents(self, via: str, columns: Sequence[str]) -> Parents | None:
        """The parents by a foreign key of one column, where their number of children is known."""
        table = self._table
        key = next((key for key in table.table.foreign_keys if key.name == via), None)
        if key is None:
            return None
        parent, draft = self._parent(key), table.drafts.get(key.columns[0])
        if parent is None or not isinstance(draft, KeyDraft):
            return None
        column = draft.column
        is_placed = column.name in table.filled
        clustered = is_placed or abs(column.correlation or 0.0) >= _IN_ORDER
        nulls = self._nulls(column)
        counts = self.counts(column.name, self.rows if clustered else self.rows - nulls)
        if counts is None:
            return None
        rows = _rows_of(parent, key, counts.size)
        coded = {
            name: codes for name in columns if (codes := _codes(parent, name, rows)) is not None
        }
        if not coded:
            return None
        spread = counted(counts)
        if is_placed and not _same(self.source(column.name), spread):
            return None
        return Parents(
            column=column.name,
            columns=tuple(coded),
            codes=np.stack(list(coded.values()), axis=1),
            counts=counts,
            spread=spread,
            nulls=nulls,
            clustered=clustered,
            in_place=(column.correlation or 0.0) >= _CLUSTERED,
        )

    def source(self, name: str) -> Own | None:
        """A column that is planned already, by a spread and an order of its own."""
        found = self._table.sources.get(name)
        return found if isinstance(found, Own) else None

    def fan(self, column: str, rows: int) -> Spread | None:
        """The spread of a foreign key's column by how many children each parent has."""
        counts = self.counts(column, rows)
        return None if counts is None else counted(counts)

    def counts(self, column: str, rows: int) -> Ints | None:
        """How many of so many rows lead to each parent, by position of its key; None: not known."""
        if (column, rows) not in self._counts:
            self._counts[column, rows] = self._counted(column, rows)
        return self._counts[column, rows]

    def _counted(self, column_name: str, rows: int) -> Ints | None:
        table = self._table
        key, draft = foreign_key_of(table.table, column_name), table.drafts.get(column_name)
        if key is None or len(key.columns) > 1 or not isinstance(draft, KeyDraft):
            return None
        domain, column = draft.domain, draft.column
        if domain.size > _MOST_PARENTS:
            return None
        found = self._by_looks(key, draft)
        if key.fan_out is not None:
            like = _children(draft.by_statistics(rows), domain.size) if found is None else found
            hot = {token: domain.place(token) for token, _ in key.fan_out.hot}
            seed = key_of(table.plan.seed, "fans", table.table.qualified, key.name)
            return shared_out(key.fan_out, like, hot, rows, parents=draft.parents, key=seed)
        if found is None:
            return None
        present = max(1.0 - column.null_fraction, 1e-9)
        named = {
            domain.place(token): round(fraction / present * rows)
            for token, fraction in zip(column.common_values, column.common_fractions, strict=True)
        }
        return _shared_out(found, named, rows)

    def _by_looks(self, key: ForeignKey, draft: KeyDraft) -> Ints | None:
        """How many children each parent has by what it looks like, about."""
        domain = draft.domain
        parent = self._parent(key)
        if parent is None or (domain.table, domain.column) != (key.parent, key.parent_columns[0]):
            return None
        rows = _rows_of(parent, key, domain.size)
        return parent.kin.join().children_of(self._table.table.qualified, key.name, rows)

    def _parent(self, key: ForeignKey) -> "TablePlan | None":
        """The parent's plan; None where that is still being made, or its key is no ladder."""
        plan = self._table.plan
        found = plan.profile.table(key.parent)
        if found is None or len(key.columns) > 1 or key.parent == self._table.table.qualified:
            return None
        plan.columns(found)
        parent = plan.planned.get(found.qualified)
        if parent is None or not isinstance(parent.sources.get(key.parent_columns[0]), Own):
            return None
        return parent

    def _nulls(self, column: ColumnProfile) -> int:
        return 0 if column.not_null else round(column.null_fraction * self.rows)


def _is_clustered(column: ColumnProfile) -> bool:
    return abs(column.correlation or 0.0) >= _CLUSTERED


def _same(source: Own | None, spread: Spread) -> bool:
    """Whether a column was placed by that very spread: a unique key of several may need another."""
    return (
        source is not None
        and np.array_equal(source.spread.low, spread.low)
        and np.array_equal(source.spread.counts, spread.counts)
    )


def _rows_of(parent: "TablePlan", key: ForeignKey, count: int) -> Ints:
    """The parent's row at each position of its key."""
    source = parent.sources[key.parent_columns[0]]
    assert isinstance(source, Own)
    return source.order.rows_at(np.arange(count, dtype=np.int64))


def _codes(parent: "TablePlan", name: str, rows: Ints) -> Ints | None:
    """Codes of a column of the parent's rows; None where it has none."""
    draft, filled = parent.drafts.get(name), parent.filled.get(name)
    if not isinstance(draft, ValueDraft) or not isinstance(filled, Filled):
        return None
    codes = Coder.of(draft.wanted.column, draft.family()).of_points(filled.source.points(rows))
    return codes if filled.nulls is None else np.where(filled.nulls.flags(rows), NULL, codes)


def _children(spread: Spread, parents: int) -> Ints:
    """How many slots each position has."""
    counts = np.zeros(parents, np.int64)
    for first in range(0, spread.rows, _SLOTS):
        slots = np.arange(first, min(first + _SLOTS, spread.rows), dtype=np.int64)
        counts += np.bincount(spread.points(slots), minlength=parents)
    return counts


def _shared_out(found: Ints, hot: Mapping[int, int], rows: int) -> Ints | None:
    """So many rows for the hot parents, the others in proportion to the children that they have."""
    counts, places = found.copy(), np.array(list(hot), np.int64)
    counts[places] = 0
    left = rows - sum(hot.values())
    shared = scaled(counts, left) if left >= 0 else None
    if shared is not None:
        shared[places] = list(hot.values())
    return shared
