"""The form that a text column's values share: "invoice-<5 digits>", a URL, a JSON document.

Values are cut into runs of letters or digits and what stands between. Where most values have the
same cuts, the runs that never change are kept and the others filled with characters of their kind.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Piece, constant
from data_gen.shuffle import Ints, key_of
from data_gen.values import letters
from data_gen.values.family import Wanted

_RUN = re.compile(r"[^\W_]+|[\W_]+")
_LEAST_SAMPLE = 5
_SHARE = 0.6  # of the sample must have one form; else it is prose
_CONSTANT = 0.8  # of the sample with one word in a place: it belongs to the form
_MOST_RUNS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """A run that changes: its characters and the widths seen."""

    alphabet: str
    widths: Ints
    code: int = 0  # symbols at its end that number the values

    @property
    def longest(self) -> int:
        """Characters at most."""
        return max(self.code, int(self.widths.max()))

    @property
    def room(self) -> float:
        """Bits that it can tell apart."""
        return float(self.widths.max()) * math.log2(len(self.alphabet))

    def numbered(self, distinct: int, *, apart: bool) -> "Word":
        """The word with room for a code; `apart` makes it longer than every word of the sample."""
        code = letters.code_width(distinct, len(self.alphabet))
        if apart:
            code = max(code, self.longest + 1)
        return Word(self.alphabet, self.widths, code)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Constant runs (bytes) and changing ones."""

    parts: tuple[bytes | Word, ...]
    distinct: int
    key: int

    @property
    def technical(self) -> bool:
        """Made by a program rather than written: constant words, or digits."""
        fixed = (part for part in self.parts if isinstance(part, bytes))
        return any(part.decode().strip().isalnum() for part in fixed) or any(
            isinstance(part, Word) and part.alphabet[0].isdigit() for part in self.parts
        )

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Each run as a piece; the longest changing one carries the value's number."""
        return tuple(
            constant(part, points.size)
            if isinstance(part, bytes)
            else letters.numbered_words(
                points,
                part.widths,
                part.alphabet,
                part.code,
                distinct=self.distinct,
                keys=(key_of(self.key, place), self.key),
            )
            for place, part in enumerate(self.parts)
        )


def shape_of(sample: Sequence[str], wanted: Wanted, limit: int = 1 << 20) -> Shape | None:
    """The form that most of a sample has; None where there is none, or no room for differences."""
    if len(sample) < _LEAST_SAMPLE:
        return None
    form, votes = Counter(map(_form, sample)).most_common(1)[0]
    if votes < _SHARE * len(sample) or len(form) > _MOST_RUNS:
        return None
    rows = [_RUN.findall(token) for token in sample if _form(token) == form]
    parts = [_part([row[place] for row in rows]) for place in range(len(form))]
    changing = {place: part for place, part in enumerate(parts) if isinstance(part, Word)}
    if not changing:
        return None
    host = max(changing, key=lambda place: changing[place].room)
    parts[host] = changing[host].numbered(wanted.distinct, apart=bool(wanted.known))
    longest = sum(len(part) if isinstance(part, bytes) else part.longest for part in parts)
    return Shape(tuple(parts), wanted.distinct, wanted.key) if longest <= limit else None


def _form(token: str) -> tuple[str, ...]:
    return tuple("" if run[0].isalnum() else run for run in _RUN.findall(token))


def _part(runs: Sequence[str]) -> bytes | Word:
    word, votes = Counter(runs).most_common(1)[0]
    if votes >= _CONSTANT * len(runs):
        return word.encode()
    return Word(_alphabet("".join(runs)), np.array([len(run) for run in runs], np.int64))


def _alphabet(characters: str) -> str:
    # One case only: what differs must differ under lower(), too.
    digits = any(c.isdigit() for c in characters)
    lower = any(c.islower() for c in characters)
    upper = any(c.isupper() for c in characters) and not lower
    kinds = letters.DIGITS * digits + letters.LOWER * lower + letters.LOWER.upper() * upper
    return kinds or letters.LOWER
