"""`sql.slots.extract` for many texts: those that differ in plain literals only are scanned once."""

from dataclasses import dataclass

import numpy as np

from replay.capture.kernels import place
from replay.capture.masks import hash_of
from replay.sql.literals import number_of
from replay.sql.slots import Slotted, extract

_KNOWN_AT_MOST = 16_384
_LITERALS_AT_MOST = 512
_NUMBER = 2
_ZERO = place(0)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What texts of one hash have in common."""

    sql: str
    slots: str
    negative: tuple[bool, ...]  # numbers with a minus before them


class Extractor:
    """Takes the literals out of texts as `extract` does; remembers the shapes of those it has seen."""

    def __init__(self) -> None:
        self._plans: dict[tuple[int, int], _Plan | None] = {}
        self._spans = np.zeros((_LITERALS_AT_MOST, 3), np.int64)

    def __call__(self, sql: str) -> Slotted:
        """See `slots.extract`."""
        text = sql.encode("utf-8", "replace")
        data = np.frombuffer(text, np.uint8)
        one, other, count = hash_of(data, _ZERO, np.uint64(data.size), self._spans)
        if count > _LITERALS_AT_MOST:
            return extract(sql)
        key = int(one), int(other)
        if key not in self._plans:
            return self._learned(sql, text, key, count)
        plan = self._plans[key]
        found = self._literals(text, count, plan.negative) if plan is not None else None
        if plan is None or found is None:
            return extract(sql)
        return Slotted(sql=plan.sql, slots=plan.slots, literals=found)

    def _learned(self, sql: str, text: bytes, key: tuple[int, int], count: int) -> Slotted:
        found = extract(sql)
        negative = tuple(literal.startswith("-") for literal in found.literals)
        same = count == len(negative) and self._literals(text, count, negative) == found.literals
        if len(self._plans) >= _KNOWN_AT_MOST:
            self._plans.clear()
        self._plans[key] = _Plan(found.sql, found.slots, negative) if same else None
        return found

    def _literals(
        self, text: bytes, count: int, negative: tuple[bool, ...]
    ) -> tuple[str, ...] | None:
        """The literals' values; None where one is not written plainly."""
        values = []
        for (begin, end, kind), minus in zip(self._spans[:count].tolist(), negative, strict=True):
            if kind == _NUMBER:
                value = number_of(text[begin:end].decode())
                values.append(f"-{value}" if minus else value)
                continue
            raw = text[begin:end]
            if len(raw) < 2 or raw[:1] != b"'" or raw[-1:] != b"'" or b"\\" in raw:
                return None
            values.append(raw[1:-1].decode("utf-8", "replace").replace("''", "'"))
        return tuple(values)
