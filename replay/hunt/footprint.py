"""Which rows a transaction locks, in which order and mode: read off its statements. Pure.

`pg_locks` does not show row locks, so they are told from the text: what is updated, deleted, locked
or inserted, by which columns it is found, and which parents its foreign keys point to (PostgreSQL
manual, 13.3.2). Captured values are tokens, but equal where production's were, which is all that is
needed to know how often two transactions meet.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from data_gen.profile import SchemaProfile, TableProfile
from replay.hunt.model import KEY_SHARE, NO_KEY_UPDATE, SHARE, UPDATE
from replay.sql.fingerprint import fingerprint
from replay.sql.resolve import SlotUse, resolve
from replay.workload import Statement, Transaction

_FOR = re.compile(r"\bfor (no key update|key share|update|share)\b")
_PASSES_BY = re.compile(r"\b(skip locked|nowait)\b")
_UPSERT = re.compile(r"\bon conflict\b")
_FOUND_BY = frozenset({"eq", "in", "any"})
_WRITTEN = frozenset({"insert", "set"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLock:
    """One row, or the rows of one value, that a statement locks."""

    position: int  # of the statement in its transaction
    table: str  # qualified
    column: str  # by which the row is found
    token: str  # the value captured; "" where the statement does not tell it
    mode: str  # see model

    @property
    def target(self) -> str:
        """As the model names it."""
        return f"row of {self.table} by {self.column}"


class Footprints:
    """Reads transactions' row locks; each statement text is parsed once."""

    def __init__(self, profile: SchemaProfile | None) -> None:
        self._profile = profile
        self._known: dict[str, tuple[_Taken, ...]] = {}

    def of(self, transaction: Transaction) -> tuple[RowLock, ...]:
        """The row locks of a transaction, in order; none where the schema is not known."""
        if self._profile is None:
            return ()
        return tuple(
            lock
            for position, statement in enumerate(transaction.statements)
            for lock in self._locks(position, statement)
        )

    def _locks(self, position: int, statement: Statement) -> Iterator[RowLock]:
        assert self._profile is not None
        if statement.sql not in self._known:
            self._known[statement.sql] = tuple(_taken(statement.sql, self._profile))
        for taken in self._known[statement.sql]:
            value = statement.values[taken.slot - 1] if taken.slot else ""
            if value is None:
                continue
            for token in _tokens(value, array=taken.array):
                yield RowLock(
                    position=position,
                    table=taken.table,
                    column=taken.column,
                    token=token,
                    mode=taken.mode,
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A row lock of a statement, whatever its values; slot 0: the text does not tell the row."""

    table: str
    column: str
    mode: str
    slot: int
    array: bool = False


def _taken(sql: str, profile: SchemaProfile) -> Iterator[_Taken]:
    shape = fingerprint(sql)
    if _PASSES_BY.search(shape.sql):
        return
    uses = resolve(sql, profile)
    mode = _mode(shape.kind, shape.sql)
    target = profile.table(shape.tables[0]) if shape.tables else None
    if mode and target is not None:
        yield from _found(shape.kind, mode, target, uses)
    yield from _parents(uses, profile)


def _mode(kind: str, sql: str) -> str:
    """The row lock that a statement of this kind takes on what it works on."""
    if kind == "select":
        found = _FOR.search(sql)
        modes = {
            "update": UPDATE,
            "no key update": NO_KEY_UPDATE,
            "share": SHARE,
            "key share": KEY_SHARE,
        }
        return modes[found[1]] if found else ""
    if kind == "insert":
        return NO_KEY_UPDATE if _UPSERT.search(sql) else ""
    return {"update": NO_KEY_UPDATE, "delete": UPDATE, "merge": NO_KEY_UPDATE}.get(kind, "")


def _found(
    kind: str, mode: str, target: TableProfile, uses: tuple[SlotUse, ...]
) -> Iterator[_Taken]:
    keys = _keys(target)
    roles = {"insert"} if kind == "insert" else _FOUND_BY
    mine = [use for use in uses if use.table == target.qualified and use.role in roles]
    if kind == "insert":
        mine = [use for use in mine if use.column in keys]
    written = {u.column for u in uses if u.table == target.qualified and u.role == "set"}
    if kind == "update" and written & keys:
        mode = UPDATE
    chosen = [use for use in mine if use.column in keys] or mine
    for use in chosen[:1]:
        yield _Taken(
            table=target.qualified, column=use.column, mode=mode, slot=use.number, array=use.array
        )
    for use in chosen[1:]:
        if use.column == chosen[0].column:  # a list: each of its places is a row
            yield _Taken(
                table=target.qualified,
                column=use.column,
                mode=mode,
                slot=use.number,
                array=use.array,
            )


def _parents(uses: tuple[SlotUse, ...], profile: SchemaProfile) -> Iterator[_Taken]:
    """What is written into a foreign key holds its parent's row."""
    for use in uses:
        table = profile.table(use.table) if use.role in _WRITTEN else None
        for key in table.foreign_keys if table is not None else ():
            if key.columns == (use.column,):
                yield _Taken(
                    table=key.parent,
                    column=key.parent_columns[0],
                    mode=KEY_SHARE,
                    slot=use.number,
                    array=use.array,
                )


def _keys(table: TableProfile) -> set[str]:
    """Columns of its primary key and unique constraints."""
    return {c for found in table.constraints if found.kind in {"p", "u"} for c in found.columns}


def _tokens(value: str, *, array: bool) -> tuple[str, ...]:
    if array and value.startswith("{"):
        return tuple(part.strip('"') for part in value[1:-1].split(",") if part)
    return (value,)
