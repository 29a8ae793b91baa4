"""Keys that are hot by their own share, and draws among them by it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replay.bind.shares import Pool


@dataclass(frozen=True, slots=True, eq=False)
class Popular:
    """Keys of a space that are hot by their own share, and not by chance."""

    tokens: tuple[str, ...]
    positions: npt.NDArray[np.int64]
    own: npt.NDArray[np.float64]  # of all executions of the space
    share: float  # of all executions that met a hot key, by chance too
    taken: frozenset[int]  # the positions

    @classmethod
    def of(
        cls, pool: Pool, shares: Mapping[str, float], hot: Mapping[str, int]
    ) -> "Popular | None":
        """Those of the hot keys that have a share of their own; None where none has."""
        tokens = tuple(token for token in hot if shares[token] > 0)
        if not tokens:
            return None
        return cls(
            tokens=tokens,
            positions=np.array([hot[token] for token in tokens], np.int64),
            own=np.array([shares[token] for token in tokens]),
            share=sum(pool.weights[token] for token in hot) / sum(pool.weights.values()),
            taken=frozenset(hot[token] for token in tokens),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Some of the popular keys, to draw from by their own shares."""

    chance: float  # that a copy is one of them
    positions: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]  # sums of their shares, 1 at the end

    @classmethod
    def of(cls, popular: Popular, chance: float, among: npt.NDArray[np.bool_]) -> "Drawing":
        """Those `among` the popular ones."""
        edges = np.cumsum(popular.own[among])
        return cls(chance, popular.positions[among], edges / edges[-1])

    def drawn(self, rng: np.random.Generator) -> int:
        """One of them."""
        return int(self.positions[int(np.searchsorted(self.edges, rng.random()))])
