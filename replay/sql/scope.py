"""What names mean inside a statement: columns of tables, of sub-selects, and lists of slots."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from data_gen.profile import TableProfile


class Origin(NamedTuple):
    """A column of a real table."""

    table: str  # TableProfile.qualified
    column: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an expression stands for, as far as slots and columns go.

    `UPDATE t SET a = v.a FROM (VALUES ($1, $2)) v (id, a)`: v.a is the slot $2.
    """

    column: Origin | None = None  # the one column in it
    plain: bool = False  # it is that column, and nothing around it: an index could serve
    wrapped: bool = False  # there is a function or an operator around
    slots: tuple[int, ...] = ()  # slots that are its value, casts aside
    array: bool = False  # each slot holds an array of its values
    inside: tuple[int, ...] = ()  # slots in the arguments of the functions around
    case: str = ""  # lower or upper around it, and nothing else that changes the value
    relation: int = 0  # in which item of a FROM list the column stands


NOTHING = Meaning()
Columns = dict[str, Meaning]


@dataclass(slots=True)
class Scope:
    """What can be named at one place: FROM items by alias, CTEs by name, and all that is around."""

    outer: "Scope | None" = None
    relations: dict[str, Columns] = field(default_factory=dict)
    ctes: dict[str, Columns] = field(default_factory=dict)

    def add(self, alias: str, columns: Columns, number: int) -> None:
        """Bring a FROM item into the scope; `number` tells it from the others."""
        self.relations[alias] = {
            name: replace(meaning, relation=number) for name, meaning in columns.items()
        }

    def find(self, qualifier: str, name: str) -> Meaning:
        """What a column reference means; the innermost that has the name."""
        if not qualifier:
            for columns in self.relations.values():
                if name in columns:
                    return columns[name]
        elif qualifier in self.relations:
            return self.relations[qualifier].get(name, NOTHING)
        return self.outer.find(qualifier, name) if self.outer else NOTHING

    def cte(self, name: str) -> Columns | None:
        """Columns of the CTE of that name, or None."""
        if name in self.ctes:
            return self.ctes[name]
        return self.outer.cte(name) if self.outer else None


def columns_of(table: TableProfile | None) -> Columns:
    """A real table's columns; none where the table is not known."""
    if table is None:
        return {}
    return {
        column.name: Meaning(column=Origin(table.qualified, column.name), plain=True)
        for column in table.columns
    }


def renamed(columns: Columns, names: Iterable[str]) -> Columns:
    """The columns under the names of an alias, as far as it gives any: `v (id, name)`."""
    given = dict(zip(columns, names, strict=False))
    return {given.get(name, name): meaning for name, meaning in columns.items()}
