"""Statements for templates of which only the counts are known, from pg_stat_statements.

The text has a `$n` where a parameter or a literal was, and nobody knows which; both are sent as
literals here. Values come from the statistics of the columns that they meet.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_gen.profile import ColumnProfile, SchemaProfile
from replay.capture.draws import DEFAULTS, NUMBERS, at_quantile, drawn, sought
from replay.sql.resolve import SlotUse, parses, resolve
from replay.sql.slots import render
from replay.workload import Template

KINDS = frozenset({"select", "insert", "update", "delete", "merge"})
_MORE = re.compile(r", \.\.\.")
_SLOT = re.compile(r'"(?:[^"]|"")*"|(?P<number>\$\d+)|(?P<mark>\?)')
_LOWER, _UPPER = {"gt", "ge"}, {"lt", "le"}
_WRITES = {"insert", "set"}
_SELECTIVITY = (1e-6, 0.5)  # of a range, at least and at most
_LIMIT_AT_MOST = 1000
_ARRAY_AT_MOST = 100
_DAY = "day"
_OF_AN_AGGREGATE = 0.01  # of the table's rows: how many it read is not counted
_AGGREGATE = re.compile(r"\bgroup by\b|\b(?:count|sum|avg|min|max|\w+_agg)\(")
# What pg_stat_statements leaves in place: positions in the select list, the first ones most likely.
_POSITION = re.compile(r"\b(?:group|order) by (?P<before>(?:(?:(?! by )[^()])*,)?\s*)$")
# What stands before a slot that meets no column, and the value that fits there.
_BEFORE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern + r"\(?$"), value)
    for pattern, value in (
        (r"\binterval ", "1 day"),
        (r"\b(?:extract|date_trunc|date_part)\(", _DAY),
        (r"\bdate ", DEFAULTS["date"]),
        (r"\btimestamp(?:tz| with time zone)? ", DEFAULTS["timestamptz"]),
        (r"\btime ", DEFAULTS["time"]),
    )
)
_CAST = re.compile(r"\s*(?:::| as )\s*(?P<type>[a-z_][a-z0-9_]*)(?P<array>\[\])?")
_ARITHMETIC = re.compile(r"\s*[-+*/%]\s*$|^\s*[-+*/%]\s")
_TYPES = {
    "boolean": DEFAULTS["bool"],
    "uuid": "00000000-0000-4000-8000-000000000000",
    "timestamp": DEFAULTS["timestamp"],
    "varchar": "1",
    **DEFAULTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A template's statement, whole, and values for each copy."""

    sql: str
    slots: str
    copies: tuple[tuple[str | None, ...], ...]
    guessed: int  # slots that meet no column


def synthesise(
    template: Template, profile: SchemaProfile, copies: int, rng: np.random.Generator
) -> Made | str:
    """The template with values drawn for so many copies; or why there can be none."""
    if template.kind not in KINDS:
        return "transaction control and utility statements"
    if any(profile.table(name) is None for name in template.tables):
        return "of relations that are not rebuilt (views, catalogs, partitioned tables)"
    sql, count = whole(template.sql)
    if not template.tables and (count or "(" in sql):
        return "of no table, so that nothing says what their values are"
    uses = {use.number: use for use in resolve(sql, profile)}
    slots = [
        _Slot(number, uses.get(number), _column(uses.get(number), profile), sql)
        for number in range(1, count + 1)
    ]
    letters = "".join(slot.letter for slot in slots)
    drawer = _Drawer(template, profile, rng)
    made = tuple(drawer.values(slots) for _ in range(copies if count else 1))
    if not parses(render(sql, letters, made[0])[0]):
        return "cut off, or not to be parsed with values in place"
    guessed = sum(slot.column is None and not slot.is_limit for slot in slots)
    return Made(sql=sql, slots=letters, copies=made, guessed=guessed)


def whole(canonical: str) -> tuple[str, int]:
    """A canonical text with `$1 …` in order, lists with one of each item; and how many there are.

    A `?` is a literal that the server left in place, or else an operator of jsonb.
    """
    text = _MORE.sub("", canonical)
    numbered, count = _numbered(text, marks=True)
    if "?" in text and not parses(numbered):
        kept, fewer = _numbered(text, marks=False)
        if parses(kept):
            return kept, fewer
    return numbered, count


def _numbered(text: str, *, marks: bool) -> tuple[str, int]:
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found["number"]:
            return f"${numbers.setdefault(found['number'], len(numbers) + 1)}"
        if found["mark"] and marks:
            return f"${numbers.setdefault(f'?{found.start()}', len(numbers) + 1)}"
        return found[0]

    return _SLOT.sub(number, text), len(numbers)


