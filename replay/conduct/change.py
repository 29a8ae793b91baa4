"""A fix in the application, made to the load that is replayed: pure, on kept transactions.

What the client does in between stays where it was, so that a statement which changes its place takes
no pause with it: a fix is not made to look better than it is. Whether the application has a
statement's values where it now comes, no replay can tell.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from data_gen.keys import key_domains
from data_gen.profile import SchemaProfile
from replay import finding
from replay.bind.slots import Place, places
from replay.conduct.joined import joined
from replay.finding import Change
from replay.workload import Statement, Transaction, Workload

Values = tuple[tuple[str | None, ...], ...]  # of each statement, one a slot

_FRAME = frozenset({"begin", "commit", "rollback", "savepoint"})
_LOCKS_ROWS = re.compile(r"\bfor\s+(no\s+key\s+)?(update|share|key\s+share)\b", re.IGNORECASE)
_SKIPPABLE = re.compile(r"\bfor\s+(?:no\s+key\s+)?update\b(?!\s+(?:skip|nowait|of))", re.IGNORECASE)
_SESSION_LOCK = re.compile(r"\bpg_(try_)?advisory_lock(_shared)?\s*\(", re.IGNORECASE)
_BACK_TO = re.compile(r"\s*rollback\s+(work\s+|transaction\s+)?to\b", re.IGNORECASE)
_UNLOCK = re.compile(r"\s*select\s+pg_advisory_unlock(_all|_shared)?\s*\([^)]*\)", re.IGNORECASE)


def changed(workload: Workload, changes: Sequence[Change]) -> Workload:
    """The workload as the changed application would have made it; IN_ORDER waits for the values."""
    if not changes:
        return workload  # whose transactions may be too many to hold
    transactions = list(workload.transactions)
    kinds = {template.id: template.kind for template in workload.templates}
    for change in changes:
        if change.kind == finding.TRANSACTION_LOCK:
            transactions = joined(transactions, change.templates, _unlocks)
        alter = _ALTER.get(change.kind)
        if alter is not None:
            transactions = [
                alter(one, change.templates, kinds) if concerns(change, one) else one
                for one in transactions
            ]
    return replace(workload, transactions=tuple(transactions))


def concerns(change: Change, transaction: Transaction) -> bool:
    """Whether a transaction holds one of the change's statements."""
    return any(statement.template in change.templates for statement in transaction.statements)


def count(workload: Workload, change: Change) -> int:
    """How many kept transactions a change makes others; for IN_ORDER, how many it might."""
    if change.kind == finding.IN_ORDER:
        return sum(len(_places(one, change.templates)) > 1 for one in workload.transactions)
    before = {one.id: one.statements for one in workload.transactions}
    after = {one.id: one.statements for one in changed(workload, (change,)).transactions}
    return sum(after.get(name) != statements for name, statements in before.items())


class InOrder:
    """Statements of a transaction in the order of their tables and keys, once the values are known."""

    def __init__(self, changes: Sequence[Change], profile: SchemaProfile) -> None:
        self._templates = {
            name for one in changes if one.kind == finding.IN_ORDER for name in one.templates
        }
        self._profile = profile
        self._domains = key_domains(profile, 1.0, 0)
        self._known: dict[str, tuple[Place, ...]] = {}

    def sorted(self, transaction: Transaction, values: Values) -> tuple[Transaction, Values]:
        """The same statements, those that are to be ordered exchanged among their own places."""
        at = _places(transaction, self._templates)
        wanted = sorted(at, key=lambda n: self._key(transaction.statements[n], values[n]))
        order = list(range(len(values)))
        for place, source in zip(at, wanted, strict=True):
            order[place] = source
        if order == sorted(order):
            return transaction, values
        moved = _retimed(transaction, [transaction.statements[n] for n in order])
        return moved, tuple(values[n] for n in order)

    def _key(self, statement: Statement, values: tuple[str | None, ...]) -> tuple[object, ...]:
        found = self._known.get(statement.sql)
        if found is None:
            found = places(statement.sql, statement.slots, self._profile, self._domains)
            self._known[statement.sql] = found
        keys = [
            (place.table, _natural(value))
            for place, value in zip(found, values, strict=True)
            if place.domain is not None and value is not None and place.role in {"eq", "in"}
        ]
        return min(keys, default=("", (0, 0, "")))


def _natural(text: str) -> tuple[int, int, str]:
    return (0, int(text), "") if re.fullmatch(r"-?\d+", text) else (1, 0, str(text))


def _places(transaction: Transaction, templates: Collection[str]) -> list[int]:
    return [n for n, one in enumerate(transaction.statements) if one.template in templates]


