"""Values for slots that are no keys: existing ones of a generated column, and fresh ones."""

import itertools
import re
import secrets
import uuid
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from data_gen.profile import ColumnProfile, SchemaProfile
from data_gen.rows import column_values
from replay.bind.slots import Place
from replay.target import Generated

_POOL = 4096  # rows of a column whose values are looked at
_TEXT = {"text", "varchar", "bpchar", "citext", "uuid"}
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d{1,6})?(Z|[+-]\d\d(:?\d\d)?)?")
_ELEMENT = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^{},"]+)')
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Sampled:
    """Existing values of generated columns, for text that no statistic names."""

    def __init__(self, profile: SchemaProfile, generated: Generated) -> None:
        self._profile = profile
        self._generated = generated
        self._pools: dict[str, tuple[str, ...]] = {}

    def value(self, place: Place, token: str, hot: bool, rng: np.random.Generator) -> str | None:
        """A value of the column as common as the token was; None: the token itself will do."""
        table = self._profile.table(place.table)
        column = table.column(place.column) if table is not None else None
        if column is None or column.base_type not in _TEXT or token in column.common_values:
            return None
        if place.role not in {"eq", "in", "any"} or _few(column):
            return None
        pool = self._pool(place)
        if not pool:
            return None
        pick = zlib.crc32(token.encode()) if hot else int(rng.integers(len(pool)))
        return pool[pick % len(pool)]

    def _pool(self, place: Place) -> tuple[str, ...]:
        if place.space not in self._pools:
            table = self._profile.table(place.table)
            assert table is not None
            rows = max(round(table.rows * self._generated.scale), 1)
            drawn = np.random.default_rng(zlib.crc32(place.space.encode()))
            numbers = np.unique(drawn.integers(0, rows, _POOL))
            values = column_values(
                self._profile,
                place.table,
                place.column,
                numbers,
                scale=self._generated.scale,
                seed=self._generated.seed,
                base_time=self._generated.base_time,
            )
            self._pools[place.space] = tuple(value for value in values if value is not None)
        return self._pools[place.space]


class Fresh:
    """Values that no row has: new in every run, so that a run can be repeated on the same target."""

    def __init__(self) -> None:
        self._numbers = itertools.count(secrets.randbelow(1 << 40))

    def value(self, base_type: str, token: str) -> str:
        """A new value of the type, of the token's length where it is text."""
        number = next(self._numbers)
        if base_type == "uuid":
            return str(uuid.UUID(int=(number << 64) | secrets.randbits(62), version=4))
        if base_type in {"int2", "int4"}:
            return str((1 << 30) + number % (1 << 30))
        if base_type in {"int8", "numeric"}:
            return str((1 << 52) + number)
        digits = f"{number:x}"
        return token[: max(len(token) - len(digits), 0)] + digits


def in_array(text: str, bound: Callable[[str], str]) -> str:
    """An array of one dimension in PostgreSQL's text form, each element but NULL bound."""

    def element(found: re.Match[str]) -> str:
        plain = found["plain"]
        if plain is not None:
            return plain if plain.upper() == "NULL" else _quoted(bound(plain))
        return _quoted(bound(re.sub(r"\\(.)", r"\1", found["quoted"])))

    return _ELEMENT.sub(element, text)


def shifted(token: str, shift_us: int) -> str:
    """A timestamp or date moved to the generated data's time; any other text as it is."""
    if _TIMESTAMP.fullmatch(token):
        moved = datetime.fromisoformat(token) + timedelta(microseconds=shift_us)
        return moved.isoformat(sep=" ")
    if _DATE.fullmatch(token):
        day = datetime.fromisoformat(token).replace(tzinfo=UTC)
        return (day + timedelta(microseconds=shift_us)).date().isoformat()
    return token


def _quoted(value: str) -> str:
    if re.fullmatch(r"[\w.:+-]+", value) and value.upper() != "NULL":
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _few(column: ColumnProfile) -> bool:
    """Whether the statistics name every value that the column has."""
    return 0 < column.n_distinct <= len(column.common_values)
