"""What each slot of a statement is bound by: key, value, fresh, constant, or nothing known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from data_gen.keys import KeyDomain
from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile
from replay.bind.arrays import elements
from replay.bind.fresh import FRESH_TYPES
from replay.sql.resolve import SlotUse, resolve

_WRITES = {"insert", "set"}
_UPSERT = re.compile(r"\bon conflict\b.*\bdo update\b")
_RANGES = {"lt", "gt", "le", "ge", "between"}


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
    column: ColumnProfile | None = None  # of every KEY, VALUE and FRESH
    role: str = ""
    domain: KeyDomain | None = None  # of every KEY, and of a FRESH that is a key
    array: bool = False  # the slot takes an array of the column's values

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
    return tuple(
        _place(number, uses.get(number), profile, domains, upsert=upsert)
        for number in range(1, len(slots) + 1)
    )


def _place(
    number: int,
    use: SlotUse | None,
    profile: SchemaProfile,
    domains: Mapping[tuple[str, str], KeyDomain],
    *,
    upsert: bool,
) -> Place:
    if use is not None and use.role in {"limit", "like"}:
        return Place(number=number, kind=Kind.CONSTANT, role=use.role)
    table = profile.table(use.table) if use is not None and use.table else None
    column = table.column(use.column) if table is not None and use is not None else None
    if use is None or table is None or column is None or use.role == "other":
        return Place(number=number, kind=Kind.UNRESOLVED)
    domain = domains.get((table.qualified, column.name))
    kind = Kind.VALUE if domain is None else Kind.KEY
    # An upsert is written for rows that are there: it meets one as often as not.
    if use.role in _WRITES and not (upsert and use.role == "insert") and _is_unique(table, column):
        kind = Kind.FRESH
    return Place(
        number=number,
        kind=kind,
        space=domain.name if domain else f"{table.qualified}.{column.name}",
        table=table.qualified,
        column=column,
        role=use.role,
        domain=domain,
        array=use.array,
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