def _last(
    transaction: Transaction, templates: Sequence[str], kinds: Mapping[str, str]
) -> Transaction:
    """The statements right before the transaction's end."""
    frames, moved, others = _parted(transaction, templates, kinds)
    return _retimed(transaction, [*frames[0], *others, *moved, *frames[1]])


def _first(
    transaction: Transaction, templates: Sequence[str], kinds: Mapping[str, str]
) -> Transaction:
    """The statements right behind the transaction's beginning."""
    frames, moved, others = _parted(transaction, templates, kinds)
    return _retimed(transaction, [*frames[0], *moved, *others, *frames[1]])


_Parts = tuple[tuple[list[Statement], list[Statement]], list[Statement], list[Statement]]


def _parted(transaction: Transaction, templates: Sequence[str], kinds: Mapping[str, str]) -> _Parts:
    """((what begins it, what ends it), statements of the templates, the others)."""
    statements = list(transaction.statements)
    begin = [s for s in statements[:1] if kinds.get(s.template) == "begin"]
    end = [s for s in statements[-1:] if kinds.get(s.template) in {"commit", "rollback"}]
    inner = statements[len(begin) : len(statements) - len(end)]
    moved = [s for s in inner if s.template in templates]
    return (begin, end), moved, [s for s in inner if s.template not in templates]


def _shorter(
    transaction: Transaction, _templates: Sequence[str], kinds: Mapping[str, str]
) -> Transaction:
    statements = transaction.statements
    framed = any(kinds.get(one.template) == "begin" for one in statements)
    if not framed:
        return transaction
    plain = [one for one in statements if kinds.get(one.template) not in _FRAME]
    if all(
        kinds.get(one.template) == "select" and not _LOCKS_ROWS.search(one.sql) for one in plain
    ):
        return replace(transaction, statements=tuple(plain))
    return _retimed(transaction, statements, pauses=[0] * len(statements))


def _transaction_lock(
    transaction: Transaction, templates: Sequence[str], _kinds: Mapping[str, str]
) -> Transaction:
    kept = [
        replace(one, sql=_SESSION_LOCK.sub(r"pg_\1advisory_xact_lock\2(", one.sql), prepared=None)
        if one.template in templates
        else one
        for one in transaction.statements
        if not _unlocks(one)
    ]
    return replace(transaction, statements=tuple(kept))


def _skip_locked(
    transaction: Transaction, templates: Sequence[str], _kinds: Mapping[str, str]
) -> Transaction:
    statements = tuple(
        replace(one, sql=_SKIPPABLE.sub(lambda found: f"{found[0]} SKIP LOCKED", one.sql))
        if one.template in templates
        else one
        for one in transaction.statements
    )
    return replace(transaction, statements=statements)


def _no_savepoints(
    transaction: Transaction, _templates: Sequence[str], kinds: Mapping[str, str]
) -> Transaction:
    return _without_those(
        transaction,
        lambda one: (
            kinds.get(one.template) == "savepoint"
            or bool(one.error)
            or _BACK_TO.match(one.sql) is not None
        ),
    )


def _without(
    transaction: Transaction, templates: Sequence[str], _kinds: Mapping[str, str]
) -> Transaction:
    return _without_those(transaction, lambda one: one.template in templates)


def _without_those(transaction: Transaction, left_out: Callable[[Statement], bool]) -> Transaction:
    kept = tuple(one for one in transaction.statements if not left_out(one))
    return replace(transaction, statements=kept)


def _unlocks(statement: Statement) -> bool:
    return _UNLOCK.match(statement.sql) is not None


def _retimed(
    transaction: Transaction,
    statements: Sequence[Statement],
    pauses: Sequence[int] | None = None,
) -> Transaction:
    """These statements at the times of its own: the client's pauses stay at their places."""
    pauses = _pauses(transaction.statements) if pauses is None else pauses
    at_us, placed = 0, []
    for statement, pause in zip(statements, pauses, strict=True):
        at_us += pause
        placed.append(replace(statement, offset_us=at_us))
        at_us += statement.duration_us
    return replace(transaction, statements=tuple(placed))


def _pauses(statements: Sequence[Statement]) -> list[int]:
    """The client's own time before each statement, µs."""
    pauses, answered_us = [], 0
    for statement in statements:
        pauses.append(max(statement.offset_us - answered_us, 0))
        answered_us = statement.offset_us + statement.duration_us
    return pauses


_Alter = Callable[[Transaction, Sequence[str], Mapping[str, str]], Transaction]
_ALTER: Mapping[str, _Alter] = {
    finding.LAST: _last,
    finding.FIRST: _first,
    finding.SHORTER: _shorter,
    finding.TRANSACTION_LOCK: _transaction_lock,
    finding.SKIP_LOCKED: _skip_locked,
    finding.NO_SAVEPOINTS: _no_savepoints,
    finding.WITHOUT: _without,
}
