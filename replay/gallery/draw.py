"""Values of a request, as its incident says: seeded, so that the same seed drives the same traffic."""

import hashlib
import random
from collections.abc import Mapping

from replay.gallery.incident import Value

Drawn = str | int | list[str | int]


def draw(values: Mapping[str, Value], rng: random.Random) -> dict[str, Drawn]:
    """One value of each name."""
    return {
        name: _list(value, rng) if value.length else _one(value, rng)
        for name, value in values.items()
    }


def _list(value: Value, rng: random.Random) -> list[str | int]:
    found: dict[str | int, None] = {}
    while len(found) < value.length:
        found[_one(value, rng)] = None
    return sorted(found) if value.sorted else list(found)


def _one(value: Value, rng: random.Random) -> str | int:
    if value.choice:
        return rng.choice(value.choice)
    number = value.low + int((value.high - value.low + 1) * rng.random() ** value.skew)
    if not value.text:
        return number
    shown = str(number)
    if value.md5:
        shown = hashlib.md5(shown.encode(), usedforsecurity=False).hexdigest()
    return value.text.format(shown)
