"""Key domains: which keys exist, and where production's keys stand among them.

A domain is a key column (the root) and every foreign-key column that leads to it. Its keys are
positions 0 … size-1. In a type with an order, position is rank: a key of production is placed by
its quantile in the root's histogram, so order, locality and the bounds themselves stay. In others
the tokens that statistics name stand at their positions, and keyed hashing places the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np

from data_gen.bounds import Held, held, units
from data_gen.cells import Cells, Piece
from data_gen.checks import limits_of
from data_gen.moments import epoch_us, shift_us
from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile
from data_gen.shuffle import Ints, key_of
from data_gen.sizes import foreign_key_of, row_counts, unique_keys
from data_gen.spread import Spread, joined, ladder
from data_gen.values import generator_of
from data_gen.values.family import Family, Wanted
from data_gen.values.integers import LIMITS


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KeyDomain:
    """The keys of one root column."""

    table: str  # qualified, of the root
    column: str
    base_type: str
    size: int
    family: Family
    rungs: Spread  # position to point
    hot: Mapping[str, int]  # positions of the tokens that statistics name
    known: Mapping[str, int]  # of other tokens whose rows are known to look as they did
    near: Callable[[str], int]  # where any token belongs, whoever else is there

    @property
    def name(self) -> str:
        """The root, as schema.table.column."""
        return f"{self.table}.{self.column}"

    def at(self, position: int) -> str:
        """The key at a position, in PostgreSQL's text form."""
        (raw,) = Cells(self.encode(np.array([position], np.int64))).raw()
        assert raw is not None
        return self.family.values.decode(raw)

    def encode(self, positions: Ints) -> tuple[Piece, ...]:
        """The keys at some positions, in binary form."""
        return self.family.values.encode(self.rungs.points(positions))

    def place(self, token: str) -> int:
        """The position of the generated key that stands for a key of production.

        Keys that are common in any column of the domain have positions of their own; for others
        two may share one, as they must where the domain is smaller than production's.
        """
        position = self.hot.get(token, self.known.get(token))
        return self.near(token) if position is None else position


def key_domains(
    profile: SchemaProfile, scale: float, seed: int, base_time: datetime | None = None
) -> Mapping[tuple[str, str], KeyDomain]:
    """The domain of each key column, by (qualified table, column).

    A root is a primary key of one column, or a column that a foreign key refers to and that is
    unique by itself. Tables that get no rows have no domain.
    """
    counts = row_counts(profile, scale)
    members: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for table in profile.tables:
        for column in table.columns:
            root = root_of(profile, table, column.name)
            if root is not None:
                members.setdefault(root, []).append((table.qualified, column.name))
    shift = shift_us(profile, base_time)
    domains: dict[tuple[str, str], KeyDomain] = {}
    # A partitioned table's keys are those of its partitions, which come first.
    for (table_name, column_name), names in sorted(
        members.items(), key=lambda item: _partitioned(profile, item[0][0])
    ):
        if counts[table_name]:
            columns = [_column(profile, name) for name in names]
            wanted = Wanted(
                column=_column(profile, (table_name, column_name)),
                distinct=counts[table_name],
                unique=True,
                key=key_of(seed, "keys", table_name, column_name),
                shift_us=shift,
                now_us=epoch_us(base_time) if base_time else profile.taken_at_us,
                locale=profile.locale,
                held=_held(profile, (table_name, column_name)),
            )
            domain = _domain(
                table_name,
                wanted,
                columns,
                _parts(profile, (table_name, column_name), domains),
                (
                    *_hottest(profile, names),
                    *_known(profile, table_name, column_name),
                ),
            )
            if domain is not None:
                domains |= dict.fromkeys(names, domain)
    return domains


