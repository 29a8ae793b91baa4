"""What captured sessions had set when they ran a transaction, for a pool whose sessions are others'.

In a recording each session sets for itself. In a mix a transaction comes to any connection of the
pool, so that what its own session had set before (search_path, time zone, timeouts …) is set there
first. A sample knows of a session only those settings that were kept.
"""

import re
from collections.abc import Collection, Iterable

from replay.sql.slots import render
from replay.workload import Statement, Transaction

_SET = re.compile(
    r"\s*(set|reset)\s+(?!local\b|transaction\b|constraints\b)"
    r"(?:session\s+(?!authorization\b))?(time\s+zone|session\s+authorization|[\w.\"]+)",
    re.IGNORECASE,
)
_DISCARD = re.compile(r"\s*discard\s+all\b", re.IGNORECASE)
# The target has its own roles, values are sent in UTF-8, and these are no names of settings.
_NOT_OURS = frozenset(
    {"role", "session authorization", "client_encoding", "names", "characteristics", "seed"}
)
_SAME_AS = {"schema": "search_path", "time zone": "timezone"}

Settings = tuple[str, ...]  # statements


def before_each(transactions: Iterable[Transaction]) -> dict[int, Settings]:
    """By id, of those transactions whose session had set something, all that it had set.

    `transactions` are in order of start.
    """
    sessions: dict[str, dict[str, str]] = {}
    found: dict[int, Settings] = {}
    for transaction in transactions:
        known = sessions.get(transaction.session)
        if known and not only_sets(transaction):
            found[transaction.id] = tuple(known.values())
        for statement in transaction.statements:
            if not statement.error and _changes(statement):
                _apply(statement, sessions.setdefault(transaction.session, {}))
    return found


def scripts(every: Collection[Settings]) -> list[str]:
    """Texts that give a session exactly these settings, whichever of `every` it had before."""
    names = sorted({_name(one) for settings in every for one in settings})
    return ["; ".join((*(f"RESET {name}" for name in names), *settings)) for settings in every]


def only_sets(transaction: Transaction) -> bool:
    """Whether a transaction does nothing but set what outlives it."""
    return bool(transaction.statements) and all(map(_changes, transaction.statements))


def _changes(statement: Statement) -> bool:
    return bool(_SET.match(statement.sql) or _DISCARD.match(statement.sql))


def _apply(statement: Statement, known: dict[str, str]) -> None:
    told = _SET.match(statement.sql)
    name = _name(statement.sql)
    if name in _NOT_OURS:
        return
    if told and told[1].lower() == "set":
        known.pop(name, None)  # the last one set comes last
        known[name] = render(statement.sql, statement.slots, statement.values)[0]
    elif name == "all":
        known.clear()
    else:
        known.pop(name, None)


def _name(sql: str) -> str:
    """The setting that a SET or RESET changes; all for DISCARD ALL."""
    told = _SET.match(sql)
    name = " ".join(told[2].lower().split()) if told else "all"
    return _SAME_AS.get(name, name)
