"""What each slot of a statement is bound by: key, value, fresh, constant, or nothing known."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from data_gen.keys import KeyDomain
from data_gen.profile import SchemaProfile, TableProfile
from replay.sql.resolve import SlotUse, resolve

_ORDERED = ("timestamp", "timestamptz", "date", "time", "timetz", "interval")


class Kind(StrEnum):
    """How a slot gets its value."""

    KEY = "key"  # through its key domain
    VALUE = "value"  # a value that the generated column holds
    FRESH = "fresh"  # never seen before
    CONSTANT = "constant"  # as captured: LIMIT, patterns
    UNRESOLVED = "unresolved"  # as captured: the column it meets is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One slot: what it meets, and the space in which equal captured values mean the same."""

    number: int
    kind: Kind
    space: str = ""  # name of the key domain, or schema.table.column
    table: str = ""
    column: str = ""
    base_type: str = ""
    role: str = ""
    domain: KeyDomain | None = None
    array: bool = False  # the slot takes an array of the column's values

    @property
    def element(self) -> "Place":
        """The same place for one element of its array."""
        return replace(self, array=False)


def places(
    sql: str,
    slots: str,
    profile: SchemaProfile,
    domains: Mapping[tuple[str, str], KeyDomain],
) -> tuple[Place, ...]:
    """A place for each slot of a whole statement, in the order of its values."""
    uses = {use.number: use for use in resolve(sql, profile)}
    return tuple(_place(number, uses.get(number), profile, domains) for number in _numbers(slots))


def _numbers(slots: str) -> range:
    return range(1, len(slots) + 1)


def _place(
    number: int,
    use: SlotUse | None,
    profile: SchemaProfile,
    domains: Mapping[tuple[str, str], KeyDomain],
) -> Place:
    if use is not None and use.role in {"limit", "like"}:
        return Place(number=number, kind=Kind.CONSTANT, role=use.role)
    table = profile.table(use.table) if use is not None and use.table else None
    column = table.column(use.column) if table is not None and use is not None else None
    if use is None or table is None or column is None or use.role == "other":
        return Place(number=number, kind=Kind.UNRESOLVED)
    domain = domains.get((table.qualified, column.name))
    fresh = use.role == "insert" and _is_unique(table, column.name)
    kind = Kind.VALUE if domain is None else Kind.KEY
    return Place(
        number=number,
        kind=Kind.FRESH if fresh else kind,
        space=f"{domain.table}.{domain.column}" if domain else f"{table.qualified}.{column.name}",
        table=table.qualified,
        column=column.name,
        base_type=column.base_type,
        role=use.role,
        domain=domain,
        array=use.array,
    )


def _is_unique(table: TableProfile, column: str) -> bool:
    """Whether a value inserted here must be new: unique, and no reference to another table."""
    if any(column in key.columns for key in table.foreign_keys):
        return False
    keys = [c.columns for c in table.constraints if c.kind in {"p", "u"}]
    keys += [i.columns for i in table.indexes if i.unique]
    return any(column in columns for columns in keys)
