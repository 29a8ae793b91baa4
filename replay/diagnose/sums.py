"""Seconds by name: the one sum that blocking, queue and rules all need."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TypeVar

Name = TypeVar("Name")


def summed(parts: Iterable[tuple[Name, float]]) -> dict[Name, float]:
    """Sum by name, the largest first."""
    sums: dict[Name, float] = defaultdict(float)
    for name, value in parts:
        sums[name] += value
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def merged(maps: Iterable[Mapping[Name, float]]) -> dict[Name, float]:
    """Sum by name over several maps, the largest first."""
    return summed(chain.from_iterable(one.items() for one in maps))
