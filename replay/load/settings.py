"""What captured sessions had set when they ran a transaction, for connections that have not.

In a recording each session sets for itself, but for what it had set before the recording begins. In a
mix a transaction comes to any connection of the pool, so that what its own session had set before
(search_path, time zone, timeouts …) is set there first. A sample knows of a session only those
settings that were kept.
"""

from collections.abc import Collection, Iterable

from replay.sql.setting import apply, changed, parts
from replay.sql.slots import render
from replay.workload import SessionSettings, Statement, Transaction

# The target has its own roles, values are sent in UTF-8, and these are no names of settings.
_NOT_OURS = frozenset(
    {"role", "session authorization", "client_encoding", "names", "characteristics", "seed"}
)

Settings = tuple[str, ...]  # statements


def at_begin(standing: Iterable[SessionSettings]) -> dict[str, Settings]:
    """By session, what it had set when the window began, as far as a target is to have it."""
    return {session: tuple(known.values()) for session, known in _known(standing).items() if known}


def before_each(
    transactions: Iterable[Transaction], standing: Iterable[SessionSettings] = ()
) -> dict[int, Settings]:
    """By id, of those transactions whose session had set something, all that it had set.

    `transactions` are in order of start; `standing` is what was set before the first of them.
    """
    sessions = _known(standing)
    found: dict[int, Settings] = {}
    for transaction in transactions:
        known = sessions.get(transaction.session)
        if known and not only_sets(transaction):
            found[transaction.id] = tuple(known.values())
        for statement in transaction.statements:
            if not statement.error and _changes(statement):
                text = render(statement.sql, statement.slots, statement.values)[0]
                for part in parts(text):
                    _apply(part, sessions.setdefault(transaction.session, {}))
    return found


def scripts(every: Collection[Settings]) -> list[str]:
    """Texts that give a session exactly these settings, whichever of `every` it had before."""
    names = sorted({changed(one) for settings in every for one in settings})
    return ["; ".join((*(f"RESET {name}" for name in names), *settings)) for settings in every]


def only_sets(transaction: Transaction) -> bool:
    """Whether a transaction does nothing but set what outlives it."""
    return bool(transaction.statements) and all(map(_changes, transaction.statements))


def _changes(statement: Statement) -> bool:
    return bool(parts(statement.sql))


def _known(standing: Iterable[SessionSettings]) -> dict[str, dict[str, str]]:
    sessions: dict[str, dict[str, str]] = {}
    for one in standing:
        known = sessions.setdefault(one.session, {})
        for statement in one.statements:
            _apply(statement, known)
    return sessions


def _apply(statement: str, known: dict[str, str]) -> None:
    if changed(statement) not in _NOT_OURS:
        apply(statement, statement, known)
