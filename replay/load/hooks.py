"""What a scenario tells the user that drives it: how its load is baked, and what runs beside it."""

import argparse
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from replay.load.alone import Concluded


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A planned load."""

    boosted: Collection[str] = ()  # templates whose rate is raised
    told: tuple[str, ...] = ()  # what there is to say of it at the end
    doubts: tuple[str, ...] = ()  # why what comes of it cannot be believed, however it goes


class Bake(Protocol):
    """Plans a scenario's load."""

    def __call__(self, parsed: argparse.Namespace, shards: Path, worker: int, workers: int) -> Load:
        """Write the shard of one worker of so many."""


class Middle(Protocol):
    """What runs in the middle of a load."""

    def start(self, origin_ns: int) -> None:
        """The load begins at this time (CLOCK_MONOTONIC)."""

    def stop(self) -> None:
        """The load is over."""

    def told(self, run: Path, concluded: Concluded, names: Mapping[str, str]) -> Iterable[str]:
        """What came of it, in lines; `names` is template id -> a statement's name."""


class During(Protocol):
    """Prepares what runs in the middle of a load, where the options ask for something."""

    def __call__(self, parsed: argparse.Namespace) -> AbstractContextManager[Middle | None]:
        """Ready to start, over a `with` block; raises what its preparation raises."""