class _Slot:
    """A slot, the column that it meets, and what stands around it."""

    def __init__(
        self, number: int, use: SlotUse | None, column: ColumnProfile | None, sql: str
    ) -> None:
        self.number = number
        self.role = use.role if use else "other"
        self.column = column
        self.table = use.table if use else ""
        self.is_array = bool(use and use.array)
        self.is_limit = self.role == "limit"
        around = re.search(rf"\${number}(?!\d)", sql)
        assert around is not None
        self.before, self.after = sql[: around.start()], sql[around.end() :]
        position = _POSITION.search(self.before)
        self.position = position["before"].count(",") + 1 if position and column is None else 0
        self.known = next((value for at, value in _BEFORE if at.search(self.before)), None)
        numeric = column is not None and column.base_type in NUMBERS
        if column is None and self.known is None and not _CAST.match(self.after):
            numeric = bool(_ARITHMETIC.search(self.before) or _ARITHMETIC.match(self.after))
        counts = re.search(r"\bgenerate_series\([^()]*$", self.before) is not None
        self.letter = (
            "n"
            if self.is_limit or self.position or counts or (numeric and not self.is_array)
            else "s"
        )

    def guess(self) -> str:
        """A value where no column says one: by what stands before and after."""
        if self.position:
            return str(self.position)
        cast = _CAST.match(self.after)
        if cast:
            return "{}" if cast["array"] else _TYPES.get(cast["type"], "1")
        return "1"


class _Drawer:
    """Draws the values of one template."""

    def __init__(
        self, template: Template, profile: SchemaProfile, rng: np.random.Generator
    ) -> None:
        counted = template.counted
        self._rows = counted.rows / max(counted.calls, 1) if counted else 0.0  # a call
        self._aggregates = _AGGREGATE.search(template.sql) is not None
        self._profile = profile
        self._rng = rng

    def values(self, slots: Sequence[_Slot]) -> tuple[str | None, ...]:
        """One value a slot."""
        found = dict(self._ranges(slots))
        return tuple(found[s.number] if s.number in found else self._value(s) for s in slots)

    def _ranges(self, slots: Sequence[_Slot]) -> Iterator[tuple[int, str]]:
        """Bounds that leave as many rows between them as a call returned."""
        by_column: dict[tuple[str, str], list[_Slot]] = defaultdict(list)
        for slot in slots:
            if slot.column is not None and slot.role in _LOWER | _UPPER | {"between"}:
                by_column[slot.table, slot.column.name].append(slot)
        for (table, _), bounds in by_column.items():
            found = self._profile.table(table)
            least, most = _SELECTIVITY
            rows = max(found.rows if found else 1, 1)
            share = _OF_AN_AGGREGATE if self._aggregates else self._rows / rows
            width = min(max(share, least), most)
            lows = [s for s in bounds if s.role in _LOWER]
            highs = [s for s in bounds if s.role in _UPPER]
            between = [s for s in bounds if s.role == "between"]
            lows, highs = lows + between[::2], highs + between[1::2]
            start = float(self._rng.random()) * (1 - width)
            if not highs:
                start = 1 - width
            end = start + width if lows else width
            for slot, quantile in [*((s, start) for s in lows), *((s, end) for s in highs)]:
                assert slot.column is not None
                yield slot.number, at_quantile(slot.column, quantile, self._rng)

    def _value(self, slot: _Slot) -> str | None:
        if slot.is_limit:
            if re.search(r"\boffset $", slot.before):
                return "0"
            return str(min(max(math.ceil(self._rows), 1), _LIMIT_AT_MOST))
        column = slot.column
        if slot.known is not None and (column is None or slot.role == "other"):
            return slot.known
        if column is None:
            return slot.guess()
        if slot.role in _WRITES:
            null = not column.not_null and self._rng.random() < column.null_fraction
            return None if null else drawn(column, self._rng)
        if slot.is_array:
            many = min(max(math.ceil(self._rows), 1), _ARRAY_AT_MOST)
            items = dict.fromkeys(sought(column, self._rng) for _ in range(many))
            return "{" + ",".join(map(_quoted, items)) + "}"
        value = sought(column, self._rng)
        return f"{value[:3]}%" if slot.role == "like" else value


def _column(use: SlotUse | None, profile: SchemaProfile) -> ColumnProfile | None:
    table = profile.table(use.table) if use is not None and use.table else None
    return table.column(use.column) if table is not None and use is not None else None


def _quoted(item: str) -> str:
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
