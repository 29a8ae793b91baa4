"""A table's profile turned into a source for each column: keys, uniqueness, statistics.

Order of thought: columns that are unique by themselves; columns that follow a foreign key; then
unique keys of several columns, in which one column leads and the others count on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

import numpy as np

from data_gen.borrow import Borrowing
from data_gen.bounds import ANY, held, units
from data_gen.checks import InOrder, understood
from data_gen.drafts import Draft, KeyDraft, Made, ValueDraft
from data_gen.joined import Joined
from data_gen.keys import key_domains
from data_gen.kin import Kin
from data_gen.labels import allowed_values
from data_gen.leading import lead
from data_gen.moments import epoch_us, shift_us
from data_gen.nulls import null_group, nulls_of
from data_gen.pairs import in_order
from data_gen.parting import part
from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile
from data_gen.shuffle import Order, key_of
from data_gen.sizes import distinct_values, foreign_key_of, row_counts, unique_keys
from data_gen.sources import (
    CellSource,
    Filled,
    Gapped,
    Own,
    Packed,
    Source,
)
from data_gen.spread import Spread, ladder
from data_gen.stacked import Stacked
from data_gen.toast import outside
from data_gen.values import generator_of
from data_gen.values.family import Wanted

_ALMOST_ALL = 0.98  # of the rows: distinct values that are as good as unique


class Plan:
    """All tables of a profile at one scale, seed and base time; tables are planned when asked."""

    def __init__(
        self,
        profile: SchemaProfile,
        *,
        scale: float,
        seed: int,
        base_time: datetime,
        oids: Mapping[str, int] = MappingProxyType({}),
        only: Sequence[str] = (),
    ) -> None:
        self.profile = profile
        self.oids = oids  # of the target's own types, by name as format_type gives it
        self.seed = seed
        self.base_time = base_time
        counts = row_counts(profile, scale)
        chosen = frozenset(only or counts)  # the tables to fill, where not all are
        self.counts = {name: rows if name in chosen else 0 for name, rows in counts.items()}
        self.domains = key_domains(profile, scale, seed, base_time)
        self._tables: dict[str, Mapping[str, CellSource]] = {}
        self.planned: dict[str, TablePlan] = {}

    def columns(self, table: TableProfile) -> Mapping[str, CellSource]:
        """A source for each column that is loaded, in the table's order; others are defaults."""
        if table.qualified not in self._tables:
            self._tables[table.qualified] = {}  # a circle of keys finds nothing to borrow
            parts = tuple(units(self.profile, table))
            if not self.counts[table.qualified]:
                return self._tables[table.qualified]
            if parts != (table,):
                self._tables[table.qualified] = self._stacked(parts)
            else:
                made = TablePlan(self, table)
                self._tables[table.qualified] = made.planned()
                self.planned[table.qualified] = made
        return self._tables[table.qualified]

    def is_one_domain(self, one: tuple[str, str], other: tuple[str, str]) -> bool:
        """Whether two columns lead to the same keys, so that their points mean the same values."""
        domain = self.domains.get(one)
        return domain is not None and domain is self.domains.get(other)

    def _stacked(self, parts: Sequence[TableProfile]) -> Mapping[str, CellSource]:
        """The columns of a partitioned table, from the tables in which its rows are made."""
        ends = np.cumsum([self.counts[part.qualified] for part in parts], dtype=np.int64)
        made = [self.columns(part) for part in parts]
        names = dict.fromkeys(name for columns in made for name in columns)
        return {name: Stacked(ends, tuple(columns.get(name) for columns in made)) for name in names}