def _hottest(profile: SchemaProfile, names: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Tokens of the keys with most children by a foreign key in one of the columns."""
    for table_name, column in names:
        table = profile.table(table_name)
        for key in table.foreign_keys if table is not None else ():
            if key.columns == (column,) and key.fan_out is not None:
                yield from (token for token, _ in key.fan_out.hot)


def _known(profile: SchemaProfile, table_name: str, column: str) -> Sequence[str]:
    """Tokens of keys that the table's joint knows by name."""
    table = profile.table(table_name)
    if table is None or table.joint is None or (column,) not in unique_keys(table):
        return ()
    return tuple(token for token, _ in table.joint.keys)


def _partitioned(profile: SchemaProfile, name: str) -> bool:
    table = profile.table(name)
    return table is not None and bool(table.partition_key)


def _held(profile: SchemaProfile, name: tuple[str, str]) -> tuple[Held, ...]:
    table, column = profile.table(name[0]), _column(profile, name)
    assert table is not None
    return (held(profile, table, column), *limits_of(table, column))


def _parts(
    profile: SchemaProfile,
    name: tuple[str, str],
    domains: Mapping[tuple[str, str], KeyDomain],
) -> tuple[Spread, ...]:
    """The keys of a table's partitions; () for a table that is made in one piece."""
    table = profile.table(name[0])
    parts = tuple(units(profile, table)) if table is not None else ()
    if parts == (table,):
        return ()
    found = (domains.get((part.qualified, name[1])) for part in parts)
    rungs = [domain.rungs for domain in found if domain is not None]
    return tuple(sorted(rungs, key=lambda one: int(one.low.min(initial=0))))


def _domain(
    table: str,
    wanted: Wanted,
    columns: Sequence[ColumnProfile],
    parts: Sequence[Spread] = (),
    known: Sequence[str] = (),
) -> KeyDomain | None:
    generator = generator_of(wanted.column)
    if generator is None:
        return None
    size = wanted.distinct
    tokens = list(_by_frequency(columns))
    family = generator(wanted)
    rungs = ladder(size, (0, size - 1))
    near = partial(_scattered, wanted.key, size)
    if family.point is None:
        tokens = list(dict.fromkeys((*tokens, *wanted.column.histogram)))
    else:
        low, high = family.limits
        high = min(high, *(LIMITS.get(column.base_type, family.limits)[1] for column in columns))
        first = max(low, min(1, high - size + 1))
        rungs = within(size, family.bounds, high, (first, first + size - 1))
        if parts and sum(part.rows for part in parts) == size:
            rungs = joined(parts)
        near = partial(_nearest, rungs, family.point, near)
    placed = _placed(list(dict.fromkeys((*tokens, *known)))[:size], size, near)
    hot = {token: placed[token] for token in tokens[:size]}
    if family.point is None:
        family = generator(replace(wanted, known={at: token for token, at in placed.items()}))
    return KeyDomain(
        table=table,
        column=wanted.column.name,
        base_type=wanted.column.base_type,
        size=size,
        family=family,
        rungs=rungs,
        hot=hot,
        known=placed,
        near=near,
    )


def _scattered(key: int, size: int, token: str) -> int:
    return key_of(key, token) % size


def _nearest(
    rungs: Spread, point: Callable[[str], int], otherwise: Callable[[str], int], token: str
) -> int:
    try:
        return rungs.slot_of(point(token))
    except (ValueError, ArithmeticError):  # no value of the type: any place, always the same
        return otherwise(token)


def within(rows: int, bounds: Sequence[int], high: int, spare: tuple[int, int]) -> Spread:
    """A ladder by its bounds, or between the spare ones where that would climb too high."""
    rungs = ladder(rows, bounds)
    if rows and int(rungs.points(np.array([rows - 1]))[0]) > high:
        return ladder(rows, spare)
    return rungs


def _placed(tokens: Sequence[str], size: int, near: Callable[[str], int]) -> dict[str, int]:
    """A position of its own for each token: the nearest free one, going up."""
    taken: set[int] = set()
    placed: dict[str, int] = {}
    for token in tokens:
        position = near(token)
        while position in taken:
            position = (position + 1) % size
        taken.add(position)
        placed[token] = position
    return placed


def _by_frequency(columns: Sequence[ColumnProfile]) -> Iterator[str]:
    pairs = [
        (fraction, token)
        for column in columns
        for token, fraction in zip(column.common_values, column.common_fractions, strict=True)
    ]
    ordered = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
    yield from dict.fromkeys(token for _, token in ordered)


def root_of(profile: SchemaProfile, table: TableProfile, column: str) -> tuple[str, str] | None:
    """The key column that a column leads to, by way of foreign keys; None for no key."""
    path = [(table.qualified, column)]
    while (key := foreign_key_of(table, column)) is not None:
        parent = profile.table(key.parent)
        if parent is None:
            return None
        table, column = parent, key.parent_columns[key.columns.index(column)]
        if (table.qualified, column) in path:  # keys in a circle: any one of it, always the same
            path = path[path.index((table.qualified, column)) :]
            table_name, column = min(path)
            found = profile.table(table_name)
            assert found is not None
            table = found
            break
        path.append((table.qualified, column))
    alone = (column,) in unique_keys(table)
    primary = any(c.kind == "p" and c.columns == (column,) for c in table.constraints)
    return (table.qualified, column) if alone and (primary or len(path) > 1) else None


def _column(profile: SchemaProfile, name: tuple[str, str]) -> ColumnProfile:
    table = profile.table(name[0])
    column = table.column(name[1]) if table is not None else None
    assert column is not None
    return column
