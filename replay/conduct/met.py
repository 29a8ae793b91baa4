"""Which column a value of a request meets, as the statements tell that its route ran.

A path says by its words what it speaks of where a table is called so. `/jobs/7` of the table `tasks` does
not; but the capture's links lead to what the request ran, and there its value stands again, as the same
token, beside a column. So it is bound by what was done with it there: as a key that is looked up, as one
that is new, or as the end of a range.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import NamedTuple

from data_gen.profile import SchemaProfile, TableProfile
from replay.conduct.columns import quoted
from replay.requests import Link, Request
from replay.sql.resolve import resolve
from replay.workload import Transaction

_SURE = 0.5  # a link that is less sure is no ground for anything
_MOSTLY = 0.5  # of a route's requests, that show the same
_SMALL = 4  # digits of a number that may stand anywhere by chance
_LOOKS, _MAKES, _CHANGES = range(3)
# What a statement does with a column, and the plainest statement that does it.
_PARTS = {
    "eq": (_LOOKS, "SELECT FROM {table} WHERE {column} = $1"),
    "in": (_LOOKS, "SELECT FROM {table} WHERE {column} = $1"),
    "lt": (_LOOKS, "SELECT FROM {table} WHERE {column} < $1"),
    "le": (_LOOKS, "SELECT FROM {table} WHERE {column} <= $1"),
    "gt": (_LOOKS, "SELECT FROM {table} WHERE {column} > $1"),
    "ge": (_LOOKS, "SELECT FROM {table} WHERE {column} >= $1"),
    "insert": (_MAKES, "INSERT INTO {table} ({name}) VALUES ($1)"),
    "set": (_CHANGES, "UPDATE {table} SET {name} = $1"),
}

Named = Callable[[Request], Iterable[tuple[tuple[str, ...], str]]]
Place = tuple[str, tuple[str, ...], int]
"""Where a value stands: the route's id, what it is called there, and which of those that are called so."""


class _Part(NamedTuple):
    """What a statement does with a column."""

    does: int  # _LOOKS, _MAKES, _CHANGES
    of: tuple[str, str]  # table, qualified, and column
    sql: str


def met(
    requests: Iterable[Request],
    links: Iterable[Link],
    transactions: Iterable[Transaction],
    profile: SchemaProfile | None,
    named: Named,
) -> dict[Place, str]:
    """A statement for each place whose column is known by what ran; `named` gives a request's values."""
    if profile is None:
        return {}
    ran = ran_by(links, transactions)
    parts_of = cache(partial(_parts, profile))
    values: dict[Place, list[str]] = defaultdict(list)
    votes: dict[Place, Counter[_Part]] = defaultdict(Counter)
    for request in requests:
        if request.id not in ran:
            continue
        beside: dict[str | None, dict[_Part, None]] = defaultdict(dict)
        for statement in (one for transaction in ran[request.id] for one in transaction.statements):
            for value, part in zip(statement.values, parts_of(statement.sql), strict=False):
                if part is not None:
                    beside[value][part] = None
        for place, told in places(request.route, named(request)):
            values[place].append(told)
            votes[place].update(list(beside.get(told, ())))
    return {
        place: found
        for place, counts in votes.items()
        if _is_telling(values[place]) and (found := _mostly(counts, len(values[place])))
    }


def places(route: str, named: Iterable[tuple[tuple[str, ...], str]]) -> Iterator[tuple[Place, str]]:
    """Each value of a request with its place."""
    count: Counter[tuple[str, ...]] = Counter()
    for names, value in named:
        yield (route, names, count[names]), value
        count[names] += 1


def ran_by(
    links: Iterable[Link], transactions: Iterable[Transaction]
) -> dict[int, list[Transaction]]:
    """What each request ran, by its id, in order of begin; of links that are sure enough."""
    requests: dict[int, list[int]] = defaultdict(list)  # by transaction
    for link in links:
        if link.sure >= _SURE:
            requests[link.transaction].append(link.request)
    found: dict[int, list[Transaction]] = defaultdict(list)
    for one in transactions if requests else ():  # of which there may be too many to hold
        for request in requests.get(one.id, ()):
            found[request].append(one)
    for ran in found.values():
        ran.sort(key=lambda one: one.start_us)
    return dict(found)


def _parts(profile: SchemaProfile, sql: str) -> list[_Part | None]:
    """What a statement does with the value of each slot; None where that tells nothing.

    What is written into a column of no key tells nothing: it stays as it came, and names may tell more.
    """
    uses = resolve(sql, profile)
    found: list[_Part | None] = [None] * max((use.number for use in uses), default=0)
    for use in uses:
        table = profile.table(use.table) if use.table and not use.array else None
        does, written = _PARTS.get(use.role, (_LOOKS, ""))
        if table is None or not written or (does != _LOOKS and not _is_key(table, use.column)):
            continue
        name = quoted(use.column)
        shown = written.format(
            table=f"{quoted(table.schema)}.{quoted(table.name)}",
            name=name,
            column=f"{use.case}({name})" if use.case else name,
        )
        found[use.number - 1] = _Part(does, (table.qualified, use.column), shown)
    return found


def _is_key(table: TableProfile, name: str) -> bool:
    """Whether a column is part of what tells rows apart, or refers to other rows."""
    keys = [key.columns for key in table.foreign_keys]
    keys += [one.columns for one in table.constraints if one.kind in "pu"]
    keys += [index.columns for index in table.indexes if index.unique]
    return any(name in columns for columns in keys)


def _is_telling(values: Iterable[str]) -> bool:
    """Whether it is no chance that they stand elsewhere: several, or one that is no small number."""
    known = set(values)
    return len(known) > 1 or not all(one.isdecimal() and len(one) <= _SMALL for one in known)


def _mostly(counts: Counter[_Part], seen: int) -> str:
    """What most requests show; of several that as many do, what is looked up.

    What is looked for in a column and then made there was not there, and is new.
    """
    most = max(counts.values(), default=0)
    if not most or most < _MOSTLY * seen:
        return ""
    among = [part for part, times in counts.items() if times == most]
    made = {part.of: part for part in among if part.does == _MAKES}
    first = min(among, key=lambda part: part.does)
    return made.get(first.of, first).sql
