"""What each slot of a statement is bound by: key, value, fresh, constant, or nothing known."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from data_gen.keys import KeyDomain
from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile
from replay.bind.arrays import elements
from replay.bind.fresh import FRESH_TYPES, NARROW_TYPES
from replay.sql.resolve import SlotUse, resolve

_WRITES = {"insert", "set"}
_UPSERT = re.compile(r"\bon conflict\b.*\bdo update\b")
TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_RANGES = {"lt", "gt", "le", "ge", "between"}


class Kind(StrEnum):
    """How a slot gets its value."""

    KEY = "key"  # through its key domain
    VALUE = "value"  # a value that the generated column holds
    FRESH = "fresh"  # never seen before
    CONSTANT = "constant"  # as captured: LIMIT, patterns that meet no text
    UNRESOLVED = "unresolved"  # as captured: the column it meets is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One slot: what it meets, and the space in which equal captured values mean the same."""

    number: int
    kind: Kind
    space: str = ""  # name of the key domain, or schema.table.column
    table: str = ""
    column: ColumnProfile | None = None  # of every KEY, VALUE and FRESH
    role: str = ""
    domain: KeyDomain | None = None  # of every KEY, and of a FRESH that is a key
    array: bool = False  # the slot takes an array of the column's values
    case: str = ""  # lower or upper: the slot meets that of the column
    # Slots before this one's turn with columns of the same key: it is a value of a row that has theirs.
    beside: tuple[int, ...] = ()

    @property
    def is_range(self) -> bool:
        """Whether the slot is a bound of a range."""
        return self.role in _RANGES

    def tokens(self, text: str) -> tuple[str, ...]:
        """The captured values in a slot's text: one, or an array's."""
        return elements(text) if self.array and text.startswith("{") else (text,)


def places(
    sql: str,
    slots: str,
    profile: SchemaProfile,
    domains: Mapping[tuple[str, str], KeyDomain],
) -> tuple[Place, ...]:
    """A place for each slot of a whole statement, in the order of its values."""
    uses = {use.number: use for use in resolve(sql, profile)}
    upsert = _UPSERT.search(sql) is not None
    found = tuple(
        _place(number, uses.get(number), profile, domains, upsert=upsert)
        for number in range(1, len(slots) + 1)
    )
    found = _with_rows(found, profile)
    return found if upsert else _with_new_keys(found, profile)


def _place(
    number: int,
    use: SlotUse | None,
    profile: SchemaProfile,
    domains: Mapping[tuple[str, str], KeyDomain],
    *,
    upsert: bool,
) -> Place:
    if use is not None and use.role == "limit":
        return Place(number=number, kind=Kind.CONSTANT, role=use.role)
    table = profile.table(use.table) if use is not None and use.table else None
    column = table.column(use.column) if table is not None and use is not None else None
    if use is not None and use.role == "like" and (column is None or column.base_type not in TEXTS):
        return Place(number=number, kind=Kind.CONSTANT, role=use.role)
    if use is None or table is None or column is None or use.role == "other":
        return Place(number=number, kind=Kind.UNRESOLVED)
    domain = None if use.role == "like" else domains.get((table.qualified, column.name))
    kind = Kind.VALUE if domain is None else Kind.KEY
    # An upsert is written for rows that are there: it meets one as often as not.
    if use.role in _WRITES and not (upsert and use.role == "insert") and _is_unique(table, column):
        kind = Kind.FRESH
    return Place(
        number=number,
        kind=kind,
        space=domain.name if domain else _space(table, column.name, profile),
        table=table.qualified,
        column=column,
        role=use.role,
        domain=domain,
        array=use.array,
        case=use.case,
    )


def _space(table: TableProfile, name: str, profile: SchemaProfile) -> str:
    """Where a column's values come from, by way of foreign keys of several columns."""
    passed = set[str]()
    while (place := f"{table.qualified}.{name}") not in passed:
        passed.add(place)
        key = next((k for k in table.foreign_keys if name in k.columns), None)
        parent = profile.table(key.parent) if key is not None else None
        if key is None or parent is None:
            break
        table, name = parent, key.parent_columns[key.columns.index(name)]
    return place


def _with_rows(found: tuple[Place, ...], profile: SchemaProfile) -> tuple[Place, ...]:
    """The places; columns of a key of several are looked for in one row, those that lead elsewhere first."""
    beside: dict[int, tuple[int, ...]] = {}
    for qualified in dict.fromkeys(place.table for place in found if place.table):
        table = profile.table(qualified)
        met = {
            place.column.name: place
            for place in found
            if place.table == qualified and place.column and place.role == "eq"
            if place.kind in {Kind.KEY, Kind.VALUE} and not place.array
        }
        for key in _wide_keys(table) if table is not None else ():
            names = sorted((n for n in key if n in met), key=lambda n: met[n].kind is Kind.VALUE)
            for turn, name in enumerate(names):
                if turn and met[name].kind is Kind.VALUE:
                    numbers = tuple(met[other].number for other in names[:turn])
                    beside.setdefault(met[name].number, numbers)
    return tuple(replace(place, beside=beside.get(place.number, ())) for place in found)


def _with_new_keys(found: tuple[Place, ...], profile: SchemaProfile) -> tuple[Place, ...]:
    """The places, with one fresh column for each inserted key of several that had none.

    Its other columns refer to rows that exist, which may hold the captured rest of it already.
    """
    inserted = {(p.table, p.column.name): p for p in found if p.role == "insert" and p.column}
    fresh = {name for name, place in inserted.items() if place.kind is Kind.FRESH}
    for qualified in dict.fromkeys(table for table, _ in inserted):
        table = profile.table(qualified)
        assert table is not None
        for key in _wide_keys(table):
            names = [(qualified, column) for column in key]
            new = fresh.union(
                name for name in names if name not in inserted and _is_made(table, name[1])
            )
            if new.isdisjoint(names):
                narrow = [n for n in names if n in inserted and _can_be_narrow(table, n[1])]
                fresh.update(narrow[:1])
    return tuple(
        replace(place, kind=Kind.FRESH)
        if place.role == "insert" and place.column and (place.table, place.column.name) in fresh
        else place
        for place in found
    )


def _wide_keys(table: TableProfile) -> Iterator[tuple[str, ...]]:
    """The unique keys of several columns."""
    keys = [c.columns for c in table.constraints if c.kind in {"p", "u"}]
    keys += [index.columns for index in table.indexes if index.unique]
    return (key for key in keys if len(key) > 1)


def _is_made(table: TableProfile, name: str) -> bool:
    """Whether the server makes up a value where a statement gives none."""
    column = table.column(name)
    return column is not None and bool(
        column.identity or column.sequence or "(" in (column.default or "")
    )


def _can_be_narrow(table: TableProfile, name: str) -> bool:
    column = table.column(name)
    return (
        column is not None
        and column.base_type in NARROW_TYPES
        and not any(name in key.columns for key in table.foreign_keys)
    )


def _is_unique(table: TableProfile, column: ColumnProfile) -> bool:
    """Whether a value written here must be new: unique, and no reference to another table."""
    name = column.name
    if column.base_type not in FRESH_TYPES:
        return False
    if any(name in key.columns for key in table.foreign_keys):
        return False
    if any(name in c.columns for c in table.constraints if c.kind in {"p", "u"}):
        return True
    for index in table.indexes:
        if index.unique and name in index.columns:
            return True
        expressions = index.definition.partition(" USING ")[2] or index.definition
        if (
            index.unique
            and "" in index.columns
            and re.search(rf"\b{re.escape(name)}\b", expressions)
        ):
            return True
    return False
