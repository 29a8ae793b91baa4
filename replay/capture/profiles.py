"""A schema's profile with scrubbed statistics: what stands in the schema itself stays."""

from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from data_gen.profile import (
    ColumnProfile,
    ForeignKey,
    SchemaObject,
    SchemaProfile,
    TableProfile,
)
from replay.capture import recognise
from replay.capture.bodies import without_secrets

_DAY_US = 86_400_000_000
# Types whose tokens are in the order of their values.
_NUMBERS = frozenset({"int2", "int4", "int8", "oid", "numeric", "float4", "float8", "bool"})
_TIMES = frozenset({"date", "time", "timetz", "timestamp", "timestamptz", "interval"})


class Scrub(Protocol):
    """What makes tokens; a Scrubber is one."""

    def value(self, text: str | None) -> str | None:
        """The token of a value; NULL stays."""

    def text(self, text: str) -> str:
        """The same of what is no NULL."""

    def secret(self, text: str) -> str:
        """The token of a secret."""


def scrubbed(profile: SchemaProfile, scrub: Scrub, days: int) -> SchemaProfile:
    """The profile with all statistics scrubbed, and its date moved by so many days."""
    return replace(
        profile,
        tables=tuple(_table(table, scrub) for table in profile.tables),
        objects=tuple(_object(made, scrub) for made in profile.objects),
        taken_at_us=profile.taken_at_us + days * _DAY_US,
    )


def bare(profile: SchemaProfile, scrub: Scrub) -> SchemaProfile:
    """The profile, without the secrets that stand in bodies of functions."""
    objects = (without_secrets(made, scrub.secret) for made in profile.objects)
    return replace(profile, objects=tuple(objects))


def _object(made: SchemaObject, scrub: Scrub) -> SchemaObject:
    return replace(without_secrets(made, scrub.secret), last=scrub.value(made.last))


def _table(table: TableProfile, scrub: Scrub) -> TableProfile:
    joint = table.joint
    if joint is not None:
        keys = tuple((scrub.text(key), cell) for key, cell in joint.keys)
        joint = replace(joint, keys=keys, keyed="")
    return replace(
        table,
        columns=tuple(_column(column, scrub) for column in table.columns),
        foreign_keys=tuple(_foreign_key(key, scrub) for key in table.foreign_keys),
        joint=joint,
    )


def _foreign_key(key: ForeignKey, scrub: Scrub) -> ForeignKey:
    if key.fan_out is None:
        return key
    hot = tuple((scrub.text(token), children) for token, children in key.fan_out.hot)
    return replace(key, fan_out=replace(key.fan_out, hot=hot))


def _leaves_its_place(bound: str) -> bool:
    """Whether it may stand for a card's number, or for one of more places than others."""
    return "." in bound or recognise.CARD.fullmatch(bound) is not None


def _number(bound: str) -> Decimal:
    """What a number is sorted by: NaN is the greatest, as in PostgreSQL."""
    return Decimal("Infinity") if bound == "NaN" else Decimal(bound)


def _column(column: ColumnProfile, scrub: Scrub) -> ColumnProfile:
    histogram = [scrub.text(bound) for bound in column.histogram]
    if column.base_type not in _NUMBERS | _TIMES:
        histogram.sort()  # the tokens' own order; the values' is gone
    elif column.base_type in _NUMBERS and any(map(_leaves_its_place, histogram)):
        histogram.sort(key=_number)
    return replace(
        column,
        common_values=tuple(map(scrub.text, column.common_values)),
        histogram=tuple(histogram),
    )
