"""Keys that are hot by their own share, in the order of their positions, and draws among them by it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replay.bind.span import Span

Reach = tuple[int, int]  # begin and end among the popular keys
ALL: Reach = 0, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Of some shares."""

    mass: float
    square: float  # of their squares
    cube: float

    def times(self, factor: float) -> "Sums":
        """The same of so many times the shares."""
        return Sums(
            mass=self.mass * factor,
            square=self.square * factor**2,
            cube=self.cube * factor**3,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Popular:
    """Keys of a space that are hot by their own share, and not by chance."""

    shares: Mapping[str, float]  # of all executions of the space, the hottest first
    positions_of: Mapping[str, int]
    positions: npt.NDArray[np.int64]  # ascending
    sums: npt.NDArray[
        np.float64
    ]  # of the shares before each, and of all; of their squares; of their cubes

    @classmethod
    def of(cls, shares: Mapping[str, float], positions: Mapping[str, int]) -> "Popular":
        """Those that have a share, each at a position of its own."""
        hottest = sorted((t for t, s in shares.items() if s > 0), key=lambda t: (-shares[t], t))
        ascending = sorted(hottest, key=lambda token: (positions[token], token))
        own = np.array([shares[token] for token in ascending], float)
        return cls(
            shares={token: shares[token] for token in hottest},
            positions_of={token: positions[token] for token in hottest},
            positions=np.array([positions[token] for token in ascending], np.int64),
            sums=np.concatenate(
                (np.zeros((3, 1)), np.cumsum([own, own**2, own**3], axis=1)), axis=1
            ),
        )

    def within(self, reach: Reach) -> Sums:
        """Of the shares of those in reach."""
        mass, square, cube = (self.sums[:, reach[1]] - self.sums[:, reach[0]]).tolist()
        return Sums(mass=mass, square=square, cube=cube)

    def reach(self, span: Span) -> Reach:
        """Which of them lie in a span."""
        begin = int(np.searchsorted(self.positions, span[0], side="left"))
        return begin, int(np.searchsorted(self.positions, span[1], side="right"))

    def drawn(self, reach: Reach, rng: np.random.Generator) -> int:
        """The position of one of them, by their shares."""
        sums = self.sums[0]
        low, high = sums[reach[0]], sums[reach[1]]
        at = int(np.searchsorted(sums, low + rng.random() * (high - low), side="right")) - 1
        return int(self.positions[min(max(at, reach[0]), reach[1] - 1)])
