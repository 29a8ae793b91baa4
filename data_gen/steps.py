"""Ascending places, in which the last one that is not above a number is looked up, not searched.

A guide tells for evenly spaced numbers where to begin to look; from there it is a step or none, on
average, however many places there are.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_gen.shuffle import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Places with a guide."""

    places: Ints  # ascending
    guide: npt.NDArray[np.int32]  # which place is the last at places[0] + (n << shift)
    shift: int

    @classmethod
    def of(cls, places: Ints) -> "Steps":
        """Ascending places with about as many marks beside them."""
        if not places.size:
            return cls(places, np.zeros(1, np.int32), 0)
        span = int(places[-1] - places[0])
        shift = max(span.bit_length() - places.size.bit_length(), 0)
        marks = places[0] + (np.arange((span >> shift) + 1, dtype=np.int64) << shift)
        return cls(
            places, (np.searchsorted(places, marks, side="right") - 1).astype(np.int32), shift
        )

    def at(self, numbers: Ints) -> Ints:
        """Which place each number is at or behind; none is before the first."""
        from data_gen.loops import look_up  # noqa: PLC0415 - the compiler is loaded by who needs it

        out = np.empty(numbers.shape, np.int64)
        look_up(out, numbers, self.places, self.guide, self.shift)
        return out
