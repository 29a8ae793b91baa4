"""One copy of a kept transaction: its values are drawn, each captured one only once, or as captured."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from replay.bind.arrays import in_array
from replay.bind.fresh import Fresh
from replay.bind.hot import Heat
from replay.bind.made import Made
from replay.bind.slots import Kind, Place
from replay.bind.times import moved
from replay.bind.values import Sampled
from replay.workload import Statement

Tokens = tuple[str | None, ...]
Inserted = dict[tuple[str, str], str]  # (space, captured) -> bound


class Copy:
    """What the captured values of one transaction become in one copy of it."""

    def __init__(
        self,
        heat: Heat,
        sampled: Sampled,
        fresh: Fresh,
        shift: timedelta,
        rng: np.random.Generator,
        made: Made,
        inserted: Inserted,
        *,
        whole: bool,
    ) -> None:
        """`inserted` is what the session put in so far; `whole`: every transaction comes once."""
        self._heat = heat
        self._sampled = sampled
        self._fresh = fresh
        self._shift = shift
        self._rng = rng
        self._made = made
        self._inserted = inserted
        self._whole = whole
        # (space, captured, what was captured beside it) -> bound
        self._known: dict[tuple[str, str, Tokens], str] = {}
        self._steps: dict[str, int] = {}  # space -> what the bounds of its ranges move by

    def renew(self, places: tuple[Place, ...], tokens: tuple[str | None, ...]) -> None:
        """Make up what a statement inserts, before any statement that reads it is bound."""
        renew(self._fresh, self._inserted, places, tokens, self._shift)

    def values(self, statement: Statement, places: tuple[Place, ...]) -> tuple[str | None, ...]:
        """The values of one statement, the transaction's next."""
        tokens = statement.values
        bound = list(tokens)
        for place in sorted(places, key=lambda one: len(one.beside)):
            at = place.number - 1
            row = _Row(
                tuple(tokens[number - 1] for number in place.beside),
                {
                    column.name: text
                    for number in place.beside
                    if (column := places[number - 1].column) and (text := bound[number - 1])
                },
            )
            bound[at] = self._value(statement.template, place, tokens[at], row)
        self._made.after(statement, places, tokens)
        return tuple(bound)

    def _value(self, template: str, place: Place, text: str | None, row: "_Row") -> str | None:
        if text is None or place.kind is Kind.CONSTANT:
            return text
        if place.kind is Kind.UNRESOLVED:
            return moved(text, self._shift)
        if place.array and text.startswith("{"):
            return in_array(text, lambda token: self._one(template, place, token, row))
        return self._one(template, place, text, row)

    def _one(self, template: str, place: Place, token: str, row: "_Row") -> str:
        key = (place.space, token, row.tokens)
        if key not in self._known:
            inserted = self._inserted.get((place.space, token))
            self._known[key] = (
                inserted or self._in_row(place, token, row) or self._drawn(template, place, token)
            )
        return self._made.linked(place, token, self._known[key])

    def _in_row(self, place: Place, token: str, row: "_Row") -> str | None:
        """The column's value in a row that has what was bound beside it, if there is one."""
        if not row.values:
            return None
        hot = self._heat.is_hot(place, token)
        return self._sampled.beside(place, token, row.values, self._rng, hot=hot)

    def _drawn(self, template: str, place: Place, token: str) -> str:
        hot = self._heat.is_hot(place, token)
        if place.domain is None:
            return self._sampled.value(place, token, self._rng, hot=hot)
        position = self._heat.position(place, token)
        if place.is_range:
            position = self._stepped(template, place, position, hot=hot)
        elif not (hot and self._whole):
            again = None if self._whole else self._heat.again(template, place, token, self._rng)
            position = (
                self._heat.drawn(template, place, position, self._rng) if again is None else again
            )
        return place.domain.at(position)

    def _stepped(self, template: str, place: Place, position: int, *, hot: bool) -> int:
        """A range's bounds move together, so that it stays as wide as it was."""
        step = self._steps.get(place.space)
        if step is None:
            drawn = position if hot else self._heat.drawn_cold(template, place, self._rng)
            step = self._steps[place.space] = drawn - position
        assert place.domain is not None
        return min(max(position + step, 0), place.domain.size - 1)


@dataclass(frozen=True, slots=True)
class _Row:
    """What stands beside a value in its row."""

    tokens: Tokens  # as captured
    values: Mapping[str, str]  # by column, as bound


class AsCaptured:
    """The values themselves, but for what the target makes up: see Copy for the arguments."""

    def __init__(self, fresh: Fresh, made: Made, inserted: Inserted) -> None:
        self._fresh = fresh
        self._made = made
        self._inserted = inserted

    def renew(self, places: tuple[Place, ...], tokens: tuple[str | None, ...]) -> None:
        """Make up what a statement inserts."""
        renew(self._fresh, self._inserted, places, tokens, timedelta(0))

    def values(self, statement: Statement, places: tuple[Place, ...]) -> tuple[str | None, ...]:
        """The values of one statement, the transaction's next."""
        bound = tuple(
            token if token is None or place.array or not place.space else self._one(place, token)
            for place, token in zip(places, statement.values, strict=True)
        )
        self._made.after(statement, places, statement.values)
        return bound

    def _one(self, place: Place, token: str) -> str:
        known = self._inserted.get((place.space, token), token)
        return self._made.linked(place, token, known)


def renew(
    fresh: Fresh,
    inserted: Inserted,
    places: tuple[Place, ...],
    tokens: tuple[str | None, ...],
    shift: timedelta,
) -> None:
    """Values that no row has, for those that a statement inserts and that must differ."""
    for place, text in zip(places, tokens, strict=True):
        if place.kind is Kind.FRESH and text is not None:
            assert place.column is not None
            for token in place.tokens(text):
                if (place.space, token) not in inserted:
                    value = fresh.value(place.column, moved(token, shift))
                    inserted[place.space, token] = value