class TablePlan:
    """One table while it is planned."""

    def __init__(self, plan: Plan, table: TableProfile) -> None:
        self.plan = plan
        self.table = table
        self.rows = plan.counts[table.qualified]
        self.columns = [c for c in table.columns if not c.generated and generator_of(c) is not None]
        self.keys = unique_keys(table)
        self.checks = understood(table)
        self.unique = self._unique()
        self.kin = Kin(self)
        self.drafts = {column.name: self._draft(column) for column in self.columns}
        self.filled: dict[str, CellSource] = {}
        self.sources: dict[str, Source] = {}
        self.leads: dict[str, Own] = {}

    def planned(self) -> Mapping[str, CellSource]:
        """A source for each column."""
        borrowing = Borrowing(self)
        borrowing.draw()
        for names in self.keys:
            lead(self, names)
        joined = self.kin.join()
        for column in self.columns:
            if column.name in self.filled:
                continue
            if column.name in joined.sources:
                self._couple(column.name, joined)
            else:
                self._fill(column, joined)
        self.kin.pin()
        for order in self.checks.orders:
            self._set_in_order(order)
        borrowing.match()
        part(self)
        return {column.name: self.filled[column.name] for column in self.columns}

    def _unique(self) -> set[str]:
        """Columns whose values must all differ; of a key of several, one that nearly does so."""
        unique = {key[0] for key in self.keys if len(key) == 1}
        for key in self.keys:
            if not unique.intersection(key):
                nearly = (
                    column.name
                    for column in self.columns
                    if column.name in key and foreign_key_of(self.table, column.name) is None
                    if distinct_values(column, self.rows, self.table.rows)
                    >= _ALMOST_ALL * self.rows
                    if not column.enum_labels
                )
                unique.update([name] if (name := next(nearly, None)) is not None else [])
        return unique

    def _draft(self, column: ColumnProfile) -> Draft:
        plan, name = self.plan, self.table.qualified
        key = key_of(plan.seed, "values", name, column.name)
        domain = plan.domains.get((name, column.name))
        limits = held(plan.profile, self.table, column)
        if limits != ANY:  # a partition's rows must be its own, whatever key they name
            domain = None
        if domain is not None and (domain.table, domain.column) != (name, column.name):
            root = plan.profile.table(domain.table)
            return KeyDraft(
                column=column,
                domain=domain,
                parents=root.rows if root is not None else domain.size,
                unique=column.name in self.unique,
                key=key,
                rows=self.rows,
                production=self.table.rows,
                fan=lambda rows: self.kin.fan(column.name, rows),
            )
        return ValueDraft(
            Wanted(
                column=column,
                distinct=distinct_values(column, self.rows, self.table.rows),
                unique=column.name in self.unique,
                key=key,
                shift_us=shift_us(plan.profile, plan.base_time),
                now_us=epoch_us(plan.base_time),
                labels=limits.values or allowed_values(self.table, column),
                locale=plan.profile.locale,
                outside=outside(self.table, column),
                held=(limits, *self.checks.held.get(column.name, ())),
                oids=plan.oids,
            )
        )

    def is_key(self, column: str) -> bool:
        """Whether the column is a key, or leads to one."""
        return (self.table.qualified, column) in self.plan.domains

    def _couple(self, name: str, joined: Joined) -> None:
        """With the others that it goes together with."""
        source, made = joined.sources[name], self.drafts[name].made(self.rows)
        self.sources[name] = source
        self.filled[name] = Filled(source, made.encode, made.text, joined.nulls.get(name))

    def _fill(self, column: ColumnProfile, joined: Joined) -> None:
        """By its own statistics."""
        name = column.name
        domain = self.plan.domains.get((self.table.qualified, name))
        nulls = nulls_of(self, name)
        if domain is not None and (domain.table, domain.column) == (self.table.qualified, name):
            spread = ladder(self.rows, (0, self.rows - 1))
            made = Made(spread, domain.encode, domain.family.values.decode)
            known = column if column.analyzed else replace(column, correlation=1.0)
            self.place(name, Own(spread, self.order(known, spread)), made)
        elif (
            nulls is not None
            and nulls.count < self.rows
            and name in self.unique
            and not nulls.begin
        ):
            made = self.drafts[name].made(self.rows - nulls.count)
            self.place(name, Packed(made.spread, nulls), made)
        elif nulls is not None and nulls.count < self.rows and self._is_counted(column, joined):
            made = self.drafts[name].made(self.rows - nulls.count)
            source = Gapped(made.spread, self.order(column, made.spread), nulls.count)
            self.sources[name] = source
            self.filled[name] = Filled(source, made.encode, made.text, source)
        else:
            made = self.drafts[name].made(self.rows)
            self.place(name, Own(made.spread, self.order(column, made.spread)), made)

    def _is_counted(self, column: ColumnProfile, joined: Joined) -> bool:
        """Whether a key's rows are counted by parent, and nothing else tells which are NULL."""
        key = foreign_key_of(self.table, column.name)
        free = column.name != joined.root and null_group(self, column) is None
        return free and key is not None and key.fan_out is not None

    def _set_in_order(self, order: InOrder) -> None:
        """Two columns that a check compares: where the rows have them the other way, they change."""
        kept = {*self.unique, *(name for key in self.keys for name in key)}
        one, other = self.filled.get(order.low), self.filled.get(order.high)
        free = not kept.intersection((order.low, order.high)) and not any(
            self.is_key(name) for name in (order.low, order.high)
        )
        if isinstance(one, Filled) and isinstance(other, Filled) and free:
            pair = in_order(one, other, strict=order.strict)
            if pair is not None:
                self.filled[order.low], self.filled[order.high] = pair

    def place(self, name: str, source: Source, made: Made) -> None:
        """A column by the points of a source."""
        self.sources[name] = source
        self.filled[name] = Filled(source, made.encode, made.text, nulls_of(self, name))

    def column(self, name: str) -> ColumnProfile:
        """A column that is loaded."""
        return next(column for column in self.columns if column.name == name)

    def order(self, column: ColumnProfile, spread: Spread) -> Order:
        """In which order the rows take a column's slots, for its correlation."""
        seed, name = self.plan.seed, self.table.qualified
        return Order.of(
            self.rows,
            spread.strength(column.correlation),
            table=key_of(seed, "order", name),
            column=key_of(seed, "order", name, column.name),
        )
