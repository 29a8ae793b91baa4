"""Bind captured parameters to values that live in the generated data and are as hot as they were.

In: kept transactions with scrubbed values, the schema's profile, the note of how the target's data
was made. Out: values per statement and slot, drawn anew for each copy of a transaction where
production's values were not hot.
"""

import logging
from collections import Counter
from collections.abc import Mapping

import numpy as np

from data_gen.keys import key_domains
from data_gen.profile import SchemaProfile
from replay.bind.hot import Heat
from replay.bind.slots import Kind, Place, places
from replay.bind.values import Fresh, Sampled, in_array, shifted
from replay.target import Generated
from replay.workload import Statement, Transaction, Workload

log = logging.getLogger(__name__)

Values = tuple[tuple[str | None, ...], ...]
_Known = dict[tuple[str, str], str]


class Binder:
    """Binds transactions of one workload to one generated target."""

    def __init__(
        self,
        workload: Workload,
        profile: SchemaProfile | None,
        generated: Generated | None,
        *,
        identity: bool = False,
    ) -> None:
        self._places: dict[str, tuple[Place, ...]] = {}
        self._summary: Counter[str] = Counter()
        self._identity = identity
        if identity:
            return
        assert profile is not None
        assert generated is not None
        self._profile = profile
        self._domains = key_domains(profile, generated.scale, generated.seed, generated.base_time)
        self._sampled = Sampled(profile, generated)
        self._fresh = Fresh()
        self._shift_us = round(generated.base_time.timestamp() * 1e6) - profile.taken_at_us
        for transaction in workload.transactions:
            for statement in transaction.statements:
                self._summary.update(place.kind for place in self._of(statement))
        self._heat = Heat(workload, self._of)

    @property
    def summary(self) -> Mapping[str, int]:
        """Slots of the kept statements by how they are bound; empty with `identity`."""
        return dict(self._summary)

    def bind(self, transaction: Transaction, rng: np.random.Generator) -> Values:
        """Values for one copy of a kept transaction, per statement and slot.

        Equal captured values of one key domain or column stay equal inside the copy.
        """
        if self._identity:
            return tuple(statement.values for statement in transaction.statements)
        known: _Known = {}
        return tuple(
            tuple(
                None if token is None else self._value(statement, place, token, known, rng)
                for place, token in zip(self._of(statement), statement.values, strict=True)
            )
            for statement in transaction.statements
        )

    def _of(self, statement: Statement) -> tuple[Place, ...]:
        found = self._places.get(statement.sql)
        if found is None:
            found = places(statement.sql, statement.slots, self._profile, self._domains)
            self._places[statement.sql] = found
        return found

    def _value(
        self,
        statement: Statement,
        place: Place,
        token: str,
        known: _Known,
        rng: np.random.Generator,
    ) -> str:
        if place.array and token.startswith("{"):
            one = place.element
            return in_array(token, lambda item: self._value(statement, one, item, known, rng))
        if place.kind in {Kind.CONSTANT, Kind.UNRESOLVED}:
            return shifted(token, self._shift_us)
        key = (place.space, token)
        if key not in known:
            known[key] = self._drawn(statement, place, token, rng)
        return known[key]

    def _drawn(
        self, statement: Statement, place: Place, token: str, rng: np.random.Generator
    ) -> str:
        if place.kind is Kind.FRESH:
            return self._fresh.value(place.base_type, token)
        if place.kind is Kind.VALUE:
            hot = self._heat.is_hot(place.space, token)
            return self._sampled.value(place, token, hot, rng) or shifted(token, self._shift_us)
        assert place.domain is not None
        return place.domain.at(self._heat.position(statement.template, place, token, rng))
