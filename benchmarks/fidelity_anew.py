"""Production's load with values drawn anew, as the baseline of lock waits.

A workload keeps some sixty transactions of a kind; replayed by the thousand as captured they would
repeat their few values, and collide several times as often as production does. So each arrival of a
transaction that locks rows draws its values from where production's client drew them.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psycopg
from fidelity_production import filled, pools_of, read

from replay import bundle
from replay.bind import Binder
from replay.conduct import bake
from replay.sql.slots import extract
from replay.workload import Transaction, Workload

_Names = tuple[tuple[str, ...], ...]  # of each statement's slots; "" for a value that stays
_Values = tuple[tuple[str | None, ...], ...]


class Client:
    """What production's client sends, and where it has its values from."""

    def __init__(self, name: str, connection: psycopg.Connection) -> None:
        """`name` of the set; the pools of values are read from its data, as production's were."""
        samplers, lines = read(name)
        self._pools = pools_of(connection, samplers)
        self._names = dict(
            _named(line.statements, number % 2 == 0, tuple(samplers))
            for number, line in enumerate(lines)
            if any("UPDATE" in statement for statement in line.statements)
        )

    def draws(self) -> AbstractContextManager[object]:
        """Within it, what is baked has values drawn anew."""
        return patch.object(bake, "binder_for", partial(_Anew, self))

    def drawn(self, transaction: Transaction, values: _Values, rng: np.random.Generator) -> _Values:
        """One copy of a transaction; what only reads, or is no line of the traffic, stays as it is."""
        names = self._names.get(tuple(statement.sql for statement in transaction.statements))
        return values if names is None else tuple(self._statements(values, names, rng))

    def _statements(
        self, values: _Values, names: _Names, rng: np.random.Generator
    ) -> Iterator[tuple[str | None, ...]]:
        known: dict[str, str] = {}  # as `filled` has it
        for bound, slots in zip(values, names, strict=True):
            before = set(known)
            for name in slots:
                if name and name not in before:
                    pool = self._pools[name]
                    known[name] = pool[rng.integers(len(pool))]
            yield tuple(known.get(name, value) for value, name in zip(bound, slots, strict=True))


class _Anew:
    """Binds as `--bind identity` does, and then as the client does; signature of bake.binder_for."""

    def __init__(
        self,
        client: Client,
        workload_path: Path,
        workload: Workload,
        _connection: psycopg.Connection,
        *,
        identity: bool,
    ) -> None:
        assert identity
        self._client = client
        profile = bundle.read_profile(workload_path)
        self._identity = Binder(workload, profile, None, identity=True)
        self.summary = self._identity.summary

    def bind(
        self, transaction: Transaction, rng: np.random.Generator, session: str = ""
    ) -> _Values:
        """The values of each statement of one copy."""
        bound = self._identity.bind(transaction, rng, session=session)
        return self._client.drawn(transaction, bound, rng)


def _named(
    statements: Sequence[str], bound: bool, samplers: Sequence[str]
) -> tuple[tuple[str, ...], _Names]:
    """A line's statements as a capture has them, and which slots have the name of a sampler."""
    marks = {name: str(900_000_000 + number) for number, name in enumerate(samplers)}
    meant = {mark: name for name, mark in marks.items()}
    pools = {name: (mark,) for name, mark in marks.items()}
    known: dict[str, str] = {}
    texts, names = [], []
    for statement in statements:
        sql, values, taken = filled(statement, bound, random.Random(0), pools, known)
        known |= {taken: "0"} if taken else {}
        slotted = extract(sql)
        texts.append(slotted.sql)
        names.append(tuple(meant.get(mark, "") for mark in (*values, *slotted.literals)))
    return tuple(texts), tuple(names)
