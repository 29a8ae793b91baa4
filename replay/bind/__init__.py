"""Bind captured parameters to values that live in the generated data and are as hot as they were.

In: kept transactions with scrubbed values, the schema's profile, the note of how the target's data
was made. Out: values per statement and slot, drawn anew for each copy of a transaction where
production's values were not hot.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from data_gen.keys import key_domains
from data_gen.moments import shift_us
from data_gen.profile import SchemaProfile
from replay.bind.alike import Alike
from replay.bind.draw import AsCaptured, Copy, Inserted
from replay.bind.fresh import Fresh
from replay.bind.hot import Heat
from replay.bind.made import Made
from replay.bind.slots import Place, places
from replay.bind.values import Sampled
from replay.target import Generated
from replay.workload import Statement, Transaction, Workload

Values = tuple[tuple[str | None, ...], ...]

_UNIQUE_VIOLATION = "23505"


class Binder:
    """Binds transactions of one workload to one generated target, or to a restored copy."""

    def __init__(
        self,
        workload: Workload,
        profile: SchemaProfile | None,
        generated: Generated | None,
        *,
        identity: bool = False,
    ) -> None:
        """With `identity`, values are as captured; a profile tells then which of them the target makes."""
        self._places: dict[str, tuple[Place, ...]] = {}
        self._summary: Counter[str] = Counter()
        self._identity = identity
        self._profile = profile
        self._fresh = Fresh()
        self._sessions: dict[str, tuple[Made, Inserted]] = {}
        self._first: dict[tuple[str, str], str] = {}  # (space, captured) -> session that named it
        if profile is None:
            assert identity
            return
        self._domains = (
            key_domains(profile, generated.scale, generated.seed, generated.base_time)
            if generated is not None
            else key_domains(profile, 1.0, 0)
        )
        if workload.manifest.everything:
            self._first = self._named_first(workload)
        if identity:
            return
        assert generated is not None
        self._shift = timedelta(microseconds=shift_us(profile, generated.base_time))
        self._sampled = Sampled(profile, generated, self._shift)
        for transaction in workload.transactions:
            for statement in transaction.statements:
                self._summary.update(place.kind.value for place in self._of(statement))
        self._heat = Heat(workload, self._of, Alike(profile, generated))

    @property
    def summary(self) -> Mapping[str, int]:
        """Slots of the kept statements by how they are bound; empty with `identity`."""
        return dict(self._summary)

    def bind(
        self, transaction: Transaction, rng: np.random.Generator, *, session: str = ""
    ) -> Values:
        """Values for one copy of a kept transaction, per statement and slot.

        Equal captured values of one key domain or column stay equal inside the copy. With a `session`,
        whose transactions are bound in their order, each once, what one of them inserted is known to
        the later ones.
        """
        if self._profile is None:
            return tuple(statement.values for statement in transaction.statements)
        made, inserted = self._state(self._profile, session)
        copy = (
            AsCaptured(self._fresh, made, inserted)
            if self._identity
            else Copy(
                *(self._heat, self._sampled, self._fresh, self._shift),
                *(rng, made, inserted),
                whole=bool(session),
            )
        )
        bound = [(statement, self._of(statement)) for statement in transaction.statements]
        if not (self._identity and session):  # of a recording each is inserted once
            for statement, found in bound:
                if statement.error != _UNIQUE_VIOLATION:  # which met a row that was there
                    copy.renew(found, statement.values)
        return tuple(copy.values(statement, found) for statement, found in bound)

    def _state(self, profile: SchemaProfile, session: str) -> tuple[Made, Inserted]:
        """What is known of a session's own inserts."""
        if not session:
            return Made(profile), {}
        if session not in self._sessions:

            def is_own(space: str, token: str) -> bool:
                return self._first.get((space, token)) == session

            self._sessions[session] = Made(profile, is_own), {}
        return self._sessions[session]

    def _named_first(self, workload: Workload) -> dict[tuple[str, str], str]:
        """The session that named each key of a domain first."""
        first: dict[tuple[str, str], str] = {}
        for transaction in workload.transactions:
            for statement in transaction.statements:
                for place, text in zip(self._of(statement), statement.values, strict=True):
                    if text is not None and place.domain is not None and not place.array:
                        first.setdefault((place.space, text), transaction.session)
        return first

    def _of(self, statement: Statement) -> tuple[Place, ...]:
        found = self._places.get(statement.sql)
        if found is None:
            assert self._profile is not None
            found = places(statement.sql, statement.slots, self._profile, self._domains)
            self._places[statement.sql] = found
        return found
