"""Values for slots that are no keys: existing ones of a generated column."""

import re
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypedDict

import numpy as np

from data_gen.lookup import rows_with
from data_gen.profile import ColumnProfile, SchemaProfile
from data_gen.rows import column_values
from replay.bind.slots import Place
from replay.bind.times import moved
from replay.target import Generated

_POOL = 4096  # rows of a column whose values are looked at
_SOME, _KEPT = 256, 10_000  # values that rows have beside others: of each, and of how many
_TEXT = {"text", "varchar", "bpchar", "citext", "uuid"}
_NUMBERS = {"int2", "int4", "int8", "numeric"}
_LOOKED_UP = {*_TEXT, *_NUMBERS, "date"}
_NO_LIKE = re.compile(r"[\\^$\[\]()|*+?{}]")  # a regular expression, or an escaped sign
_TIMES = {"timestamp", "timestamptz", "date"}


class _How(TypedDict):
    """How the target's data was made."""

    scale: float
    seed: int
    base_time: datetime


class Sampled:
    """What a captured value of a column that is no key is replayed as."""

    def __init__(self, profile: SchemaProfile, generated: Generated, by: timedelta) -> None:
        self._profile = profile
        self._generated = generated
        self._by = by  # what times move by
        self._pools: dict[str, tuple[str, ...]] = {}
        self._rows: dict[tuple[str, str, tuple[tuple[str, str], ...]], tuple[str, ...]] = {}

    def value(self, place: Place, token: str, rng: np.random.Generator, *, hot: bool) -> str:
        """The token where the column holds it, moved where it is a time, else one that is held."""
        assert place.column is not None
        if place.role == "like":
            return _cased(self._pattern(place, token, rng, hot=hot), place.case)
        return _cased(self._held(place, token, rng, hot=hot), place.case)

    def beside(
        self,
        place: Place,
        token: str,
        values: Mapping[str, str],
        rng: np.random.Generator,
        *,
        hot: bool,
    ) -> str | None:
        """What stands in a row that has these values in other columns; None where none is known."""
        assert place.column is not None
        key = (place.table, place.column.name, tuple(values.items()))
        if key not in self._rows:
            if len(self._rows) >= _KEPT:
                self._rows.clear()
            self._rows[key] = self._of_rows(place.table, place.column.name, values)
        pool = self._rows[key]
        if not pool:
            return None
        pick = zlib.crc32(token.encode()) if hot else int(rng.integers(len(pool)))
        return pool[pick % len(pool)]

    def _of_rows(self, table: str, name: str, values: Mapping[str, str]) -> tuple[str, ...]:
        made = self._generated
        how = _How(scale=made.scale, seed=made.seed, base_time=made.base_time)
        rows = rows_with(self._profile, table, values, **how)
        if rows is None or not rows.size:
            return ()
        some = rows[np.arange(min(rows.size, _SOME)) * rows.size // min(rows.size, _SOME)]
        found = column_values(self._profile, table, name, some, **how)
        return tuple(value for value in found if value is not None)

    def _pattern(self, place: Place, token: str, rng: np.random.Generator, *, hot: bool) -> str:
        """The pattern with letters of a value that the column holds, as many as it had."""
        assert place.column is not None
        pool = self._pool(place.table, place.column)
        if not pool or "%" not in token or _NO_LIKE.search(token):
            return token
        pick = zlib.crc32(token.encode()) if hot else int(rng.integers(len(pool)))
        return like(token, pool[pick % len(pool)])

    def _held(self, place: Place, token: str, rng: np.random.Generator, *, hot: bool) -> str:
        assert place.column is not None
        is_time = place.column.base_type in _TIMES
        kept = moved(token, self._by) if is_time else token
        if place.column.base_type not in _LOOKED_UP or place.role not in {"eq", "in", "any"}:
            return kept
        if _is_common(place.column, token) or _few(place.column):
            return kept
        pool = self._pool(place.table, place.column)
        if not pool or (is_time and kept in pool):  # a day stays as long ago as it was
            return kept
        pick = zlib.crc32(token.encode()) if hot else int(rng.integers(len(pool)))
        return pool[pick % len(pool)]

    def _pool(self, table: str, column: ColumnProfile) -> tuple[str, ...]:
        """Values of some of the rows, the common ones left out: those stand for themselves."""
        name = f"{table}.{column.name}"
        if name not in self._pools:
            found = self._profile.table(table)
            assert found is not None
            rows = max(round(found.rows * self._generated.scale), 1)
            drawn = np.random.default_rng(zlib.crc32(name.encode()))
            values = column_values(
                self._profile,
                table,
                column.name,
                np.unique(drawn.integers(0, rows, _POOL)),
                scale=self._generated.scale,
                seed=self._generated.seed,
                base_time=self._generated.base_time,
            )
            common = {None, *column.common_values}
            if column.base_type in _TIMES:
                common = {None, *(moved(value, self._by) for value in column.common_values)}
            self._pools[name] = tuple(v for v in values if v is not None and v not in common)
        return self._pools[name]


def like(pattern: str, value: str) -> str:
    """A LIKE pattern of the same form that meets the value: parts between the signs are its own."""
    parts = pattern.split("%")
    if len(value) < sum(map(len, parts)):
        return pattern
    made, at = [], 0
    for number, part in enumerate(parts):
        is_end = number == len(parts) - 1 and number > 0
        begin = len(value) - len(part) if is_end and part else at
        letters = value[begin : begin + len(part)]
        at = begin + len(part)
        made.append(letters.replace("\\", "_").replace("%", "_"))
    return "%".join(made)


def _cased(value: str, case: str) -> str:
    return value.lower() if case == "lower" else value.upper() if case == "upper" else value


def _is_common(column: ColumnProfile, token: str) -> bool:
    """Whether statistics name the token, a numeric in whatever scale it is written."""
    if token in column.common_values:
        return True
    if column.base_type != "numeric":
        return False
    try:
        return Decimal(token) in map(Decimal, column.common_values)
    except InvalidOperation:
        return False


def _few(column: ColumnProfile) -> bool:
    """Whether the statistics name every value that the column has."""
    return 0 < column.n_distinct <= len(column.common_values)
