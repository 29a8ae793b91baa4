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
from replay.bind.draw import Copy
from replay.bind.fresh import Fresh
from replay.bind.hot import Heat
from replay.bind.made import Made
from replay.bind.slots import Place, places
from replay.bind.values import Sampled
from replay.target import Generated
from replay.workload import Statement, Transaction, Workload

Values = tuple[tuple[str | None, ...], ...]


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
        self._shift = timedelta(microseconds=shift_us(profile, generated.base_time))
        self._sampled = Sampled(profile, generated, self._shift)
        self._fresh = Fresh()
        for transaction in workload.transactions:
            for statement in transaction.statements:
                self._summary.update(place.kind.value for place in self._of(statement))
        self._heat = Heat(workload, self._of, Alike(profile, generated))

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
        copy = Copy(self._heat, self._sampled, self._fresh, self._shift, rng, Made(self._profile))
        bound = [(statement, self._of(statement)) for statement in transaction.statements]
        for statement, found in bound:
            copy.renew(found, statement.values)
        return tuple(copy.values(statement, found) for statement, found in bound)

    def _of(self, statement: Statement) -> tuple[Place, ...]:
        found = self._places.get(statement.sql)
        if found is None:
            found = places(statement.sql, statement.slots, self._profile, self._domains)
            self._places[statement.sql] = found
        return found
