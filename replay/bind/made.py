"""Keys that a transaction's own inserts were given by a sequence, and what stands for them in a replay.

Production's client read such a key from RETURNING and sent it back. In the replay the sequence gives
another one, which the server itself tells: currval() of that sequence, in the same transaction, or in
a later one of the same session where whole sessions are replayed.
"""

import re
from collections.abc import Callable

from data_gen.profile import ColumnProfile, SchemaProfile
from replay.bind.slots import Place
from replay.sql.slots import Linked
from replay.workload import Statement

_INSERT = re.compile(r'insert into ((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)', re.IGNORECASE)
_RECENT = 0.9  # of the keys' order: what was inserted while production was captured is beyond
_MEETS = frozenset({"eq", "in", "insert", "set"})


class Made:
    """The keys made so far in one copy of a transaction, or in a session."""

    def __init__(
        self, profile: SchemaProfile, is_own: Callable[[str, str], bool] = lambda _, __: True
    ) -> None:
        """`is_own` says of a key, by domain and captured value, whether nobody else named it before."""
        self._profile = profile
        self._is_own = is_own
        self._sequences: dict[str, tuple[str, int]] = {}  # key domain -> sequence, inserts so far
        self._linked: dict[tuple[str, str], int] = {}  # (domain, captured) -> which insert
        self._seen: set[tuple[str, str]] = set()

    def after(
        self, statement: Statement, places: tuple[Place, ...], tokens: tuple[str | None, ...]
    ) -> None:
        """Take note of a statement that was bound: what it named, and what it inserted."""
        for place, token in zip(places, tokens, strict=True):
            if place.domain is not None and token is not None:
                self._seen.add((place.space, token))
        found = _INSERT.match(statement.sql)
        table = self._profile.table(found[1].replace('"', "")) if found else None
        if table is None:
            return
        given = {p.column.name for p in places if p.role == "insert" and p.column}
        for column in table.columns:
            if column.sequence and column.name not in given and _is_key(column):
                domain = f"{table.qualified}.{column.name}"
                _, count = self._sequences.get(domain, ("", 0))
                self._sequences[domain] = column.sequence, count + 1

    def linked(self, place: Place, token: str, fallback: str) -> str:
        """The value for a key: an expression where the newest insert was given it, else the fallback."""
        sequence, count = self._sequences.get(place.space, ("", 0))
        if not count or place.domain is None or place.role not in _MEETS:
            return fallback
        key = (place.space, token)
        if key not in self._linked:
            is_old = place.domain.near(token) < _RECENT * place.domain.size - 1
            is_taken = count in self._of_domain(place.space)
            if key in self._seen or is_old or is_taken or not self._is_own(*key):
                return fallback
            self._linked[key] = count
        if self._linked[key] != count:
            return fallback
        quoted = ".".join(f'"{part}"' for part in sequence.replace("'", "''").split("."))
        # A sub-select: currval() is volatile by itself, and no index would serve it.
        return Linked(fallback, f"(SELECT currval('{quoted}'))")

    def _of_domain(self, space: str) -> set[int]:
        return {count for (name, _), count in self._linked.items() if name == space}


def _is_key(column: ColumnProfile) -> bool:
    return column.base_type in {"int2", "int4", "int8"}
